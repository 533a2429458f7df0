"""The grain: noise of several scales that gives a network places for strokes where a photo is flat; free of heavy imports."""

from pathlib import Path

import numpy as np

_SCALES = 5
"""Cells of 1, 2, 4, ... pixels."""


def painted(size: tuple[int, int], *, smooth: bool) -> np.ndarray:
    """The noise (1, 1, H, W) that pictures of a size are painted with: always the same, so that a photo is painted alike twice."""
    return noise((1, 1, *size), np.random.default_rng(0), smooth=smooth)


def noise(shape: tuple[int, int, int, int], random: np.random.Generator, *, smooth: bool = False) -> np.ndarray:
    """Gaussian noise (B, C, H, W), float32, of about unit deviation with equal parts of cells of 1, 2, 4, ... pixels.

    smooth: cells run into one another; otherwise they have edges, which a network trained with them takes for its own.
    """
    total = np.zeros(shape, np.float32)
    for scale in range(_SCALES):
        cells = _cells(shape[2:], scale)
        part = random.standard_normal((*shape[:2], *cells), dtype=np.float32)
        if scale:
            (_, rows), (_, columns) = (_brought_up(*sides, 0, sides[1], smooth=smooth) for sides in zip(cells, shape[2:], strict=True))
            part = rows @ part @ columns.T
        total += part
    return total / np.float32(_SCALES**0.5)


class Grain:
    """What `painted` gives, a rectangle at a time; the cells of one pixel are kept in a file."""

    def __init__(self, size: tuple[int, int], path: Path, *, smooth: bool):
        self._size, self._path, self._smooth = size, path, smooth
        random = np.random.default_rng(0)
        strip = max(1, 1_000_000 // size[1])
        with path.open("wb") as stream:
            for top in range(0, size[0], strip):
                stream.write(random.standard_normal((min(strip, size[0] - top), size[1]), dtype=np.float32).tobytes())
        self._coarser = [random.standard_normal(_cells(size, scale), dtype=np.float32) for scale in range(1, _SCALES)]

    def rectangle(self, top: int, left: int, bottom: int, right: int) -> np.ndarray:
        """The noise (1, 1, h, w) of rows from `top` to before `bottom`, and of columns alike."""
        total = np.empty((bottom - top, right - left), np.float32)
        with self._path.open("rb", buffering=0) as stream:
            for row, line in enumerate(total, top):
                stream.seek(4 * (row * self._size[1] + left))
                stream.readinto(line.data)
        for part in self._coarser:
            (low, rows), (near, columns) = (
                _brought_up(cells, side, *ends, smooth=self._smooth)
                for cells, side, ends in zip(part.shape, self._size, ((top, bottom), (left, right)), strict=True)
            )
            total += rows @ part[low : low + rows.shape[1], near : near + columns.shape[1]] @ columns.T
        return total[None, None] / np.float32(_SCALES**0.5)


def _cells(size: tuple[int, ...], scale: int) -> tuple[int, ...]:
    return tuple(-(-side // 2**scale) for side in size)


def _brought_up(cells: int, size: int, begin: int, end: int, *, smooth: bool) -> tuple[int, np.ndarray]:
    """What brings a row of cells to a size, for its places from `begin` to before `end`: the first cell that is needed, and a matrix
    (places, cells). By cubic interpolation (Keys 1981, a = -0.75), or each repeated.
    """
    places = (np.arange(begin, end) + 0.5) * cells / size
    row = np.arange(end - begin)
    if not smooth:
        taken = places.astype(int)
        matrix = np.zeros((end - begin, taken[-1] - taken[0] + 1), np.float32)
        matrix[row, taken - taken[0]] = 1
        return int(taken[0]), matrix
    first, last = (int(np.clip(np.floor(places[at] - 0.5) + offset, 0, cells - 1)) for at, offset in ((0, -1), (-1, 2)))
    matrix = np.zeros((end - begin, last - first + 1), np.float32)
    for offset in (-1, 0, 1, 2):
        taken = np.floor(places - 0.5).astype(int) + offset
        away = np.abs(places - 0.5 - taken)
        near, far = ((1.25 * away - 2.25) * away**2 + 1, ((-0.75 * away + 3.75) * away - 6) * away + 3)
        np.add.at(matrix, (row, taken.clip(0, cells - 1) - first), np.where(away <= 1, near, far))
    return first, matrix
