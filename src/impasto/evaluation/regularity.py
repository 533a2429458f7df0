"""How regular the texture of a painted picture is: a weave, a hatch, a grid or dots that a network repeats everywhere.

The figure is the highest mean autocorrelation (see `perception.autocorrelation`) at 4 to 24 pixels, beyond the first zero of its direction.
0.02 is noise, 1 a perfect grid; what is fair to expect is the figure of the painting itself.
"""

import numpy as np
import torch
from torch import Tensor

from impasto.perception.autocorrelation import FARTHEST, WINDOW, distances, luminance, mean_autocorrelation

NEAREST = 4
"""Distance, in pixels, from which repetition counts."""
_RAYS = 5
"""Degrees between the directions that are looked along."""


def regularity(painted: Tensor, photo: Tensor | None = None) -> float | None:
    """The figure of a picture (1, 3, H, W) in [0, 1], where its photo is flat; None if nothing is flat and textured."""
    found, _ = mean_autocorrelation(_written(painted), None if photo is None else _written(photo))
    return None if found is None else _repetition(torch.fft.fftshift(found[0]).numpy())


def _written(picture: Tensor) -> Tensor:
    """The luminance (1, 1, H, W), in 8 bits as it would be written."""
    return luminance(picture.float().mul(255).round().double().cpu()).round() / 255


def _repetition(correlation: np.ndarray) -> float:
    """The highest value of any direction beyond its first zero."""
    down, across = np.mgrid[-WINDOW:WINDOW, -WINDOW:WINDOW]
    distance = torch.fft.fftshift(distances()).numpy().ravel()
    direction = np.round(np.degrees(np.arctan2(down, across)) / _RAYS).ravel()
    near = np.flatnonzero((distance > 0) & (distance <= FARTHEST))
    highest = 0.0
    for ray in np.unique(direction):
        along = near[direction[near] == ray]
        along = along[np.argsort(distance[along], kind="stable")]
        values = correlation.ravel()[along]
        negative = np.flatnonzero(values < 0)
        if len(negative):
            beyond = values[negative[0] :][distance[along][negative[0] :] >= NEAREST]
            highest = max(highest, float(beyond.max(initial=0.0)))
    return highest
