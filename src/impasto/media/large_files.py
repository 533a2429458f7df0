"""Picture files from and to canvases: by strips with libvips where the extra `large` is installed, in one piece with Pillow elsewhere."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import UnidentifiedImageError
from torch import Tensor

from impasto.errors import PictureError
from impasto.files import atomic_file
from impasto.media.canvas import Canvas, Size, tiles
from impasto.media.color import laid_on
from impasto.media.image_writer import WRITERS, check_writable, holds_alpha, write_still
from impasto.media.images import read_picture
from impasto.media.opening import MADE_BY
from impasto.media.stills import Still, decoded, exif_of, is_deep, reading, resized

_STREAMED = {"JPEG", "PNG", "TIFF", "WEBP"}
"""Formats that libvips reads and writes here."""
_STRIP = 256
"""Rows of a result that are read at a time while it is encoded."""
_OPTIONS: dict[str, dict[str, Any]] = {
    "JPEG": {"Q": 95, "subsample_mode": "off"},
    "PNG": {"compression": 6},
    "TIFF": {"compression": "deflate", "predictor": "horizontal", "bigtiff": True},
    "WEBP": {"Q": 95},
}


@dataclass(frozen=True)
class Header:
    """What is known of a picture file before it is decoded. size: height and width, upright. streamed: whether it is read by strips.
    plain: whether it has eight bits.
    """

    size: Size
    streamed: bool
    plain: bool
    exif: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True)
class LargePicture:
    """A picture in files: its pixels, its alpha if it has one, and the EXIF block of the file that it was read from."""

    pixels: Canvas
    alpha: Canvas | None = None
    exif: bytes | None = field(default=None, repr=False)

    @classmethod
    def there(cls, folder: Path, size: Size, *, alpha: bool, exif: bytes | None) -> "LargePicture":
        """In files of a folder, which are made if they are not there."""
        opaque = Canvas(folder / "alpha.raw", size, channels=1) if alpha else None
        return cls(Canvas(folder / "photo.raw", size), opaque, exif)


def vips() -> Any:
    """libvips, or None where it is not installed."""
    try:
        import pyvips
    except (ImportError, OSError):
        return None
    pyvips.cache_set_max(0)
    return pyvips


def read_header(path: Path, *, max_pixels: int) -> Header | None:
    """The header of a picture file; None for what Pillow does not know. Raises PictureError."""
    try:
        with reading(path, max_pixels) as image:
            exif, turned = exif_of(image)
            width, height = image.size
            size = (width, height) if turned in (5, 6, 7, 8) else (height, width)
            known = image.mode in ("L", "LA", "RGB", "RGBA", "P", "PA", "CMYK", "I;16")
            return Header(size, vips() is not None and known and image.format in _STREAMED, not is_deep(image), exif)
    except UnidentifiedImageError:
        return None


def read_large(path: Path, folder: Path, size: Size, header: Header, *, max_pixels: int) -> LargePicture:
    """Read a picture at a size (height, width) into files of a folder. Raises PictureError."""
    if not header.streamed:
        return _in_one_piece(path, folder, size, max_pixels)
    pyvips = vips()
    try:
        found = LargePicture.there(folder, size, alpha=bool(_upright(pyvips, path).hasalpha()), exif=header.exif)
        _stored(_fitted(_upright(pyvips, path).extract_band(0, n=3), size), found.pixels)
        if found.alpha is not None:
            _stored(_fitted(_upright(pyvips, path).extract_band(3), size), found.alpha)
    except pyvips.Error as error:
        raise PictureError(f"{path} is damaged or cut off and cannot be decoded ({_reason(error)})") from None
    return found


def write_large(picture: LargePicture, path: Path, *, exif: bool, background: str) -> None:
    """Write a picture from its files in the format of the suffix; the file appears whole or not at all. Raises PictureError."""
    check_writable(path)
    pixels, alpha = picture.pixels, picture.alpha
    if alpha is not None and not holds_alpha(path):
        for box in tiles(pixels.size, 1024):
            pixels.write(box, laid_on(background, pixels.read(box)[0], alpha.read(box)[0])[None])
        alpha = None
    pyvips, kind = vips(), WRITERS[path.suffix.lower()]
    if pyvips is None or kind not in _STREAMED:
        opaque = None if alpha is None else alpha.values()[:, :, 0]
        write_still(Still(pixels.values(), opaque, picture.exif), path, exif=exif)
        return
    image = _by_strips(pyvips, pixels).copy(interpretation="srgb")
    if alpha is not None:
        image = image.bandjoin(_by_strips(pyvips, alpha))
    try:
        with atomic_file(path) as part:
            image.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Software", f"{MADE_BY} (ASCII)")
            if exif and picture.exif:
                image.set_type(pyvips.GValue.blob_type, "exif-data", picture.exif)
            getattr(image, f"{kind.lower()}save")(str(part), **_OPTIONS[kind])
    except (pyvips.Error, OSError) as error:
        raise PictureError(f"cannot write {path}: {getattr(error, 'strerror', None) or _reason(error)}") from None


def _by_strips(pyvips: Any, canvas: Canvas) -> Any:
    """The bytes of a canvas as an image; in one piece all of the file would be mapped, and count as memory."""
    (height, width), row = canvas.size, canvas.size[1] * canvas.channels
    tops = range(0, height, _STRIP)
    strips = [pyvips.Image.rawload(str(canvas.path), width, min(_STRIP, height - top), canvas.channels, offset=top * row) for top in tops]
    return pyvips.Image.arrayjoin(strips, across=1).crop(0, 0, width, height)


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(getattr(error, "detail", "") or error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _upright(pyvips: Any, path: Path) -> Any:
    """A file as it is read from top to bottom: upright, sRGB of eight bits, with its alpha if it has one."""
    image = pyvips.Image.new_from_file(str(path), access="sequential", fail_on="truncated").autorot()
    if image.get_typeof("icc-profile-data"):
        try:
            image = image.icc_transform("srgb", embedded=True)
        except pyvips.Error:  # a broken profile is treated as absent
            image = image.colourspace("srgb")
    else:
        image = image.colourspace("srgb")
    return image.cast("uchar") if image.format != "uchar" else image


def _fitted(image: Any, size: Size) -> Any:
    height, width = size
    return image if (image.height, image.width) == size else image.thumbnail_image(width, height=height, size="force")


def _stored(image: Any, canvas: Canvas) -> None:
    image.rawsave(str(canvas.path))
    if canvas.path.stat().st_size != canvas.size[0] * canvas.size[1] * canvas.channels:
        raise PictureError(f"{canvas.path} could not be written whole")


def _in_one_piece(path: Path, folder: Path, size: Size, max_pixels: int) -> LargePicture:
    with reading(path, max_pixels) as image:
        still = None if is_deep(image) else decoded(image)
    if still is None:
        picture = read_picture(path, max_pixels=max_pixels)
        still = Still(_bytes(picture.pixels), None if picture.alpha is None else _bytes(picture.alpha)[:, :, 0], picture.exif)
    found = LargePicture.there(folder, size, alpha=still.alpha is not None, exif=still.exif)
    found.pixels.values("r+")[:] = resized(still.pixels, size)
    if found.alpha is not None and still.alpha is not None:
        found.alpha.values("r+")[:, :, 0] = resized(still.alpha, size)
    return found


def _bytes(pixels: Tensor) -> np.ndarray:
    """(C, H, W) in [0, 1] as (H, W, C)."""
    return pixels.mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()
