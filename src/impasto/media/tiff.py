"""TIFF: what its tags say of the samples, and samples of the kinds that no library here reads whole, from their bytes.

A directory of one's own, put behind the file in memory, tells libtiff that the same strips or tiles hold grey values of eight bits.
So it undoes any compression, of planes one by one, and what the bytes mean (10, 12, 14 or 64 bits, halves, predictors) is worked out here.
"""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2, TiffImageFile

from impasto.errors import PictureError

(
    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, STRIP_OFFSETS, ORIENTATION, SAMPLES, STRIP_COUNTS, PLANAR, PREDICTOR, COLOR_MAP,
    TILE_WIDTH, TILE_OFFSETS, TILE_COUNTS, EXTRA_SAMPLES, SAMPLE_FORMAT,
) = 256, 257, 258, 259, 262, 273, 274, 277, 279, 284, 317, 320, 322, 324, 325, 338, 339  # fmt: skip
"""Tags by the names of TIFF 6.0."""

STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_COLORS = {0: 1, 1: 1, 2: 3, 3: 3, 5: 4, 6: 3, 8: 3, 9: 3, 10: 3, 32844: 1, 32845: 3}
"""Channels of colour by photometric interpretation, as they are decoded."""
_PLAIN = (0, 1, 2, 5)
"""Interpretations whose samples are grey, RGB or CMYK as they are stored."""
_JPEG, _OLD_JPEG = 7, 6
_BY_VIPS = frozenset({1, 2, 3, 4, 5, _JPEG, 8, 32773, 32946, 50001})
"""Compressions that libvips's own libtiff undoes; of others it makes black without a word."""
_USUAL = frozenset({(1, 8), (1, 16), (1, 32), (2, 8), (2, 16), (2, 32), (3, 32)})
"""Sample formats and bits that libvips reads in every layout; of halves it takes planes for pixels."""
_LOSSY = frozenset({_OLD_JPEG, _JPEG, 34887, 34712, 50001, 50002})
"""Compressions that know of pixels, not of bytes."""
_ROWS = 64
"""Rows of packed samples that are unpacked at a time."""


@dataclass(frozen=True)
class TiffLayout:
    """How a TIFF image lies in its file. size: height and width, as stored. colors, alpha, associated, inverted, white: see `Samples`.

    by_vips: libvips reads it. plain: its samples can be had from its bytes.
    """

    size: tuple[int, int]
    bits: int
    samples: int
    kind: int
    colors: int
    alpha: int | None
    associated: bool
    inverted: bool
    planar: bool
    by_vips: bool
    plain: bool

    @property
    def floats(self) -> bool:
        """Whether samples are floats."""
        return self.kind == 3

    @property
    def white(self) -> float:
        """White as libvips or `SampleBytes` give it: depths below eight are brought to eight."""
        if self.floats:
            return 1.0
        return float((1 << (self.bits - (self.kind == 2))) - 1) if self.bits >= 8 else 255.0


def layout_of(image: Image.Image) -> TiffLayout:
    """The layout of the page that an image stands at."""
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    photometric, compression = int(tags.get(PHOTOMETRIC, 0)), int(tags.get(COMPRESSION, 1))
    samples, planar, tiled = int(tags.get(SAMPLES, 1)), tags.get(PLANAR, 1) == 2, TILE_OFFSETS in tags
    depths, kinds = set(tags.get(BITS, (1,))), set(tags.get(SAMPLE_FORMAT, (1,)))
    bits, kind = max(depths), max(kinds)
    kind = 1 if kind == 4 else kind
    colors = _COLORS.get(photometric, 3)
    stored = 1 if photometric == 3 else colors
    extra, alpha, associated = tags.get(EXTRA_SAMPLES), None, False
    if samples > stored:
        # Where nothing is said of one channel more it is alpha, as for Pillow and libvips. What is said to be something else is not.
        meanings = tuple(extra) if extra is not None else (2,) if samples == stored + 1 else ()
        found = next((number for number, meaning in enumerate(meanings[: samples - stored]) if meaning in (1, 2, 999)), None)
        alpha = None if found is None else colors + found
        associated = found is not None and meanings[found] == 1
    same = len(depths) == len(kinds) == 1 and kind in (1, 2, 3)
    usual = (kind, bits) in _USUAL or (bits in (1, 2, 4) and samples == 1)
    known = photometric in (*_PLAIN, 3) or (photometric == 6 and compression == _JPEG) or (photometric == 8 and bits == 16)
    return TiffLayout(
        (int(tags[HEIGHT]), int(tags[WIDTH])),
        bits,
        samples,
        kind,
        colors,
        alpha,
        associated,
        photometric == 0,
        planar,
        by_vips=same and usual and known and compression in _BY_VIPS and not (planar and tiled and samples > 1),
        plain=same and photometric in _PLAIN and compression not in _LOSSY and 1 <= bits <= 64 and (bits >= 8 or samples > 1),
    )


def first_directory(start: bytes) -> Any:
    """The tags of a TIFF that begins with these 16 bytes, to be loaded from `next` on. BigTIFF with the high byte first Pillow misreads."""
    if start.startswith(b"MM\0+"):
        return ImageFileDirectory_v2(b"II+\0" + start[4:], prefix=b"MM")
    return ImageFileDirectory_v2(start if 43 in start[2:4] else start[:8])


class OtherTiff(TiffImageFile):
    """A TIFF whose pixels Pillow does not know, or whose header: its tags, without pixels.

    colors: how many channels are colours; the mode "F" says that they are floats.
    """

    def _open(self) -> None:
        assert self.fp is not None
        start = self.fp.read(16)
        self.fp.seek(0)
        if not start.startswith(b"MM\0+"):
            super()._open()
            return
        self.tag_v2 = first_directory(start)
        self.fp.seek(self.tag_v2.next)
        self.tag_v2.load(self.fp)
        self._n_frames, self.is_animated, self._TiffImageFile__frame = 1, False, 0
        self._setup()

    def _setup(self) -> None:
        layout = layout_of(self)
        if not (layout.by_vips or layout.plain):
            raise SyntaxError("samples of no kind that is known")
        height, width = layout.size
        self._size = (height, width) if self.tag_v2.get(ORIENTATION) in (5, 6, 7, 8) else (width, height)
        self._mode = "F" if layout.floats else {1: "L", 4: "CMYK"}.get(layout.colors, "RGB")
        self.colors = layout.colors
        self.info["icc_profile"] = self.tag_v2.get(34675)

    def getexif(self) -> Image.Exif:
        """The EXIF block; none where Pillow would misread it."""
        return Image.Exif() if self.tag_v2.prefix == b"MM" and self.tag_v2._bigtiff else super().getexif()


def not_multiplied(image: Image.Image) -> tuple[int, bytes]:
    """Where the tag that says that colours are multiplied by alpha stands in the file, and what says that they are not.

    What libvips divides by alpha it cuts off below, and of grey floats it makes 255 times what they are: so it is not to know.
    """
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    big, mark = tags._bigtiff, "<" if tags.prefix == b"II" else ">"
    count_width, width, offset_of = (8, 20, 12) if big else (2, 12, 8)
    stream: BinaryIO = image.fp  # type: ignore[attr-defined]
    at = stream.tell()
    stream.seek(tags.offset)
    entries = stream.read(count_width + width * 1024)
    stream.seek(at)
    for place in range(count_width, len(entries), width):
        if struct.unpack(f"{mark}H", entries[place : place + 2])[0] == EXTRA_SAMPLES:
            meanings = [2 if each == 1 else each for each in tags[EXTRA_SAMPLES]]
            return tags.offset + place + offset_of, struct.pack(f"{mark}{len(meanings)}H", *meanings)
    raise PictureError("its directory changed while it was read")


def alone(stored: bytes, image: Image.Image, changes: dict[int, Any] | None = None) -> TiffImageFile:
    """The page of a TIFF as an image of its own that stands as it is stored. changes: other values of tags; None takes one away."""
    tags: Any = image.tag_v2  # type: ignore[attr-defined]
    values = {name: tags[name] for name in _CARRIED if name in tags} | (changes or {})
    return TiffImageFile(_with_directory(stored, {name: value for name, value in sorted(values.items()) if value is not None}))


def _with_directory(stored: bytes, values: dict[int, Any]) -> BinaryIO:
    """A file with another first directory, which is put behind what is in it."""
    mark, big = "<" if stored[:2] == b"II" else ">", len(stored) > _CLASSIC
    word, width = ("Q", 8) if big else ("I", 4)
    place = len(stored) + -len(stored) % 8
    behind = place + (8 if big else 2) + len(values) * (20 if big else 12) + width
    entries, more = b"", b""
    for name, value in values.items():
        given = value if isinstance(value, tuple) else (value,)
        if isinstance(value, bytes):
            kind, count, data = _UNDEFINED, len(value), value
        elif name in _RATIONAL:
            kind, count = _RATIONAL_TYPE, len(given)
            data = b"".join(struct.pack(f"{mark}2I", round(float(each) * 1_000_000), 1_000_000) for each in given)
        elif name in _LONG:
            kind, count, data = (_LONG8_TYPE if big else _LONG_TYPE), len(given), struct.pack(f"{mark}{len(given)}{word}", *given)
        else:
            kind, count, data = _SHORT_TYPE, len(given), struct.pack(f"{mark}{len(given)}H", *given)
        if len(data) > width:
            place_of, more = struct.pack(f"{mark}{word}", behind + len(more)), more + data + bytes(-len(data) % 8)
        else:
            place_of = data.ljust(width, b"\0")
        entries += struct.pack(f"{mark}HH{word}", name, kind, count) + place_of
    head = stored[:2] + (struct.pack(f"{mark}HHHQ", 43, 8, 0, place) if big else struct.pack(f"{mark}HI", 42, place))
    count_of = struct.pack(f"{mark}{'Q' if big else 'H'}", len(values))
    return io.BytesIO(b"".join((head, stored[len(head) :], bytes(place - len(stored)), count_of, entries, bytes(width), more)))


_CARRIED = (
    WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, 266, STRIP_OFFSETS, SAMPLES, 278, STRIP_COUNTS, PLANAR, 292, 293, PREDICTOR, COLOR_MAP,
    TILE_WIDTH, 323, TILE_OFFSETS, TILE_COUNTS, EXTRA_SAMPLES, SAMPLE_FORMAT, 347, 529, 530, 531, 532,
)  # fmt: skip
"""Tags that say how pixels are stored."""
_LONG = frozenset({WIDTH, HEIGHT, STRIP_OFFSETS, 278, STRIP_COUNTS, 292, 293, TILE_WIDTH, 323, TILE_OFFSETS, TILE_COUNTS})
_RATIONAL = frozenset({529, 532})
_CLASSIC = (1 << 32) - (1 << 27)
"""Bytes of a file that TIFF holds, and BigTIFF has to hold if it is longer."""
_SHORT_TYPE, _LONG_TYPE, _RATIONAL_TYPE, _UNDEFINED, _LONG8_TYPE = 3, 4, 5, 7, 16


class SampleBytes:
    """The samples of a plain TIFF by their bytes. Raises PictureError for samples of a size that is not known."""

    def __init__(self, stored: bytes, image: Image.Image, layout: TiffLayout):
        tags: Any = image.tag_v2  # type: ignore[attr-defined]
        self._layout, self._mark = layout, "<" if stored[:2] == b"II" else ">"
        self._type = _TYPES.get((layout.kind, layout.bits))
        if self._type is None and (layout.kind != 1 or layout.bits > 32):
            raise PictureError(f"its samples have {layout.bits} bits, which cannot be read")
        self._predictor, self._each = tags.get(PREDICTOR, 1), 1 if layout.planar else layout.samples
        width = layout.size[1]
        self._line = int(tags.get(TILE_WIDTH, width))
        bits = self._line * self._each * layout.bits
        self._line_bytes = -(-bits // 8)
        row = self._line_bytes * -(-width // self._line)
        changes: dict[int, Any] = dict.fromkeys((PREDICTOR, EXTRA_SAMPLES, SAMPLE_FORMAT, COLOR_MAP))
        changes |= {WIDTH: row, BITS: 8, PHOTOMETRIC: 1, SAMPLES: 1, PLANAR: 1}
        if TILE_WIDTH in tags:
            changes[TILE_WIDTH] = self._line_bytes
        planes = layout.samples if layout.planar else 1
        self._planes = []
        for number in range(planes):
            part = dict(changes)
            for name in (STRIP_OFFSETS, STRIP_COUNTS, TILE_OFFSETS, TILE_COUNTS):
                if name in tags:
                    values = tags[name] if isinstance(tags[name], tuple) else (tags[name],)
                    part[name] = values[number * (len(values) // planes) : (number + 1) * (len(values) // planes)]
            self._planes.append(np.asarray(alone(stored, image, part)))

    def strips(self) -> Iterator[np.ndarray]:
        """Rows of samples, (h, W, C)."""
        height, width = self._layout.size
        for top in range(0, height, _ROWS):
            planes = [self._samples(plane[top : top + _ROWS]) for plane in self._planes]
            yield np.concatenate(planes, 2)[:, :width]

    def _samples(self, rows: np.ndarray) -> np.ndarray:
        """Samples (h, W, C) of the bytes of some rows; each line of a tile stands by itself."""
        lines = np.ascontiguousarray(rows).reshape(-1, self._line_bytes)
        if self._predictor == 3 and self._layout.floats:
            summed = lines.reshape(len(lines), -1, self._each).cumsum(1, dtype=np.uint8).reshape(len(lines), self._layout.bits // 8, -1)
            values = np.ascontiguousarray(summed.swapaxes(1, 2)).reshape(len(lines), -1).view(f">{self._type}")
        elif self._type is not None:
            values = lines.view(f"{self._mark}{self._type}")
        else:
            bits = np.unpackbits(lines, axis=1)[:, : self._line * self._each * self._layout.bits]
            weights = (1 << np.arange(self._layout.bits - 1, -1, -1)).astype(np.float64)
            values = (bits.reshape(len(lines), -1, self._layout.bits) @ weights).astype(np.uint32)
            if self._layout.bits < 8:
                values = np.rint(values * (255 / ((1 << self._layout.bits) - 1))).astype(np.uint8)
        pixels = values.reshape(len(lines), -1, self._each)
        if self._predictor == 2:
            pixels = pixels.cumsum(1, dtype=pixels.dtype)
        return pixels.reshape(len(rows), -1, self._each)


_TYPES = {
    (kind, bits): f"{letter}{bits // 8}"
    for kind, letter in ((1, "u"), (2, "i"), (3, "f"))
    for bits in (8, 16, 32, 64)
    if (kind, bits) != (3, 8)
}
"""NumPy's types by sample format and bits."""
