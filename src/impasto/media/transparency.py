"""Colours of transparent places: whatever a file hides there, they are made of what can be seen, so that nothing hidden has an influence.

Push-pull (Gortler et al. 1996, "The Lumigraph", section 3.4): colours weighted by alpha are averaged to half the size until all places have
one, and come back down where finer ones have none: a smooth continuation of the visible edge. The finest levels are worked out by boxes,
the coarse ones of the whole image at once, so that memory stays bounded and an image by tiles gives what it gives whole.

Free of heavy imports. Images are (H, W, 3), alpha (H, W), bytes or floats in [0, 1].
"""

from collections.abc import Callable, Iterator

import numpy as np

from impasto.media.boxes import Box, Size

FAINT = 8 / 255
"""Alpha from which on a place has its own colour whole, below half of it none: it shows less than a 32nd, and lossy formats leave any."""
_LEVELS = 5
"""Halvings that are worked out by boxes."""
_CELL = 1 << _LEVELS
_SIDE = 512
"""Side, in pixels, of a box."""
_UNKNOWN = 0.5
"""Grey of an image in which nothing can be seen."""

Values = tuple[np.ndarray, np.ndarray]
Read = Callable[[Box], Values]
"""Colours and alpha of a part of an image."""
Write = Callable[[Box, np.ndarray], None]
"""Takes the colours of a part of an image."""


def as_floats(values: np.ndarray) -> np.ndarray:
    """Bytes or floats as float32 in [0, 1]."""
    return values.astype(np.float32) / np.float32(255) if values.dtype == np.uint8 else values.astype(np.float32, copy=False)


def straight(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours that are multiplied by alpha, floats, as they were, in [0, 1]; 0 where nothing can be seen."""
    divided: np.ndarray = np.divide(colors, alpha[..., None], out=np.zeros_like(colors), where=alpha[..., None] > 0)
    return divided.clip(0, 1, out=divided)


def hides(alpha: np.ndarray) -> bool:
    """Whether there is a place whose own colour does not count whole."""
    return bool(alpha.size) and bool(as_floats(alpha.min()) < FAINT)


def filled(colors: np.ndarray, alpha: np.ndarray | None) -> np.ndarray:
    """The colours with those of transparent places made of what can be seen; of the type that they have. Visible ones stay to the bit."""
    if alpha is None or not hides(alpha):
        return colors
    made = colors.copy()
    fill(colors.shape[:2], lambda box: (colors[box.rows, box.columns], alpha[box.rows, box.columns]), _into(made))
    return made


def _into(image: np.ndarray) -> Write:
    def write(box: Box, colors: np.ndarray) -> None:
        image[box.rows, box.columns] = colors

    return write


def fill(size: Size, read: Read, write: Write) -> None:
    """The same for an image that is read and written by boxes; those where nothing is hidden are not written.

    It may be written where it is read from: transparent places count for nothing, whatever their colours are by then.
    """
    boxes = [*_boxes(size)]
    cells = np.zeros((-(-size[0] // _CELL), -(-size[1] // _CELL), 4), np.float32)
    for box in boxes:
        place = _cells(box)
        cells[place.rows, place.columns] = _pushed(_weighted(*read(box)))[-1]
    coarse = _pulled(_whole(cells))[: len(cells), : cells.shape[1]]
    for box in boxes:
        colors, alpha = read(box)
        if not hides(alpha):
            continue
        around = box.grown(_CELL, size)
        place = _cells(around)
        levels = _pushed(_weighted(*read(around)))
        found = coarse[place.rows, place.columns]
        for level in reversed(levels[:-1]):
            found = _blended(level, found)
        inner = box.within(around)
        own = _own(as_floats(alpha))[..., None]
        made = as_floats(colors) * own + found[inner.rows, inner.columns] * (1 - own)
        if colors.dtype == np.uint8:
            made = np.rint(made * 255)
        write(box, np.where(own < 1, made.astype(colors.dtype), colors))


def _own(alpha: np.ndarray) -> np.ndarray:
    """How much of its own colour a place has, by its alpha."""
    return (alpha * np.float32(2 / FAINT) - 1).clip(0, 1)


def _boxes(size: Size) -> Iterator[Box]:
    """Boxes that cover an image, their corners on cells."""
    for top in range(0, size[0], _SIDE):
        for left in range(0, size[1], _SIDE):
            yield Box(top, left, min(size[0], top + _SIDE), min(size[1], left + _SIDE))


def _cells(box: Box) -> Box:
    """The coarse cells of a box."""
    return Box(box.top // _CELL, box.left // _CELL, -(-box.bottom // _CELL), -(-box.right // _CELL))


def _weighted(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """Colours times weight, and weight: (H, W, 4), with nothing added up to whole cells. Faint places weigh less than they show."""
    height, width = (-(-side // _CELL) * _CELL for side in alpha.shape)
    weight = as_floats(alpha)
    weight = weight * _own(weight)
    found = np.zeros((height, width, 4), np.float32)
    found[: alpha.shape[0], : alpha.shape[1], :3] = as_floats(colors) * weight[..., None]
    found[: alpha.shape[0], : alpha.shape[1], 3] = weight
    return found


def _pushed(finest: np.ndarray) -> list[np.ndarray]:
    """Levels of half the size each, from the finest to that of the cells."""
    levels = [finest]
    for _ in range(_LEVELS):
        levels.append(_halved(levels[-1]))
    return levels


def _whole(cells: np.ndarray) -> list[np.ndarray]:
    """Levels from that of the cells to a single place."""
    levels = [cells]
    while max(levels[-1].shape[:2]) > 1:
        height, width = levels[-1].shape[:2]
        levels[-1] = np.pad(levels[-1], ((0, height % 2), (0, width % 2), (0, 0)))
        levels.append(_halved(levels[-1]))
    return levels


def _pulled(levels: list[np.ndarray]) -> np.ndarray:
    """Colours (H, W, 3) of the finest of some levels, all of them known."""
    last = levels[-1]
    found = np.full((*last.shape[:2], 3), _UNKNOWN, np.float32)
    np.divide(last[..., :3], last[..., 3:], out=found, where=last[..., 3:] > 0)
    for level in reversed(levels[:-1]):
        found = _blended(level, found)
    return found


def _halved(level: np.ndarray) -> np.ndarray:
    """Sums of 2 x 2 places; no place weighs more than 1, so that what is near counts before what is large."""
    summed: np.ndarray = level[0::2, 0::2] + level[1::2, 0::2] + level[0::2, 1::2] + level[1::2, 1::2]
    summed /= np.maximum(summed[..., 3:], 1)
    return summed


def _blended(level: np.ndarray, coarser: np.ndarray) -> np.ndarray:
    """Colours of a level: its own as far as their weight goes, else those of the coarser one, (H / 2, W / 2, 3)."""
    height, width = level.shape[:2]
    wider = _doubled(_doubled(coarser, 0), 1)[:height, :width]
    blended: np.ndarray = level[..., :3] + wider * (1 - level[..., 3:])
    return blended


def _doubled(values: np.ndarray, axis: int) -> np.ndarray:
    """Twice as many places along an axis, interpolated: three quarters of the nearest and a quarter of the next."""
    along = np.moveaxis(values, axis, 0)
    before, after = np.concatenate([along[:1], along[:-1]]), np.concatenate([along[1:], along[-1:]])
    made = np.empty((2 * len(along), *along.shape[1:]), np.float32)
    made[0::2], made[1::2] = 0.75 * along + 0.25 * before, 0.75 * along + 0.25 * after
    return np.moveaxis(made, 0, axis)
