"""Pictures that are larger than memory: kept in a file, read and written by rectangles, and resized a rectangle at a time."""

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from impasto.media.boxes import Box as Box
from impasto.media.boxes import Size as Size

_STEP = 512
"""Side, in pixels, of what is held of a picture that is resized as a whole."""


def tiles(size: Size, side: int) -> list[Box]:
    """Rectangles of about `side` pixels that cover a picture, row by row; their sides are multiples of 4 but for the last ones."""
    rows, columns = (_cut(length, side) for length in size)
    return [Box(top, left, bottom, right) for top, bottom in rows for left, right in columns]


def _cut(length: int, side: int) -> list[tuple[int, int]]:
    count = max(1, round(length / side))
    each = -(-length // (4 * count)) * 4
    ends = [*range(each, length, each), length]
    return list(zip([0, *ends[:-1]], ends, strict=True))


class Canvas:
    """A picture (H, W, C) of bytes or floats in a file of its own; what is not looked at takes no memory.

    path: the file; one of the right size is taken as it is.
    size: height and width. channels: 3, or 1 for alpha.
    deep: floats, for what is worked on further.
    """

    def __init__(self, path: Path, size: Size, *, channels: int = 3, deep: bool = False):
        self.path, self.size, self.channels, self.deep = path, size, channels, deep
        self._dtype = np.dtype(np.float32 if deep else np.uint8)
        needed = math.prod(size) * channels * self._dtype.itemsize
        if not (path.is_file() and path.stat().st_size == needed):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("wb") as stream:
                stream.truncate(needed)

    def values(self, mode: str = "r") -> np.ndarray:
        """The stored values (H, W, C), mapped to memory as long as they are held."""
        return np.memmap(self.path, self._dtype, mode, shape=(*self.size, self.channels))  # type: ignore[call-overload,no-any-return]

    def read(self, box: Box) -> Tensor:
        """A rectangle as (1, C, h, w), float32 in [0, 1]."""
        pixels = torch.from_numpy(self.stored(box).astype(np.float32)).permute(2, 0, 1)[None]
        return pixels if self.deep else pixels / 255

    def stored(self, box: Box) -> np.ndarray:
        """A rectangle (h, w, C) as it is stored: bytes, or floats of a deep one."""
        part = np.empty((*box.size, self.channels), self._dtype)
        with self.path.open("rb", buffering=0) as stream:
            for number, place in enumerate(self._rows(box)):
                stream.seek(place)
                if stream.readinto(part[number]) != part[number].nbytes:
                    raise OSError(f"{self.path} is not whole")
        return part

    def write(self, box: Box, pixels: Tensor) -> None:
        """Put (1, C, h, w) in [0, 1] there."""
        values = pixels[0].float().cpu().clamp(0, 1).permute(1, 2, 0)
        self.put(box, (values if self.deep else values.mul(255).round()).numpy())

    def put(self, box: Box, values: np.ndarray) -> None:
        """Put values (h, w, C) there as they are stored: bytes, or floats in [0, 1] of a deep one."""
        part = np.ascontiguousarray(values, self._dtype)
        with self.path.open("rb+", buffering=0) as stream:
            for number, place in enumerate(self._rows(box)):
                stream.seek(place)
                stream.write(part[number])

    def _rows(self, box: Box) -> Iterator[int]:
        """Where each row of a rectangle begins in the file. Files are read, not mapped: pages that are mapped count as memory."""
        for row in range(box.top, box.bottom):
            yield (row * self.size[1] + box.left) * self.channels * self._dtype.itemsize

    def resized(self, size: Size, box: Box) -> Tensor:
        """A rectangle of this picture brought to another size, (1, C, h, w): what `impasto.media.images.rescale` gives there."""
        if size == self.size:
            return self.read(box)
        rows, down = _weights(self.size[0], size[0], box.top, box.bottom)
        columns, across = _weights(self.size[1], size[1], box.left, box.right)
        return _weighted(self.read(Box(rows[0], columns[0], rows[1], columns[1])), down, across).clamp(0, 1)

    def whole(self, size: Size) -> Tensor:
        """All of it at another size, (1, C, h, w)."""
        picture = torch.empty(1, self.channels, *size)
        for box in self._steps(size):
            box.of(picture).copy_(self.resized(size, box))
        return picture

    def _steps(self, size: Size) -> list[Box]:
        """Rectangles of another size that are made of little each."""
        return tiles(size, max(4, min(_STEP, int(_STEP * min(1.0, size[0] / self.size[0])))))

    def copied(self, path: Path, size: Size) -> "Canvas":
        """All of it at another size in another file, of floats."""
        copy = Canvas(path, size, channels=self.channels, deep=True)
        for box in self._steps(size):
            copy.write(box, self.resized(size, box))
        return copy


def brought_up(picture: Tensor, size: Size, box: Box) -> Tensor:
    """A rectangle of (1, C, H, W) of any values brought to another size, by antialiased cubic interpolation."""
    if tuple(picture.shape[-2:]) == size:
        return box.of(picture)
    rows, down = _weights(picture.shape[-2], size[0], box.top, box.bottom)
    columns, across = _weights(picture.shape[-1], size[1], box.left, box.right)
    return _weighted(picture[..., rows[0] : rows[1], columns[0] : columns[1]], down, across)


def _weighted(part: Tensor, down: Tensor, across: Tensor) -> Tensor:
    return torch.matmul(torch.matmul(down, part), across.T)


def _weights(before: int, after: int, begin: int, end: int) -> tuple[tuple[int, int], Tensor]:
    """Which pixels of a line of `before` the pixels `begin` to `end` of a line of `after` are made of, and how much of each.

    Cubic interpolation with a = -0.5 (Keys 1981), as wide as the pixels of the coarser line: the filter of PyTorch and Pillow.
    """
    scale = before / after
    wide = max(scale, 1.0)
    centres = (torch.arange(begin, end, dtype=torch.float64) + 0.5) * scale
    first = max(0, int(float(centres[0]) - 2 * wide + 0.5))
    last = min(before, int(float(centres[-1]) + 2 * wide + 0.5))
    away = ((torch.arange(first, last, dtype=torch.float64) + 0.5 - centres[:, None]) / wide).abs()
    near, far = (1.5 * away - 2.5) * away**2 + 1, ((-0.5 * away + 2.5) * away - 4) * away + 2
    weights = torch.where(away < 1, near, torch.where(away < 2, far, 0.0))
    return (first, last), (weights / weights.sum(1, keepdim=True)).float()
