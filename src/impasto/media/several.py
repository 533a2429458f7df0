"""Files of several images: which of them is meant, read from the header."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from impasto.errors import PictureError
from impasto.media.opening import frames_of
from impasto.media.psd import PsdFile
from impasto.media.tiff import first_directory

_SUBFILE, _OLD_SUBFILE, _PHOTOMETRIC, _WIDTH, _HEIGHT, _PROFILE = 254, 255, 262, 256, 257, 34675
"""Tags of TIFF."""
_PAGE, _REDUCED, _MASK = 2, 2, 4
"""NewSubfileType's bit of a page among others, SubfileType's number of a smaller version, and the interpretation that is a mask."""
_MOST_PAGES = 10_000


@dataclass(frozen=True)
class _Page:
    """A directory of a TIFF. whole: whether it does not say that it is a smaller version, a mask or a map of another image."""

    number: int
    size: tuple[int, int]
    whole: bool

    def is_small(self, largest: "_Page") -> bool:
        """Whether it is an overview or a thumbnail of the largest: of the same shape and smaller, or a quarter of both sides at most."""
        (width, height), (wide, high) = self.size, largest.size
        same_shape = abs(width * high - height * wide) <= 2 * max(wide, high)
        return (same_shape and width < wide and height < high) or (4 * width <= wide and 4 * height <= high)


def at_main_image(image: Image.Image, path: Path) -> tuple[str, ...]:
    """Go to the image that a file is about, and say which others it holds.

    TIFF: the largest that is no smaller version and no mask; PSD: the merged image; HEIF: the one that the file calls its primary image;
    MPO: the first. Raises PictureError for an animation, for pages of which none is the main one, and for layers without a merged image.
    """
    if isinstance(image, PsdFile):
        if not image.is_merged:
            raise PictureError(f"{path} holds layers and no merged image; save it again with the option 'Maximize compatibility'")
        return ()
    if image.format == "TIFF":
        return _at_main_page(image, path)
    count = int(getattr(image, "n_frames", 1))
    if count < 2 or image.format == "MPO":
        return ()
    if image.format == "HEIF":
        return (f"{path} holds {count} images; the main one is taken",)
    raise PictureError(f"{path} holds {count} {'frames' if frames_of(image) > 1 else 'images'}, and one image was expected")


def _at_main_page(image: Image.Image, path: Path) -> tuple[str, ...]:
    pages = [*_pages(image)]
    whole = [page for page in pages if page.whole] or pages
    largest = max(whole, key=lambda page: page.size[0] * page.size[1])
    main = [page for page in whole if not page.is_small(largest)]
    if len(main) > 1:
        raise PictureError(
            f"{path} holds {len(main)} pages, and one image was expected; "
            f"save one page as a file of its own, for instance by `magick '{path.name}[0]' page.tif`"
        )
    if largest.number != image.tell():
        image.seek(largest.number)
        if _PROFILE not in image.tag_v2:  # type: ignore[attr-defined]
            image.info.pop("icc_profile", None)  # Pillow keeps that of the page before
    return (f"{path} holds {len(whole)} images; the largest is taken",) if len(whole) > 1 else ()


def _pages(image: Image.Image) -> Iterator[_Page]:
    """The directories of a TIFF in a row; where the file is read stays as it was."""
    stream: Any = image.fp  # type: ignore[attr-defined]
    place = stream.tell()
    stream.seek(0)
    tags = first_directory(stream.read(16))
    seen: set[int] = set()
    while tags.next and tags.next not in seen and len(seen) < _MOST_PAGES:
        seen.add(tags.next)
        stream.seek(tags.next)
        tags.load(stream)
        kind, old = int(tags.get(_SUBFILE, 0)), int(tags.get(_OLD_SUBFILE, 1))
        whole = kind & ~_PAGE == 0 and old != _REDUCED and tags.get(_PHOTOMETRIC) != _MASK
        yield _Page(len(seen) - 1, (int(tags.get(_WIDTH, 0)), int(tags.get(_HEIGHT, 0))), whole)
    stream.seek(place)
