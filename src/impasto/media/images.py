"""Pictures in and out: the only place where picture files are opened, decoded, encoded or written."""

import io
import os
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from impasto.errors import PictureError
from impasto.files import in_order
from impasto.media.color import laid_on
from impasto.media.image_metadata import ImageMetadata
from impasto.media.image_writer import FORMATS, check_writable, encode, kind_of, write_still
from impasto.media.opening import READABLE, lacking
from impasto.media.stills import (
    MAX_PIXELS,
    Still,
    image_source,
    resized,
    resized_whole,
    upright,
)
from impasto.media.transparency import filled

LONGEST_STYLE = 4
"""A style picture's longer side in shorter sides, at most: a strip of a picture needs no more memory than that."""


@dataclass(frozen=True)
class Picture:
    """A picture in memory.

    pixels: (3, H, W), float32, sRGB in [0, 1]. alpha: (1, H, W) in [0, 1], or None if opaque.
    exif: the file's EXIF block with the orientation removed (it is applied to the pixels), or None.
    bits: 8 or 16, what each channel of the file holds. messages: what could not be read as the file states it.
    metadata: its density, EXIF, IPTC and XMP, as they are stored.
    """

    pixels: Tensor
    alpha: Tensor | None = None
    exif: bytes | None = field(default=None, repr=False)
    bits: int = 8
    messages: tuple[str, ...] = ()
    metadata: ImageMetadata | None = field(default=None, repr=False)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.pixels.shape[-2], self.pixels.shape[-1]


def read_picture(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS, scene: bool | None = None) -> Picture:
    """Read any still picture as sRGB: orientation applied, colours converted, alpha apart.

    Takes 1 to 32 bits, floats, HDR, grey, palette, CMYK and alpha in any format that Pillow or libvips know. A broken EXIF block or colour
    profile is treated as absent. Raises PictureError for what is missing, not a picture, cut off, animated, or larger than max_pixels
    (width times height). scene: see `impasto.media.stills.image_source`.
    """
    return _read(Path(path), None, max_pixels, scene)


def picture_of(data: bytes, name: str, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """A picture's file in memory, read as `read_picture` reads one on the disk; `name` is for errors. Raises PictureError."""
    return _read(Path(name), data, max_pixels)


def _read(path: Path, data: bytes | None, max_pixels: int, scene: bool | None = None) -> Picture:
    with image_source(path, data=data, max_pixels=max_pixels, scene=scene) as source:
        still = source.read()
        alpha = None if still.alpha is None else _to_tensor(still.alpha)
        return Picture(_to_tensor(still.pixels), alpha, still.exif, source.bits, still.messages, still.metadata)


def read_indices(path: str | os.PathLike[str], *, max_pixels: int = MAX_PIXELS) -> Tensor | None:
    """The values of a picture of one channel as they are stored, upright, (H, W) int64: of index masks, 8 or 16 bits.

    None for colours, palettes, floats, and what was compressed with loss. Raises PictureError as `read_picture`.
    """
    with image_source(Path(path), max_pixels=max_pixels) as source:
        samples = source.decoder.samples
        if source.lossy or samples.colors != 1 or samples.white == 1:
            return None
        values = np.concatenate([strip[..., 0] for strip in source.decoder.strips()]).astype(np.int64)
        return torch.from_numpy(np.ascontiguousarray(upright(values, source.orientation)) // (255 if source.two_valued else 1))


def _to_tensor(values: np.ndarray) -> Tensor:
    if values.ndim == 2:
        values = values[:, :, None]
    pixels = torch.from_numpy(values).permute(2, 0, 1)
    return pixels.float().div_(255) if values.dtype == np.uint8 else pixels.contiguous()


def _to_bytes(pixels: Tensor) -> np.ndarray:
    """(C, H, W) in [0, 1] as bytes, (H, W, C), or (H, W) of one channel."""
    values = pixels.detach().float().cpu().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous().numpy()
    return values[:, :, 0] if values.shape[2] == 1 else values


def write_picture(picture: Picture, path: str | os.PathLike[str], *, exif: bool = False, background: str = "white") -> Path:
    """Write a picture as `write_result` does; returns the path."""
    write_result(picture, path, exif=exif, background=background)
    return Path(path)


def write_result(picture: Picture, path: str | os.PathLike[str], *, exif: bool = False, background: str = "white") -> tuple[str, ...]:
    """Write a picture in the format of its suffix; the file appears whole or not at all. One of 16 bits stays one in PNG and TIFF.

    exif=True keeps EXIF, IPTC and XMP of the file it was read from; its density is kept always. JPEG and BMP hold no alpha: there the
    picture is laid on the background, a colour's name or "#rrggbb". Returns messages on what is left out. Raises PictureError if the file
    cannot be written.
    """
    path = Path(path)
    check_writable(path, size=picture.size)
    return write_still(_as_still(picture, kind_of(path), background), path, exif=exif)


def encoded(picture: Picture, kind: str = "PNG", *, exif: bool = False, background: str = "white") -> bytes:
    """A picture as a file in memory: what `write_picture` writes. kind: "PNG", "JPEG", "WEBP", "TIFF" or "BMP"."""
    return encode(_as_still(picture, kind, background), kind, exif=exif)


def shown(pixels: Tensor, kind: str = "JPEG") -> bytes:
    """Pixels (3, H, W) in [0, 1] as a small file in memory, to be looked at. kind: "JPEG" or "PNG"."""
    file = io.BytesIO()
    Image.fromarray(_to_bytes(pixels)).save(file, format=kind, **({"quality": 88} if kind == "JPEG" else {}))
    return file.getvalue()


def _as_still(picture: Picture, kind: str, background: str) -> Still:
    """A picture as arrays: on the background where the format holds no alpha; floats where it has 16 bits."""
    pixels, alpha = picture.pixels, picture.alpha
    if alpha is not None and not FORMATS[kind].alpha:
        pixels, alpha = laid_on(background, pixels, alpha), None
    stored = _to_floats if picture.bits > 8 else _to_bytes
    return Still(stored(pixels), None if alpha is None else stored(alpha), picture.exif, metadata=picture.metadata)


def _to_floats(pixels: Tensor) -> np.ndarray:
    """(C, H, W) as float32, (H, W, C), or (H, W) of one channel."""
    values = pixels.detach().float().cpu().permute(1, 2, 0).contiguous().numpy()
    return values[:, :, 0] if values.shape[2] == 1 else values


def list_pictures(folder: str | os.PathLike[str]) -> list[Path]:
    """All picture files of a folder, by suffix, in order of their names and numbers; hidden files and subfolders are left out."""
    folder = Path(folder)
    if not folder.is_dir():
        raise PictureError(f"{folder} is not a folder")
    known = {suffix for suffix in READABLE if not lacking(suffix)}
    return sorted((p for p in folder.iterdir() if p.suffix.lower() in known and p.is_file() and not p.name.startswith(".")), key=in_order)


def resize(pixels: Tensor, size: tuple[int, int], *, bits: int = 8) -> Tensor:
    """Resize (C, H, W) in [0, 1], C being 1 or 3, to (height, width): Pillow's Lanczos filter. bits: 8, or 16 to round nothing."""
    if tuple(pixels.shape[-2:]) == tuple(size):
        return pixels
    return _to_tensor(resized(_to_bytes(pixels) if bits == 8 else pixels.float().cpu().permute(1, 2, 0).numpy(), size))


def fitted(picture: Picture, size: tuple[int, int]) -> Picture:
    """A picture at a size (height, width), as it is painted: colours that alpha hides are made of those that can be seen."""
    if picture.alpha is None:
        return replace(picture, pixels=resize(picture.pixels, size, bits=picture.bits))
    colors, alpha = picture.pixels.permute(1, 2, 0).numpy(), picture.alpha[0].numpy()
    made, opaque = resized_whole(colors, alpha, size)
    assert opaque is not None
    if picture.bits == 8:  # as what is read at this size
        made, opaque = (np.rint(values * 255).astype(np.uint8) for values in (made, opaque))
    return replace(picture, pixels=_to_tensor(filled(made, opaque)), alpha=_to_tensor(opaque))


def filled_pixels(picture: Picture) -> Tensor:
    """The pixels of a picture, (3, H, W); colours that alpha hides are made of those that can be seen."""
    return fitted(picture, picture.size).pixels


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
