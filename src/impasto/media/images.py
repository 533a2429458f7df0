"""Pictures in and out: the only place where picture files are opened, decoded, encoded or written."""

import io
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageCms, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from impasto.errors import ImpastoError, PictureError
from impasto.files import atomic_file, check_folder, in_order
from impasto.media.color import laid_on
from impasto.media.deep import as_channels, decoded
from impasto.media.opening import HEIF, MADE_BY, ORIENTATION, READABLE, SOFTWARE, frames_of, has_heif, opened

MAX_PIXELS = 100_000_000
"""Largest picture read unless the caller raises the limit: 100 megapixels, 1.2 GB as a tensor."""

LONGEST_STYLE = 4
"""A style picture's longer side in shorter sides, at most: a strip of a picture needs no more memory than that."""

WRITERS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP", ".tif": "TIFF", ".tiff": "TIFF", ".bmp": "BMP"}
_SAVE_OPTIONS: dict[str, dict[str, object]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "WEBP": {"quality": 95},
    "TIFF": {"compression": "tiff_adobe_deflate"},
}


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


def read_picture(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Read any still picture as sRGB: orientation applied, colour profile converted, alpha apart.

    Takes 8 to 16 bit, floats, HDR, grey, palette, CMYK and alpha in any format that Pillow knows, TIFF also as OpenCV knows it. A broken
    EXIF block or colour profile is treated as absent. Raises PictureError for what is missing, not a picture, cut off, animated, or larger
    than max_pixels (width times height).
    """
    path = Path(path)
    try:
        with opened(path) as image:
            _check_size(path, image.size, max_pixels)
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":
                what = "frames" if frames_of(image) > 1 else "pages"
                raise PictureError(f"{path} holds {frames} {what}, and one picture was expected")
            return _decode(image, path)
    except ImpastoError:
        raise
    except UnidentifiedImageError:
        return _decode_deep(path, max_pixels)
    except MemoryError:
        raise PictureError(f"{path} needs more memory than there is") from None
    except Exception as error:  # decoders raise whatever they stumble over
        raise PictureError(f"{path} is damaged or cut off and cannot be decoded ({error or type(error).__name__})") from None


def read_indices(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Tensor | None:
    """The values of a picture of one channel as they are stored, upright, (H, W) int64: of index masks, 8 or 16 bits.

    None for colours, palettes, floats, and what was compressed with loss. Raises PictureError as `read_picture`.
    """
    path = Path(path)
    try:
        with opened(path) as image:
            _check_size(path, image.size, max_pixels)
            if image.format == "JPEG" or not image.mode.startswith(("L", "I", "1")):
                return None
            exif = _exif(image)
            values = np.array(image.getchannel(0) if image.mode == "LA" else image).astype(np.int64)
            turned = 1 if exif is None else exif.get(ORIENTATION, 1)
            return _upright(torch.from_numpy(values)[None], turned)[0]
    except ImpastoError:
        raise
    except Exception as error:
        raise PictureError(f"{path} is damaged or cut off and cannot be decoded ({error or type(error).__name__})") from None


def _check_size(path: Path, size: tuple[int, int], max_pixels: int) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise PictureError(f"{path} has {width}x{height} pixels")
    if width * height > max_pixels:
        raise PictureError(
            f"{path} has {width}x{height} pixels, more than the limit of {max_pixels / 1e6:g} megapixels; "
            f"raise the limit (--max-megapixels {-(-width * height // 1_000_000)}) if there is memory for it"
        )


def _decode(image: Image.Image, path: Path) -> Picture:
    profile = image.info.get("icc_profile")
    deep = any(
        ";16" in str(part) for tile in getattr(image, "tile", ()) for part in (tile[3] if isinstance(tile[3], tuple) else (tile[3],))
    )
    image.load()
    exif = _exif(image)
    transparent = image.info.get("transparency")
    turned = 1 if exif is None else exif.pop(ORIENTATION, 1)
    if image.mode.startswith(("I", "F")):
        pixels, alpha = as_channels(np.asarray(image), transparent=transparent if isinstance(transparent, int) else None)
    elif deep and image.mode in ("RGB", "RGBA", "LA") and image.format in ("PNG", "TIFF"):
        pixels, alpha = as_channels(decoded(path))
        if profile:
            pixels = _to_tensor(_to_srgb(_to_image(pixels), profile))
    else:
        alpha = None
        if image.mode in ("LA", "PA", "RGBA", "RGBa", "La") or transparent is not None:
            image = image.convert("RGBA")
            alpha = _to_tensor(image.getchannel("A"))
            image = image.convert("RGB")
        pixels = _to_tensor(_to_srgb(image, profile))
    kept = None if exif is None else _exif_bytes(exif)
    return Picture(_upright(pixels, turned), None if alpha is None else _upright(alpha, turned), kept)


def _decode_deep(path: Path, max_pixels: int) -> Picture:
    """What Pillow does not know: TIFF of three floats."""
    if path.suffix.lower() not in (".tif", ".tiff"):
        raise PictureError(f"{path} is not a picture in any format that can be read")
    try:
        values = decoded(path)
        _check_size(path, (values.shape[1], values.shape[0]), max_pixels)
        return Picture(*as_channels(values))
    except ImpastoError:
        raise
    except Exception as error:
        raise PictureError(f"{path} is damaged or cut off and cannot be decoded ({error or type(error).__name__})") from None


def _exif(image: Image.Image) -> Image.Exif | None:
    """The EXIF block; a broken one is treated as absent."""
    try:
        exif = image.getexif()
        exif.tobytes()
    except Exception:
        return None
    return exif or None


def _exif_bytes(exif: Image.Exif) -> bytes | None:
    try:
        return exif.tobytes()
    except Exception:
        return None


def _upright(pixels: Tensor, orientation: object) -> Tensor:
    """Pixels (C, H, W) turned and mirrored as EXIF says, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.transpose(-2, -1)
    if orientation in (2, 3, 6, 7):
        pixels = pixels.flip(-1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels.flip(-2)
    return pixels.contiguous()


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
    if path.suffix.lower() not in WRITERS:
        raise PictureError(f"cannot write {path}: the name has to end in {', '.join(WRITERS)}")
    if path.exists() and any(Path(source).exists() and path.samefile(source) for source in inputs):
        raise PictureError(f"{path} is the input itself and is not overwritten; choose another output")
    if path.is_dir():
        raise PictureError(f"cannot write {path}: it is a folder")
    check_folder(path)


def write_picture(picture: Picture, path: str | os.PathLike[str], *, exif: bool = False, background: str = "white") -> Path:
    """Write a picture in the format of its suffix; the file appears whole or not at all.

    exif=True keeps the EXIF block of the file it was read from. JPEG and BMP hold no alpha: there the picture is laid
    on the background, a colour's name or "#rrggbb". Raises PictureError if the file cannot be written.
    """
    path = Path(path)
    check_writable(path)
    kind = WRITERS[path.suffix.lower()]
    pixels = picture.pixels
    if picture.alpha is not None:
        flat = kind in ("JPEG", "BMP")
        pixels = laid_on(background, pixels, picture.alpha) if flat else torch.cat([pixels, picture.alpha])
    options = dict(_SAVE_OPTIONS.get(kind, {})) | _marked(kind, picture.exif if exif else None)
    try:
        with atomic_file(path) as temporary:
            _to_image(pixels).save(temporary, format=kind, **options)
    except Exception as error:  # encoders have limits of their own: sides, metadata
        raise PictureError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None
    return path


def _marked(kind: str, exif: bytes | None = None) -> dict[str, object]:
    """What Pillow is told so that the file says who made it, and keeps an EXIF block."""
    block = Image.Exif()
    if exif:
        block.load(exif)
    if kind == "BMP":
        return {}
    if kind == "PNG":
        software = PngInfo()
        software.add_text("Software", MADE_BY)
        return {"pnginfo": software} | ({"exif": exif} if exif else {})
    block[SOFTWARE] = MADE_BY
    return {"exif": _exif_bytes(block) or b""}


def list_pictures(folder: str | os.PathLike[str]) -> list[Path]:
    """All picture files of a folder, by suffix, in order of their names and numbers; hidden files and subfolders are left out."""
    folder = Path(folder)
    if not folder.is_dir():
        raise PictureError(f"{folder} is not a folder")
    known = READABLE if has_heif() else READABLE - HEIF
    return sorted((p for p in folder.iterdir() if p.suffix.lower() in known and p.is_file() and not p.name.startswith(".")), key=in_order)


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


def finer_detail(image: Tensor, coarse: tuple[int, int]) -> Tensor:
    """What pictures (B, C, H, W) have and do not have at a coarser size (height, width)."""
    return image - rescale(rescale(image, coarse), (image.shape[-2], image.shape[-1]))


def style_at(style: Tensor, short_side: int) -> Tensor:
    """A style picture (1, 3, h, w) resized to the given shorter side; a long strip only to four times that on its longer side.

    Neither side becomes less than 32 pixels.
    """
    height, width = style.shape[-2:]
    factor = min(short_side / min(height, width), LONGEST_STYLE * short_side / max(height, width))
    return rescale(style, (max(32, round(height * factor)), max(32, round(width * factor))))


def stroke_side(stroke: float, short_side: int) -> int:
    """The shorter side of a style picture for a photo of this shorter side: `stroke` times that, at least 32 pixels."""
    return max(32, round(stroke * short_side))


def fit_within(size: tuple[int, int], long_side: int) -> tuple[int, int]:
    """Height and width with the same aspect ratio and the given longer side; no side becomes less than one pixel."""
    scale = long_side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
