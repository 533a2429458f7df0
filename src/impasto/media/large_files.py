"""Picture files from and to canvases, by strips where the format allows it."""

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from impasto.errors import PictureError
from impasto.files import atomic_file
from impasto.media.canvas import Box, Canvas, Size, tiles
from impasto.media.color import laid_on
from impasto.media.decoding import vips
from impasto.media.image_metadata import ImageMetadata, fitted
from impasto.media.image_writer import FORMATS, check_writable, finished, kind_of, strip_options, write_still
from impasto.media.stills import ImageSource, Still, Strip, image_source, resized_strips
from impasto.media.transparency import fill

_STRIP = 256
"""Rows that are read at a time of a file of pixels."""


@dataclass(frozen=True)
class Header:
    """What is known of a picture file before it is decoded. size: height and width, upright. streamed: whether it is read by strips.
    bits: 8, or 16 where a channel holds more. metadata, messages: as in `impasto.media.images.Picture`.
    """

    size: Size
    streamed: bool
    bits: int
    metadata: ImageMetadata | None = field(default=None, repr=False)
    messages: tuple[str, ...] = ()

    @classmethod
    def of(cls, source: ImageSource) -> "Header":
        """That of a file that is open."""
        return cls(source.size, source.decoder.streamed, source.bits, source.metadata, source.messages)


@dataclass(frozen=True)
class LargePicture:
    """A picture in files: its pixels, its alpha if it has one, and the metadata of the file that it was read from.

    bits: 8 or 16, what each channel of that file holds; of 16 bits the canvases hold floats.
    """

    pixels: Canvas
    alpha: Canvas | None = None
    metadata: ImageMetadata | None = field(default=None, repr=False)
    bits: int = 8

    @classmethod
    def there(cls, folder: Path, size: Size, *, alpha: bool, header: Header) -> "LargePicture":
        """In files of a folder, which are made if they are not there."""
        deep = header.bits > 8
        opaque = Canvas(folder / "alpha.raw", size, channels=1, deep=deep) if alpha else None
        return cls(Canvas(folder / "photo.raw", size, deep=deep), opaque, header.metadata, header.bits)

    def take(self, boxes: Iterable[tuple[Box, np.ndarray, np.ndarray | None]]) -> None:
        """Put what is read into the files."""
        for box, colors, alpha in boxes:
            self.pixels.put(box, colors)
            if self.alpha is not None and alpha is not None:
                self.alpha.put(box, alpha[:, :, None])

    def fill(self) -> None:
        """Make the colours that alpha hides of those that can be seen."""
        pixels, alpha = self.pixels, self.alpha
        if alpha is not None:
            fill(pixels.size, lambda box: (pixels.stored(box), alpha.stored(box)[:, :, 0]), pixels.put)

    def strips(self) -> Iterator[Strip]:
        """Rows of what is in the files."""
        for top in range(0, self.pixels.size[0], _STRIP):
            box = Box(top, 0, min(top + _STRIP, self.pixels.size[0]), self.pixels.size[1])
            yield self.pixels.stored(box), None if self.alpha is None else self.alpha.stored(box)[:, :, 0]


def read_header(path: Path, *, max_pixels: int) -> Header:
    """The header of a picture file. Raises PictureError."""
    with image_source(path, max_pixels=max_pixels) as source:
        return Header.of(source)


def read_large(path: Path, folder: Path, size: Size, *, max_pixels: int) -> LargePicture:
    """Read a picture at a size (height, width) into files of a folder. Raises PictureError."""
    with image_source(path, max_pixels=max_pixels) as source:
        header = Header.of(source)
        found = LargePicture.there(folder, size, alpha=source.alpha, header=header)
        if size == source.size or source.orientation < 5:
            found.take(source.boxes(size))
            return found
        # Resizing rounds rows before columns: rows have to be those of the upright picture, as they are where it is resized whole.
        turned = LargePicture.there(folder / "turned", source.size, alpha=source.alpha, header=header)
        turned.take(source.boxes(source.size))
        top = 0
        for colors, alpha in resized_strips(turned.strips(), source.size, size):
            found.take([(Box(top, 0, top + len(colors), size[1]), colors, alpha)])
            top += len(colors)
        shutil.rmtree(folder / "turned")
    return found


def write_large(picture: LargePicture, path: Path, *, exif: bool, background: str) -> tuple[str, ...]:
    """Write a picture from its files in the format of the suffix; the file appears whole or not at all.

    Everything else as of `impasto.media.images.write_result`. Raises PictureError.
    """
    kind, size = kind_of(path), picture.pixels.size
    check_writable(path, size=size)
    holds = FORMATS[kind]
    pixels, alpha = picture.pixels, picture.alpha
    if alpha is not None and not holds.alpha:
        laid = Canvas(pixels.path.with_name("laid.raw"), size, deep=pixels.deep)
        for box in tiles(size, 1024):
            laid.write(box, laid_on(background, pixels.read(box)[0], alpha.read(box)[0])[None])
        pixels, alpha = laid, None
    if holds.strips is None:
        opaque = None if alpha is None else alpha.values()[:, :, 0]
        return write_still(Still(pixels.values(), opaque, metadata=picture.metadata), path, exif=exif)
    pyvips, bits = vips(), 16 if picture.bits > 8 and holds.deep else 8
    image = _by_strips(pyvips, pixels, bits)
    if alpha is not None:
        image = image.bandjoin(_by_strips(pyvips, alpha, bits))
    image = image.copy(interpretation="srgb" if bits == 8 else "rgb16")
    blocks, messages = fitted(picture.metadata, kind, size, keep=exif)
    try:
        with atomic_file(path) as part:
            bare = part.with_suffix(".bare")
            try:
                getattr(image, f"{kind.lower()}save")(str(bare), **strip_options(kind, size, bits))
                with bare.open("rb") as encoded:
                    return messages + finished(encoded, part, kind, blocks)
            finally:
                bare.unlink(missing_ok=True)
    except (pyvips.Error, OSError) as error:
        raise PictureError(f"cannot write {path}: {getattr(error, 'strerror', None) or _reason(error)}") from None


def _by_strips(pyvips: Any, canvas: Canvas, bits: int) -> Any:
    """A canvas as an image of 8 or 16 bits; in one piece all of the file would be mapped, and count as memory."""
    (height, width), row = canvas.size, canvas.size[1] * canvas.channels * (4 if canvas.deep else 1)
    kind = "float" if canvas.deep else "uchar"
    tops = range(0, height, _STRIP)
    strips = [
        pyvips.Image.rawload(str(canvas.path), width, min(_STRIP, height - top), canvas.channels, offset=top * row, format=kind)
        for top in tops
    ]
    image = pyvips.Image.arrayjoin(strips, across=1).crop(0, 0, width, height)
    return (image * (2**bits - 1)).rint().cast("uchar" if bits == 8 else "ushort") if canvas.deep else image


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(getattr(error, "detail", "") or error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
