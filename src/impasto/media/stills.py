"""Still pictures of eight bits, read as arrays; free of heavy imports: a draft is read, painted and written without PyTorch."""

import io
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, UnidentifiedImageError

from impasto.errors import ImpastoError, PictureError
from impasto.media.image_metadata import ImageMetadata, read_metadata
from impasto.media.opening import ORIENTATION, frames_of, opened

MAX_PIXELS = 100_000_000
"""Largest picture read unless the caller raises the limit: 100 megapixels, 1.2 GB as a tensor."""


@dataclass(frozen=True)
class Still:
    """An image as arrays: pixels (H, W, 3), sRGB; alpha (H, W), or None if opaque. Bytes; of 16 bits float32 in [0, 1].

    exif, messages, metadata: as in `impasto.media.images.Picture`.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    exif: bytes | None = field(default=None, repr=False)
    messages: tuple[str, ...] = ()
    metadata: ImageMetadata | None = field(default=None, repr=False)


@contextmanager
def reading(path: Path, max_pixels: int, source: AbstractContextManager[Image.Image] | None = None) -> Iterator[Image.Image]:
    """A still picture as Pillow opens it, its header checked. source: where it is opened, if not at its path.

    Raises PictureError, and UnidentifiedImageError for what Pillow does not know.
    """
    try:
        with source or opened(path) as image:
            check_size(path, image.size, max_pixels)
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":
                what = "frames" if frames_of(image) > 1 else "pages"
                raise PictureError(f"{path} holds {frames} {what}, and one picture was expected")
            yield image
    except (ImpastoError, UnidentifiedImageError):
        raise
    except MemoryError:
        raise PictureError(f"{path} needs more memory than there is") from None
    except Exception as error:  # decoders raise whatever they stumble over
        raise PictureError(f"{path} is damaged or cut off and cannot be decoded ({error or type(error).__name__})") from None


def read_still(path: Path, *, max_pixels: int = MAX_PIXELS) -> Still | None:
    """Read a picture as sRGB of eight bits, as `impasto.media.images.read_picture` does; None for one of more bits, or one that Pillow does
    not know. Raises PictureError.
    """
    try:
        with reading(path, max_pixels) as image:
            return None if is_deep(image) else decoded(image)
    except UnidentifiedImageError:
        return None


def is_deep(image: Image.Image) -> bool:
    """Whether a picture that was opened, and is not decoded yet, has more than eight bits."""
    tiles = (tile[3] if isinstance(tile[3], tuple) else (tile[3],) for tile in getattr(image, "tile", ()))
    sixteen = any(";16" in str(part) for parts in tiles for part in parts)
    return image.mode.startswith(("I", "F")) or (sixteen and image.mode in ("RGB", "RGBA", "LA") and image.format in ("PNG", "TIFF"))


def decoded(image: Image.Image) -> Still:
    """A picture of eight bits that was opened: orientation applied, colour profile converted, alpha apart."""
    profile, metadata = image.info.get("icc_profile"), read_metadata(image)
    image.load()
    kept, turned = exif_of(image)
    alpha = None
    if image.mode in ("LA", "PA", "RGBA", "RGBa", "La") or image.info.get("transparency") is not None:
        image = image.convert("RGBA")
        alpha = upright(np.array(image.getchannel("A")), turned)
        image = image.convert("RGB")
    return Still(upright(np.array(to_srgb(image, profile)), turned), alpha, kept, metadata=metadata)


def exif_of(image: Image.Image) -> tuple[bytes | None, object]:
    """The EXIF block without its orientation, or None, and the orientation."""
    exif = read_exif(image)
    turned = 1 if exif is None else exif.pop(ORIENTATION, 1)
    return None if exif is None else exif_bytes(exif), turned


def upright(values: np.ndarray, orientation: object) -> np.ndarray:
    """Values (H, W) or (H, W, C) turned and mirrored as EXIF says, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return np.ascontiguousarray(values)


def resized(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bytes (H, W) or (H, W, 3) brought to (height, width) by Pillow's Lanczos filter."""
    if values.shape[:2] == tuple(size):
        return values
    return np.array(Image.fromarray(values).resize((size[1], size[0]), Image.Resampling.LANCZOS))


def check_size(path: Path, size: tuple[int, int], max_pixels: int) -> None:
    """A picture of (width, height) can be read. Raises PictureError."""
    width, height = size
    if width < 1 or height < 1:
        raise PictureError(f"{path} has {width}x{height} pixels")
    if width * height > max_pixels:
        raise PictureError(
            f"{path} has {width}x{height} pixels, more than the limit of {max_pixels / 1e6:g} megapixels; "
            f"raise the limit (--max-megapixels {-(-width * height // 1_000_000)}) if there is memory for it"
        )


def read_exif(image: Image.Image) -> Image.Exif | None:
    """The EXIF block; a broken one is treated as absent."""
    try:
        exif = image.getexif()
        exif.tobytes()
    except Exception:
        return None
    return exif or None


def exif_bytes(exif: Image.Exif) -> bytes | None:
    """An EXIF block as it is stored, or None if it cannot be."""
    try:
        return exif.tobytes()
    except Exception:
        return None


def to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Convert through the embedded profile if it fits the pixels; a broken profile is treated as absent."""
    if profile and image.mode in ("RGB", "L", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            if converted is not None:
                return converted
        except (ImageCms.PyCMSError, OSError):
            pass
    return image.convert("RGB")


def fit_within(size: tuple[int, int], long_side: int) -> tuple[int, int]:
    """Height and width with the same aspect ratio and the given longer side; no side becomes less than one pixel."""
    scale = long_side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
