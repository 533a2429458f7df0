"""Pictures in and out: the only place where picture files are opened, decoded, encoded or written."""

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from impasto.errors import PictureError
from impasto.files import atomic_file, check_folder

MAX_PIXELS = 100_000_000
"""Largest picture read unless the caller raises the limit: 100 megapixels, 1.2 GB as a tensor."""

LONGEST_STYLE = 4
"""A style picture's longer side in shorter sides, at most: a strip of a picture needs no more memory than that."""

READABLE = frozenset(
    {".png", ".jpg", ".jpeg", ".jpe", ".webp", ".tif", ".tiff", ".bmp", ".gif", ".ppm", ".pgm", ".jp2", ".tga", ".avif", ".mpo"}
)
"""Suffixes that a folder is searched for; a file named by itself may have any."""

_WRITERS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}
_SAVE_OPTIONS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}
_ORIENTATION = 0x0112


@dataclass(frozen=True)
class Picture:
    """A picture in memory.

    pixels: (3, H, W), float32, sRGB in [0, 1]. alpha: (1, H, W) in [0, 1], or None if opaque.
    exif: the file's EXIF block with the orientation removed (it is applied to the pixels), or None.
    """

    pixels: Tensor
    alpha: Tensor | None = None
    exif: bytes | None = field(default=None, repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[-2], self.pixels.shape[-1]


@contextmanager
def _no_size_limit() -> Iterator[None]:
    """Pillow's own limit set aside: ours is checked on the header, before anything is decoded."""
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        yield
    finally:
        Image.MAX_IMAGE_PIXELS = before


def read_picture(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read any still picture as sRGB: orientation applied, colour profile converted, alpha apart.

    Takes 8 and 16 bit, grey, palette, CMYK and alpha in any format that Pillow knows. Raises PictureError for what is
    missing, not a picture, cut off, animated, or larger than max_pixels (width times height).
    """
    path = Path(path)
    if path.is_dir():
        raise PictureError(f"{path} is a folder, not a picture")
    if not path.exists():
        raise PictureError(f"{path} does not exist")
    if path.stat().st_size == 0:
        raise PictureError(f"{path} is an empty file")
    try:
        with _no_size_limit(), Image.open(path) as image:
            width, height = image.size
            if width * height > max_pixels:
                raise PictureError(
                    f"{path} has {width}x{height} pixels, more than the limit of {max_pixels / 1e6:g} megapixels; "
                    f"raise the limit (--max-megapixels {-(-width * height // 1_000_000)}) if there is memory for it"
                )
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":
                raise PictureError(f"{path} holds {frames} frames; only still pictures can be painted")
            return _decode(image)
    except UnidentifiedImageError:
        raise PictureError(f"{path} is not a picture in any format that can be read") from None
    except PermissionError:
        raise PictureError(f"{path} cannot be opened: permission denied") from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise PictureError(f"{path} is damaged or cut off and cannot be decoded ({error})") from None


def _decode(image: Image.Image) -> Picture:
    profile = image.info.get("icc_profile")
    exif = image.getexif()
    image.load()
    image = ImageOps.exif_transpose(image)
    exif.pop(_ORIENTATION, None)
    if image.mode.startswith(("I", "F")):
        return Picture(_deep_grey(image), exif=exif.tobytes() if exif else None)
    alpha = None
    if image.mode in ("LA", "PA", "RGBA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = _to_tensor(image.getchannel("A"))
        image = image.convert("RGB")
    image = _to_srgb(image, profile)
    return Picture(_to_tensor(image), alpha, exif.tobytes() if exif else None)


def _deep_grey(image: Image.Image) -> Tensor:
    """16-bit and float greys as three equal channels: integers are taken out of 65535, floats out of 1."""
    values = np.asarray(image)
    grey = values.astype(np.float32)
    if not np.issubdtype(values.dtype, np.floating):
        grey /= 65535.0
    grey = np.nan_to_num(grey, nan=0.0, posinf=1.0, neginf=0.0).clip(0, 1)
    return torch.from_numpy(grey)[None].expand(3, -1, -1).contiguous()


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
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


def _to_tensor(image: Image.Image) -> Tensor:
    array = np.array(image)
    if array.ndim == 2:
        array = array[:, :, None]
    return torch.from_numpy(array).permute(2, 0, 1).float().div_(255)


def _to_image(pixels: Tensor) -> Image.Image:
    array = pixels.detach().float().cpu().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()
    return Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array)


def check_writable(path: str | os.PathLike[str], *, inputs: tuple[str | os.PathLike[str], ...] = ()) -> None:
    """Say before any long work whether a picture could be written here: raises InputError if not.

    The suffix has to be one that can be written, the folder has to exist or to be makeable, and the file must not be
    one of the inputs.
    """
    path = Path(path)
    if path.suffix.lower() not in _WRITERS:
        raise PictureError(f"cannot write {path}: the name has to end in {', '.join(_WRITERS)}")
    if path.exists() and any(Path(source).exists() and path.samefile(source) for source in inputs):
        raise PictureError(f"{path} is the input itself and is not overwritten; choose another output")
    if path.is_dir():
        raise PictureError(f"cannot write {path}: it is a folder")
    check_folder(path)


def write_picture(picture: Picture, path: str | os.PathLike[str], *, exif: bool = False) -> Path:
    """Write a picture in the format of its suffix; the file appears whole or not at all.

    exif=True keeps the EXIF block of the file it was read from. JPEG and BMP hold no alpha: there the picture is laid
    on white. Raises PictureError if the file cannot be written.
    """
    path = Path(path)
    check_writable(path)
    kind = _WRITERS[path.suffix.lower()]
    pixels = picture.pixels
    if picture.alpha is not None:
        flat = kind in ("JPEG", "BMP")
        pixels = pixels * picture.alpha + (1 - picture.alpha) if flat else torch.cat([pixels, picture.alpha])
    options = dict(_SAVE_OPTIONS.get(kind, {}))
    if exif and picture.exif and kind != "BMP":
        options["exif"] = picture.exif
    try:
        with atomic_file(path) as temporary:
            _to_image(pixels).save(temporary, format=kind, **options)
    except OSError as error:
        raise PictureError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def list_pictures(folder: str | os.PathLike[str]) -> list[Path]:
    """All picture files of a folder, by suffix, in order of name; hidden files and subfolders are left out."""
    folder = Path(folder)
    if not folder.is_dir():
        raise PictureError(f"{folder} is not a folder")
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in READABLE and p.is_file() and not p.name.startswith("."))


def resize(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (C, H, W) in [0, 1], C being 1 or 3, to (height, width): Pillow's Lanczos filter, 8 bits per channel."""
    if tuple(pixels.shape[-2:]) == tuple(size):
        return pixels
    height, width = size
    return _to_tensor(_to_image(pixels).resize((width, height), Image.Resampling.LANCZOS))


def rescale(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize pictures or masks (B, C, H, W) in [0, 1] to (height, width) where they are, by antialiased cubic interpolation."""
    if tuple(image.shape[-2:]) == tuple(size):
        return image
    return F.interpolate(image, size=size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def style_at(style: Tensor, short_side: int) -> Tensor:
    """A style picture (1, 3, h, w) resized to the given shorter side; a long strip only to four times that on its longer side.

    Neither side becomes less than 32 pixels.
    """
    height, width = style.shape[-2:]
    factor = min(short_side / min(height, width), LONGEST_STYLE * short_side / max(height, width))
    return rescale(style, (max(32, round(height * factor)), max(32, round(width * factor))))


def fit_within(size: tuple[int, int], long_side: int) -> tuple[int, int]:
    """Height and width with the same aspect ratio and the given longer side; no side becomes less than one pixel."""
    scale = long_side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
