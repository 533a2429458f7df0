"""Image files decoded, for every way of reading: strips of samples as they are stored, and what the samples mean.

libvips decodes JPEG, PNG, TIFF, WebP and deep AVIF, row by row; Pillow, pillow-heif and FFmpeg decode the other formats in one piece.
White is what a file declares: its bits, or the full range of its type; never the largest value that it holds.
"""

import io
import mmap
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from impasto.media import psd
from impasto.media.camera_raw import develop
from impasto.media.tiff import SampleBytes, alone, layout_of, not_multiplied

Size = tuple[int, int]
"""Height and width in pixels."""
File = Path | bytes
"""An image file: where it lies, or what is in it."""
_STRIP = 1 << 22
"""Bytes of samples that are decoded at a time."""
_MOST_LIGHT = 1e9
"""Light that nothing is above, so that it can be reckoned with."""
_START = 1 << 16
"""Bytes within which JPEG 2000 states its depth."""
_VIPS = {"JPEG": "jpegload", "MPO": "jpegload", "PNG": "pngload", "WEBP": "webpload"}
"""Which loader of libvips decodes a format."""

_TYPES = {
    "uchar": "u1", "char": "i1", "ushort": "u2", "short": "i2", "uint": "u4", "int": "i4", "float": "f4", "double": "f8",
}  # fmt: skip
"""libvips' names of types as NumPy's."""


@dataclass(frozen=True)
class Samples:
    """What the channels of a stored image mean.

    colors: how many are colours: 1 for grey, 3 for RGB, 4 for CMYK. white: the value of white in integers; floats have 1.
    alpha: which one is alpha, if any. associated: whether the colours are multiplied by it. inverted: whether zero is white.
    """

    colors: int
    white: float
    alpha: int | None = None
    associated: bool = False
    inverted: bool = False

    @property
    def deep(self) -> bool:
        """Whether a channel holds more than eight bits."""
        return self.white != 255

    def straight(self, stored: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Colours (H, W, 1, 3 or 4), not multiplied, and alpha (H, W) of stored samples (H, W, C).

        Bytes where a channel holds eight bits; float32 else, in [0, 1], floats of a file above 1 as they are. No number is black.
        Raises ValueError if channels are missing.
        """
        if stored.shape[2] < max(self.colors, 1 + (self.alpha or 0)):
            raise ValueError(f"there are {stored.shape[2]} channels")
        colors = self._shown(stored[..., : self.colors])
        alpha = None if self.alpha is None else self._shown(stored[..., self.alpha])
        full = 1.0 if self.deep else 255
        if self.inverted:
            colors = (full - colors).astype(colors.dtype)
        if alpha is not None:
            alpha = alpha.clip(0, full)
            if self.associated:
                colors = _divided(colors, alpha)
        return colors, alpha

    def _shown(self, values: np.ndarray) -> np.ndarray:
        if not self.deep:
            return values
        if np.issubdtype(values.dtype, np.floating):
            with np.errstate(over="ignore"):  # of 64 bits
                return np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=_MOST_LIGHT, neginf=0.0).clip(0, _MOST_LIGHT)
        shown = values.astype(np.float32)
        shown /= np.float32(self.white)
        return shown.clip(0, 1, out=shown)


def _divided(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours that were multiplied by their alpha as they were before; where nothing can be seen they stay."""
    full = 255 if colors.dtype == np.uint8 else 1.0
    there = np.where(alpha > 0, alpha, full)[..., None].astype(np.float32)
    divided = colors.astype(np.float32) * (full / there)
    return np.rint(divided).clip(0, 255).astype(np.uint8) if colors.dtype == np.uint8 else divided


@dataclass(frozen=True)
class Decoder:
    """How an image file is decoded.

    size: height and width of what is decoded. streamed: whether it comes row by row; else it takes its memory in one piece.
    upright: whether what is decoded is upright already, whatever EXIF says.
    """

    size: Size
    samples: Samples
    strips: Callable[[], Iterator[np.ndarray]]
    streamed: bool = False
    upright: bool = False

    def above_white(self) -> bool:
        """Whether it holds floats above white."""
        return self.samples.white == 1 and any(bool((strip[..., : self.samples.colors] > 1).any()) for strip in self.strips())


def decoder_of(image: Image.Image, file: File) -> Decoder:
    """What decodes an image that Pillow opened, and whose pixels were not read yet. Raises whatever decoders do."""
    kind = image.format or ""
    if kind in _VIPS:
        return _by_vips(file, _VIPS[kind], fail_on="truncated")
    return _DECODERS.get(kind, _by_pillow)(image, file)


@lru_cache(maxsize=1)
def vips() -> Any:
    """libvips, which keeps nothing of what it read: a file may change."""
    import pyvips  # it takes 20 ms

    pyvips.cache_set_max(0)
    return pyvips


def _opened_by_vips(file: File, loader: str, options: dict[str, Any], patch: tuple[int, bytes] | None = None) -> Any:
    """An image of libvips that is read from top to bottom. patch: bytes of the file that are others, and where."""
    image, options = vips().Image, options | {"access": "sequential"}
    vips().vips_lib.vips_error_clear()  # loaders that try and give up leave words about other files
    if isinstance(file, bytes) or patch is not None:
        opened = getattr(image, f"{loader}_buffer")(file if patch is None else _patched(file, *patch), **options)
    else:
        opened = getattr(image, loader)(os.fsencode(file), **options)
    if opened.interpretation in ("lab", "labs", "labq"):
        opened = opened.colourspace("rgb16")
    return opened


def _patched(file: File, at: int, other: bytes) -> Any:
    """What is in a file, but for some bytes; what of it is not looked at takes no memory."""
    if isinstance(file, bytes):
        return file[:at] + other + file[at + len(other) :]
    with file.open("rb") as stream:
        stored = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)
    stored[at : at + len(other)] = other
    return stored


def _by_vips(
    file: File,
    loader: str,
    *,
    samples: Samples | None = None,
    upright: bool = False,
    patch: tuple[int, bytes] | None = None,
    **options: Any,
) -> Decoder:
    """By libvips, row by row. samples: what the channels mean, where libvips does not say it all."""
    header = _opened_by_vips(file, loader, options, patch)
    height, width, bands = header.height, header.width, header.bands
    kind = np.dtype(_TYPES[header.format])
    if samples is None:
        colors = 4 if header.interpretation == "cmyk" else 3 if bands >= 3 else 1
        samples = Samples(colors, white_of(kind), bands - 1 if bands > colors else None)
    elif bands < samples.colors == 3:  # a palette of greys
        samples = replace(samples, colors=1, alpha=None if samples.alpha is None else 1)

    def strips() -> Iterator[np.ndarray]:
        region = vips().Region.new(_opened_by_vips(file, loader, options, patch))
        step = max(16, _STRIP // (width * bands * kind.itemsize))
        for top in range(0, height, step):
            rows = min(step, height - top)
            yield np.frombuffer(region.fetch(0, top, width, rows), kind).reshape(rows, width, bands)

    return Decoder((height, width), samples, strips, streamed=patch is None, upright=upright)


def white_of(kind: np.dtype) -> float:
    """White where a file declares no depth: the largest value of integers, 1 of floats."""
    return float(np.iinfo(kind).max) if np.issubdtype(kind, np.integer) else 1.0


def _by_pillow(image: Image.Image, file: File) -> Decoder:
    """By Pillow, in one piece."""
    alpha = image.mode in ("LA", "PA", "RGBA", "RGBa", "La") or image.info.get("transparency") is not None
    if image.mode.startswith("I;16"):
        samples = Samples(1, 65535, 1 if alpha else None)
    elif image.mode in ("I", "F"):
        samples = Samples(1, white_of(np.dtype(np.int32 if image.mode == "I" else np.float32)))
    elif image.mode == "CMYK":
        samples = Samples(4, 255)
    else:
        colors = 1 if image.mode in ("1", "L", "LA", "La") else 3
        samples = Samples(colors, 255, colors if alpha else None)

    def strips() -> Iterator[np.ndarray]:
        image.load()
        read = image
        if not samples.deep and image.mode != "CMYK":
            wanted = ("L" if samples.colors == 1 else "RGB") + ("A" if alpha else "")
            read = image if image.mode == wanted else image.convert("RGBA").convert(wanted) if alpha else image.convert(wanted)
        values = np.asarray(read)
        yield values if values.ndim == 3 else values[:, :, None]

    return Decoder((image.size[1], image.size[0]), samples, strips)


def _in_one_piece(size: Size, samples: Samples, read: Callable[[], np.ndarray], *, upright: bool = False) -> Decoder:
    """What a function decodes, (H, W) or (H, W, C)."""

    def strips() -> Iterator[np.ndarray]:
        values = read()
        yield values if values.ndim == 3 else values[:, :, None]

    return Decoder(size, samples, strips, upright=upright)


def _tiff(image: Image.Image, file: File) -> Decoder:
    layout = layout_of(image)
    samples = Samples(layout.colors, layout.white, layout.alpha, layout.associated, layout.inverted)
    if layout.by_vips:
        # Where it fails on less than warnings libvips leaves tiles black that are cut off. It turns numbers without a sign round itself.
        kept = replace(samples, inverted=samples.inverted and layout.kind != 1)
        patch = not_multiplied(image) if layout.associated else None
        return _by_vips(file, "tiffload", samples=kept, patch=patch, fail_on="warning", page=image.tell())
    stored = file if isinstance(file, bytes) else file.read_bytes()
    if layout.plain:
        return Decoder(layout.size, samples, lambda: SampleBytes(stored, image, layout).strips())
    return _by_pillow(alone(stored, image), stored)


def _avif(image: Image.Image, file: File) -> Decoder:
    """Pillow decodes AVIF to eight bits; libvips, which has turned the image already, to all that there are, moved to the top of 16."""
    options: dict[str, Any] = {"fail_on": "truncated", "page": image.tell()}
    header = _opened_by_vips(file, "heifload", options)
    if header.format == "uchar":
        return _by_pillow(image, file)
    bits = header.get("bits-per-sample") if header.get_typeof("bits-per-sample") else 16
    alpha = 3 if header.hasalpha() else None
    return _by_vips(file, "heifload", samples=Samples(3, _moved_up(bits), alpha), upright=True, **options)


def _moved_up(bits: int) -> float:
    """White of so many bits at the top of 16."""
    return float(((1 << bits) - 1) << (16 - bits))


def _heif(image: Image.Image, file: File) -> Decoder:
    """pillow-heif gives Pillow eight bits, unless it is asked itself; it has turned the image already."""
    bits = int(image.info.get("bit_depth", 8))
    if bits <= 8:
        return replace(_by_pillow(image, file), upright=True)

    def read() -> np.ndarray:
        import pillow_heif

        whole = pillow_heif.open_heif(io.BytesIO(file) if isinstance(file, bytes) else file, convert_hdr_to_8bit=False)
        return np.asarray(whole[image.tell()])

    colors = 1 if image.mode in ("L", "LA") else 3
    alpha = colors if image.mode.endswith(("A", "a")) else None
    associated = image.mode == "RGBa"
    return _in_one_piece((image.size[1], image.size[0]), Samples(colors, _moved_up(bits), alpha, associated), read, upright=True)


def _jpeg2000(image: Image.Image, file: File) -> Decoder:
    """Pillow decodes colours of JPEG 2000 to eight bits, FFmpeg to all that there are, moved to the top of 16."""
    start = file[:_START] if isinstance(file, bytes) else _start_of(file)
    at = start.find(b"\xff\x4f\xff\x51")
    count = int.from_bytes(start[at + 40 : at + 42], "big")
    bits = max(((each & 0x7F) + 1 for each in start[at + 42 : at + 42 + 3 * count : 3]), default=8) if at >= 0 else 8
    if bits <= 8 or image.mode not in ("RGB", "RGBA", "LA"):
        found = _by_pillow(image, file)
        return replace(found, samples=replace(found.samples, white=_moved_up(bits))) if 8 < bits <= 16 and found.samples.deep else found
    colors = 1 if image.mode == "LA" else 3

    def read() -> np.ndarray:
        image.load()  # FFmpeg passes over what is cut off, and Pillow does not
        return _by_ffmpeg(file)

    alpha = colors if image.mode.endswith("A") else None
    return _in_one_piece((image.size[1], image.size[0]), Samples(colors, _moved_up(min(bits, 16)), alpha), read)


def _start_of(file: Path) -> bytes:
    with file.open("rb") as stream:
        return stream.read(_START)


def _by_ffmpeg(file: File) -> np.ndarray:
    import av

    with av.open(io.BytesIO(file) if isinstance(file, bytes) else os.fspath(file), "r") as container:
        return np.asarray(next(container.decode(video=0)).to_ndarray())


def _pnm(image: Image.Image, file: File) -> Decoder:
    """PNM states what white is, and Pillow brings it to the full range; of colours it keeps eight bits, so they are taken as they are."""
    name, _, offset, told = image.tile[0]  # type: ignore[attr-defined]
    white = told[1] if isinstance(told, tuple) and len(told) > 1 and isinstance(told[1], int) else 255
    found = _by_pillow(image, file)
    if image.mode == "I":
        return replace(found, samples=Samples(1, 65535))
    if image.mode != "RGB" or white <= 255:
        return found
    (width, height), count = image.size, image.size[0] * image.size[1] * 3

    def read() -> np.ndarray:
        data = file if isinstance(file, bytes) else file.read_bytes()
        if name == "ppm_plain":
            values = np.array(data[offset:].split()[:count], dtype=np.uint16)
        else:
            values = np.frombuffer(data, ">u2", count, offset)
        return values.reshape(height, width, 3)

    return _in_one_piece((height, width), Samples(3, white), read)


def _psd(image: Any, file: File) -> Decoder:
    colors = 3 if image.kind == psd.INDEXED else psd.COLORS[image.kind]
    samples = Samples(colors, {16: 65535.0, 32: 1.0}.get(image.bits, 255.0), colors if image.transparent else None)

    def read() -> np.ndarray:
        with io.BytesIO(file) if isinstance(file, bytes) else file.open("rb") as stream:
            return psd.merged(image, stream)

    return _in_one_piece((image.size[1], image.size[0]), samples, read)


def _scene(image: Any, file: File) -> Decoder:
    """Radiance's HDR and OpenEXR, by FFmpeg; colours of OpenEXR are multiplied by alpha."""
    if image.is_cut_off:
        raise ValueError("a part is missing")
    samples = Samples(image.colors, 1.0, image.colors if image.transparent else None, associated=True)
    return _in_one_piece((image.size[1], image.size[0]), samples, lambda: _by_ffmpeg(file))


def _raw(image: Any, file: File) -> Decoder:
    size = (image.size[1], image.size[0])
    return _in_one_piece(size, Samples(image.colors, 65535), lambda: develop(file, image.filename, size), upright=True)


_DECODERS: dict[str, Callable[[Image.Image, File], Decoder]] = {
    "TIFF": _tiff, "AVIF": _avif, "HEIF": _heif, "JPEG2000": _jpeg2000, "PPM": _pnm, "PSD": _psd, "HDR": _scene, "EXR": _scene,
    "RAW": _raw,
}  # fmt: skip
"""What decodes a format that libvips does not, or not by itself."""
