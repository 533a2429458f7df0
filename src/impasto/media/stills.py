"""Still images read as arrays; free of heavy imports: a draft is read, painted and written without PyTorch.

Every way of reading goes through `ImageSource.boxes`: whole, by tiles, from memory, in the studio and as a style.
"""

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from impasto.errors import ImpastoError, PictureError
from impasto.media.boxes import Box, Size
from impasto.media.decoding import Decoder, decoder_of
from impasto.media.image_color import ImageColor, color_of
from impasto.media.image_metadata import ImageMetadata, read_metadata
from impasto.media.opening import ORIENTATION, check_chunks, opened, opened_bytes
from impasto.media.several import at_main_image
from impasto.media.transparency import as_floats, straight

MAX_PIXELS = 100_000_000
"""Largest picture read unless the caller raises the limit: 100 megapixels, 1.2 GB as a tensor."""

_LOSSY = frozenset({"JPEG", "MPO"})
"""Formats whose values are never those that were stored."""
_SCENES = frozenset({"EXR", "HDR"})
"""Formats of light that is not bounded by white."""
_ROWS = 64
"""Rows that an image is resized by at the least, where there are as many."""


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


@dataclass(frozen=True)
class ImageSource:
    """An image file whose header was read, as long as it is open. Its pixels come in boxes, in the order in which they are stored.

    scene: whether its floats, which are linear light, are tone mapped; None where they are not. lossy, two_valued: whether values are
    never those that were stored, or bits.
    """

    path: Path
    orientation: int
    decoder: Decoder
    color: ImageColor
    messages: tuple[str, ...] = ()
    exif: bytes | None = field(default=None, repr=False)
    metadata: ImageMetadata | None = field(default=None, repr=False)
    scene: bool | None = None
    lossy: bool = False
    two_valued: bool = False

    @property
    def size(self) -> Size:
        """Height and width, upright."""
        height, width = self.decoder.size
        return (width, height) if self.orientation >= 5 else (height, width)

    @property
    def bits(self) -> int:
        """8 or 16: what each channel holds."""
        return 16 if self.decoder.samples.deep else 8

    @property
    def alpha(self) -> bool:
        """Whether it has alpha."""
        return self.decoder.samples.alpha is not None

    def boxes(self, size: Size) -> Iterator[tuple[Box, np.ndarray, np.ndarray | None]]:
        """The image at a size: parts of it, upright, as colours (h, w, 3), sRGB, and alpha (h, w). Bytes, or float32 of 16 bits."""
        stored = (size[1], size[0]) if self.orientation >= 5 else size
        top = 0
        for colors, alpha in resized_strips(self._strips(), self.decoder.size, stored):
            box = _turned_box(Box(top, 0, top + len(colors), stored[1]), stored, self.orientation)
            yield box, upright(colors, self.orientation), None if alpha is None else upright(alpha, self.orientation)
            top += len(colors)

    def _strips(self) -> Iterator["Strip"]:
        as_it_is = self.color.is_srgb and self.decoder.samples.colors == 3
        height, width = self.decoder.size
        left = height
        for stored in self.decoder.strips():
            left -= len(stored)
            if left < 0 or stored.shape[1] != width:
                raise ValueError(f"it has other sides than {width}x{height}, which its header says")
            colors, alpha = self.decoder.samples.straight(stored)
            shown = colors if as_it_is else self.color.to_srgb(colors)
            yield (shown.clip(0, 1) if shown.dtype != np.uint8 else shown), alpha
        if left:
            raise ValueError(f"{left} rows are missing")

    def read(self) -> "Still":
        """All of it at its own size. Raises whatever decoders do."""
        kind = np.uint8 if self.bits == 8 else np.float32
        pixels = np.empty((*self.size, 3), kind)
        opaque = np.empty(self.size, kind) if self.alpha else None
        for box, colors, alpha in self.boxes(self.size):
            pixels[box.rows, box.columns] = colors
            if opaque is not None:
                opaque[box.rows, box.columns] = alpha
        return Still(pixels, opaque, self.exif, self.messages, self.metadata)


@contextmanager
def reading(path: Path, max_pixels: int, source: AbstractContextManager[Image.Image] | None = None) -> Iterator[Image.Image]:
    """A still picture as Pillow opens it, its header checked. source: where it is opened, if not at its path.

    Raises PictureError, and UnidentifiedImageError for what is not known.
    """
    try:
        with source or opened(path) as image:
            check_size(path, image.size, max_pixels)
            yield image
    except (ImpastoError, UnidentifiedImageError):
        raise
    except MemoryError:
        raise PictureError(f"{path} needs more memory than there is") from None
    except Exception as error:  # decoders raise whatever they stumble over
        raise PictureError(f"{path} is damaged or cut off and cannot be decoded ({_reason(error)})") from None


@contextmanager
def image_source(
    path: Path, *, data: bytes | None = None, max_pixels: int = MAX_PIXELS, scene: bool | None = None
) -> Iterator[ImageSource]:
    """A still image as it is read everywhere, its header checked. data: what is in the file, if it is in memory; `path` names it.

    scene: whether linear floats are tone mapped; by default where the file holds light above white, which takes a pass over it.
    Raises PictureError for what is missing, not an image, damaged, animated or larger than max_pixels.
    """
    try:
        with reading(path, max_pixels, None if data is None else opened_bytes(data, str(path))) as image:
            others = at_main_image(image, path)
            check_size(path, image.size, max_pixels)
            check_chunks(image, path)
            metadata = read_metadata(image)
            if image.format == "PNG":  # Pillow would decode all of it to look for what lies behind the pixels
                image.info.setdefault("exif", metadata.exif or b"")
            color, (exif, turned) = color_of(image, path), exif_of(image)
            decoder = decoder_of(image, path if data is None else data)
            messages = (*others, *color.messages)
            if color.is_linear and decoder.samples.white == 1:
                if scene is None:
                    scene = image.format in _SCENES or decoder.above_white()
                if scene:
                    color = color.of_scene()
                    messages += (f"{path} is linear light and is brought to the range of ordinary screens",)
            else:
                scene = None
            orientation = turned if isinstance(turned, int) and 1 <= turned <= 8 and not decoder.upright else 1
            lossy, two_valued = image.format in _LOSSY, image.mode == "1"
            metadata = metadata.upright(decoder.size, orientation)
            yield ImageSource(path, orientation, decoder, color, messages, exif, metadata, scene, lossy, two_valued)
    except UnidentifiedImageError:
        raise PictureError(f"{path} is not a picture in any format that can be read") from None


def _reason(error: Exception) -> str:
    """What a decoder says, in a line: libvips puts the last word last."""
    lines = [line.strip() for line in str(getattr(error, "detail", "") or error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def read_still(path: Path, *, max_pixels: int = MAX_PIXELS) -> Still | None:
    """Read a picture as sRGB of eight bits, as `impasto.media.images.read_picture` does; None for one of more bits. Raises PictureError."""
    with image_source(path, max_pixels=max_pixels) as source:
        return source.read() if source.bits == 8 else None


def exif_of(image: Image.Image) -> tuple[bytes | None, object]:
    """The EXIF block without its orientation, or None, and the orientation."""
    exif = read_exif(image)
    turned = 1 if exif is None else exif.pop(ORIENTATION, 1)
    turned = getattr(image, "tag_v2", {}).get(ORIENTATION, turned)
    return None if exif is None else exif_bytes(exif), turned


def upright(values: np.ndarray, orientation: object) -> np.ndarray:
    """Values (H, W) or (H, W, C) turned and mirrored as EXIF says, 1 to 8: a view of them."""
    if orientation in (5, 6, 7, 8):
        values = values.swapaxes(0, 1)
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    return values


def _turned_box(box: Box, size: Size, orientation: int) -> Box:
    """Where a box of an image of this size, height and width, lies once the image is upright."""
    top, left, bottom, right = box.top, box.left, box.bottom, box.right
    height, width = size
    if orientation >= 5:
        top, left, bottom, right, height, width = left, top, right, bottom, width, height
    if orientation in (2, 3, 6, 7):
        left, right = width - right, width - left
    if orientation in (3, 4, 7, 8):
        top, bottom = height - bottom, height - top
    return Box(top, left, bottom, right)


Strip = tuple[np.ndarray, np.ndarray | None]
"""Some rows of an image: colours (h, W, 3) and alpha (h, W)."""


def resized_strips(strips: Iterator[Strip], before: Size, after: Size) -> Iterator[Strip]:
    """Strips of an image of one size as strips of another: what `resized` makes of the whole."""
    if before == after:
        yield from strips
        return
    scale, done, first = before[0] / after[0], 0, 0
    reach = math.ceil(3 * max(1.0, scale)) + 1  # Lanczos looks at three pixels of the coarser image on either side
    colors, alpha = np.empty((0, before[1], 3)), None
    for more, opaque in strips:
        colors = more if not len(colors) else np.concatenate([colors, more])
        alpha = opaque if alpha is None or opaque is None else np.concatenate([alpha, opaque])
        bottom = first + len(colors)
        ready = after[0] if bottom == before[0] else int((bottom - reach) / scale)
        if ready - done < min(_ROWS, after[0] - done):
            continue
        box = (0.0, done * scale - first, float(before[1]), ready * scale - first)
        yield resized_whole(colors, alpha, (ready - done, after[1]), box)
        done = ready
        past = max(0, int(done * scale) - reach - first)
        colors, alpha, first = colors[past:], None if alpha is None else alpha[past:], first + past


def resized_whole(colors: np.ndarray, alpha: np.ndarray | None, size: Size, box: tuple[float, float, float, float] | None = None) -> Strip:
    """Colours (H, W, 3) and alpha (H, W) as `resized` makes them, with colours weighted by alpha: hidden ones make no fringes.

    Where nothing can be seen afterwards, colours are black; `impasto.media.transparency.filled` makes others of them.
    """
    if alpha is None or (box is None and alpha.shape == tuple(size)):
        return resized(colors, size, box), alpha
    # What a filter overshoots by, it does in colours and alpha alike: neither is clipped before they are divided.
    opaque = _lanczos(as_floats(alpha), size, box)
    planes = [_lanczos(as_floats(colors[..., number]) * as_floats(alpha), size, box) for number in range(3)]
    made, opaque = straight(np.stack(planes, -1), opaque), opaque.clip(0, 1)
    if colors.dtype != np.uint8:
        return made, opaque
    return np.rint(made * 255).astype(np.uint8), np.rint(opaque * 255).astype(np.uint8)


def resized(values: np.ndarray, size: Size, box: tuple[float, float, float, float] | None = None) -> np.ndarray:
    """Bytes or floats in [0, 1], (H, W) or (H, W, 3), brought to (height, width) by Pillow's Lanczos filter.

    box: what of them fills that size, as left, top, right and bottom; all by default.
    """
    if box is None and values.shape[:2] == tuple(size):
        return values
    if values.dtype == np.uint8:
        return _lanczos(values, size, box)
    if values.ndim == 2:
        return _lanczos(values, size, box).clip(0, 1)
    return np.stack([_lanczos(values[..., number], size, box) for number in range(values.shape[2])], -1).clip(0, 1)


def _lanczos(values: np.ndarray, size: Size, box: tuple[float, float, float, float] | None) -> np.ndarray:
    """Bytes (H, W) or (H, W, 3), or floats (H, W) of any range, by Pillow's filter."""
    values = np.ascontiguousarray(values, np.uint8 if values.dtype == np.uint8 else np.float32)
    return np.array(Image.fromarray(values).resize((size[1], size[0]), Image.Resampling.LANCZOS, box))


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


def fit_within(size: tuple[int, int], long_side: int) -> tuple[int, int]:
    """Height and width with the same aspect ratio and the given longer side; no side becomes less than one pixel."""
    scale = long_side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
