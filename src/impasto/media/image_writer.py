"""Writes still images: what each format can hold, and image files as they are written; free of PyTorch.

Encoders write pixels alone (Pillow those of 8 bits, libvips those of 16); metadata are put into what they made.
"""

import io
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from impasto.errors import PictureError
from impasto.files import atomic_file, check_folder
from impasto.media.image_containers import Blocks, put_in
from impasto.media.image_metadata import fitted, metadata_of
from impasto.media.stills import Still

Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True)
class Format:
    """What a format can hold. side: the longest one, in pixels. area: the most pixels. alpha: transparency. deep: 16 bits.

    options: of Pillow. strips: those of libvips, if it writes the format.
    """

    side: int
    area: int = 2**48
    alpha: bool = True
    deep: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    strips: dict[str, Any] | None = None


FORMATS = {
    "PNG": Format(2**31 - 1, deep=True, strips={"compression": 6}),
    "JPEG": Format(65_500, alpha=False, options={"quality": 95, "subsampling": 0}, strips={"Q": 95, "subsample_mode": "off"}),
    "WEBP": Format(16_383, options={"quality": 95}, strips={"Q": 95}),
    "TIFF": Format(
        2**31 - 1, deep=True, options={"compression": "tiff_adobe_deflate"}, strips={"compression": "deflate", "predictor": "horizontal"}
    ),
    "BMP": Format(2**31 - 1, area=2**32 // 4 - 64, alpha=False),
}  # fmt: skip
"""Formats that are written. The limits are those of libjpeg, of libwebp, and of fields of 32 bits."""
WRITERS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}
"""Formats by suffix."""
_CLASSIC = 2**31
"""Bytes of pixels up to which a TIFF has offsets of 32 bits, which every program reads."""


def kind_of(path: Path) -> str:
    """The format of a suffix that can be written."""
    return WRITERS[path.suffix.lower()]


def holds_alpha(path: Path) -> bool:
    """Whether the format of a suffix can hold transparency."""
    return FORMATS[kind_of(path)].alpha


def check_writable(path: str | os.PathLike[str], *, inputs: tuple[str | os.PathLike[str], ...] = (), size: Size | None = None) -> None:
    """Say before any long work whether an image could be written here: raises InputError if not.

    The suffix has to be one that can be written, the folder has to exist or to be makeable, and the file must not be
    one of the inputs. size: height and width, if they are known, have to be within what the format can hold.
    """
    path = Path(path)
    if path.suffix.lower() not in WRITERS:
        raise PictureError(f"cannot write {path}: the name has to end in {', '.join(WRITERS)}")
    check_folder(path)
    if path.exists() and any(Path(source).exists() and path.samefile(source) for source in inputs):
        raise PictureError(f"{path} is the input itself and is not overwritten; choose another output")
    if path.is_dir():
        raise PictureError(f"cannot write {path}: it is a folder")
    holds = FORMATS[kind_of(path)]
    result = "" if size is None else f"cannot write {path}: the result has {size[1]}x{size[0]} pixels"
    if size is not None and max(size) > holds.side:
        raise PictureError(f"{result}, and a side of this format has {holds.side} at the most; PNG and TIFF take more")
    if size is not None and size[0] * size[1] > holds.area:
        raise PictureError(f"{result}, too many for this format; PNG and TIFF take more")


def write_still(still: Still, path: Path, *, exif: bool = False) -> tuple[str, ...]:
    """Write an image in the format of its suffix, one that can hold its alpha; the file appears whole or not at all.

    Floats become 16 bits where the format has them, 8 elsewhere. exif: keep EXIF, IPTC and XMP of the file that it was read from; its
    density is kept always. Returns messages on what is left out. Raises PictureError if the file cannot be written.
    """
    kind, size = kind_of(path), (still.pixels.shape[0], still.pixels.shape[1])
    check_writable(path, size=size)
    blocks, messages = fitted(still.metadata or metadata_of(still.exif, size), kind, size, keep=exif)
    try:
        with atomic_file(path) as temporary:
            return messages + finished(io.BytesIO(_pixels(still, kind)), temporary, kind, blocks)
    except Exception as error:  # encoders have limits of their own
        raise PictureError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None


def encode(still: Still, kind: str, *, exif: bool = False) -> bytes:
    """A file of a kind ("PNG", "JPEG", ...) in memory; everything else as of `write_still`."""
    size = (still.pixels.shape[0], still.pixels.shape[1])
    blocks, _ = fitted(still.metadata or metadata_of(still.exif, size), kind, size, keep=exif)
    whole = io.BytesIO()
    put_in(io.BytesIO(_pixels(still, kind)), whole, kind, blocks)
    return whole.getvalue()


def finished(encoded: BinaryIO, target: Path, kind: str, blocks: Blocks) -> tuple[str, ...]:
    """An encoded image with its metadata in a file; without them, which a message says, should they not be writable."""
    try:
        with target.open("wb+") as stream:
            put_in(encoded, stream, kind, blocks)
        return ()
    except (ValueError, OverflowError, KeyError, AttributeError, TypeError) as error:
        with target.open("wb+") as stream:
            put_in(encoded, stream, kind, Blocks())
        return (f"its metadata could not be written and are left out ({error or type(error).__name__})",)


def strip_options(kind: str, size: Size, bits: int) -> dict[str, Any]:
    """What libvips is told to write a format."""
    large = size[0] * size[1] * 4 * bits // 8 > _CLASSIC
    return {**(FORMATS[kind].strips or {}), "keep": "none", **({"bigtiff": large} if kind == "TIFF" else {})}


def _pixels(still: Still, kind: str) -> bytes:
    """An image as a file without metadata."""
    values = still.pixels if still.alpha is None else np.dstack([still.pixels, still.alpha])
    if values.dtype != np.uint8:
        values = np.rint(values.clip(0, 1) * np.float32(65535 if FORMATS[kind].deep else 255))
    if values.dtype != np.uint8 and FORMATS[kind].deep:
        import pyvips  # Pillow has no colours of 16 bits

        height, width, channels = values.shape
        image = pyvips.Image.new_from_memory(values.astype(np.uint16).tobytes(), width, height, channels, "ushort")
        save = getattr(image.copy(interpretation="rgb16"), f"{kind.lower()}save_buffer")
        found: bytes = save(**strip_options(kind, (height, width), 16))
        return found
    stream = io.BytesIO()
    Image.fromarray(values.astype(np.uint8)).save(stream, format=kind, **FORMATS[kind].options)
    return stream.getvalue()
