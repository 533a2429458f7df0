"""The grain: noise of several scales that gives a network places for strokes where a photo is flat; free of heavy imports."""

import numpy as np


def painted(size: tuple[int, int], *, smooth: bool) -> np.ndarray:
    """The noise (1, 1, H, W) that pictures of a size are painted with: always the same, so that a photo is painted alike twice."""
    return noise((1, 1, *size), np.random.default_rng(0), smooth=smooth)


def noise(shape: tuple[int, int, int, int], random: np.random.Generator, *, scales: int = 5, smooth: bool = False) -> np.ndarray:
    """Gaussian noise (B, C, H, W), float32, of about unit deviation with equal parts of cells of 1, 2, 4, ... pixels.

    smooth: cells run into one another; otherwise they have edges, which a network trained with them takes for its own.
    """
    total = np.zeros(shape, np.float32)
    for scale in range(scales):
        cells = [-(-side // 2**scale) for side in shape[2:]]
        part = random.standard_normal((*shape[:2], *cells), dtype=np.float32)
        if scale:
            rows, columns = (_brought_up(*sides, smooth=smooth) for sides in zip(cells, shape[2:], strict=True))
            part = rows @ part @ columns.T
        total += part
    return total / np.float32(scales**0.5)


def _brought_up(cells: int, size: int, *, smooth: bool) -> np.ndarray:
    """The matrix (size, cells) that brings a row of cells to a size: by cubic interpolation (Keys 1981, a = -0.75), or each repeated."""
    matrix = np.zeros((size, cells), np.float32)
    places = (np.arange(size) + 0.5) * cells / size
    if not smooth:
        matrix[np.arange(size), places.astype(int)] = 1
        return matrix
    for offset in (-1, 0, 1, 2):
        taken = np.floor(places - 0.5).astype(int) + offset
        away = np.abs(places - 0.5 - taken)
        near, far = ((1.25 * away - 2.25) * away**2 + 1, ((-0.75 * away + 3.75) * away - 6) * away + 3)
        np.add.at(matrix, (np.arange(size), taken.clip(0, cells - 1)), np.where(away <= 1, near, far))
    return matrix
