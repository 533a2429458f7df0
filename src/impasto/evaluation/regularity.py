"""How regular the texture of a painted picture is: a weave, a hatch, a grid or dots that a network repeats everywhere.

Where the photo is flat, all texture comes from the painting. The luminance less its slow part is correlated with itself in every such
window, and the correlations of all windows are averaged: strokes that follow the picture cancel out, what repeats everywhere stays. The
figure is the highest value at 4 to 24 pixels, beyond the first zero of its direction. 0.02 is noise, 1 a perfect grid; what is fair to
expect is the figure of the painting itself.
"""

import cv2
import numpy as np
from torch import Tensor

WINDOW = 48
"""Side of a window in pixels; windows overlap by half."""
NEAREST, FARTHEST = 4, 24
"""Distances, in pixels, at which repetition counts."""
FLAT, TEXTURED = 0.02, 0.01
"""Deviation of the detail of a photo up to which a window is flat, and of a painted picture from which it is textured; white is 1."""
_SLOW, _KERNEL = 6.0, 49
_RAYS = 5
"""Degrees between the directions that are looked along."""


def regularity(painted: Tensor, photo: Tensor | None = None) -> float | None:
    """The figure of a picture (1, 3, H, W) in [0, 1], where its photo is flat; None if nothing is flat and textured."""
    detail = _detail(painted)
    plain = None if photo is None else _detail(photo)
    taper = np.outer(np.hanning(WINDOW), np.hanning(WINDOW))
    found = []
    for top in range(0, detail.shape[0] - WINDOW + 1, WINDOW // 2):
        for left in range(0, detail.shape[1] - WINDOW + 1, WINDOW // 2):
            here = (slice(top, top + WINDOW), slice(left, left + WINDOW))
            if detail[here].std() >= TEXTURED and (plain is None or plain[here].std() <= FLAT):
                found.append(_correlation((detail[here] - detail[here].mean()) * taper))
    if not found:
        return None
    overlap = _correlation(taper)
    return _repetition(np.mean(found, 0) / np.maximum(overlap, 0.05))


def _detail(picture: Tensor) -> np.ndarray:
    """The luminance (H, W), in 8 bits as it would be written, less its slow part."""
    red, green, blue = picture[0].float().mul(255).round().double().cpu().numpy()
    luma = np.round(0.299 * red + 0.587 * green + 0.114 * blue) / 255
    return np.asarray(luma - cv2.GaussianBlur(luma, (_KERNEL, _KERNEL), _SLOW, borderType=cv2.BORDER_REFLECT))


def _correlation(window: np.ndarray) -> np.ndarray:
    """The correlation of a window with itself by displacement, (2 WINDOW, 2 WINDOW), 1 in the centre."""
    spectrum = np.abs(np.fft.fft2(window, (2 * WINDOW, 2 * WINDOW))) ** 2
    moved = np.fft.fftshift(np.fft.ifft2(spectrum).real)
    return np.asarray(moved / moved.max())


def _repetition(correlation: np.ndarray) -> float:
    """The highest value of any direction beyond its first zero."""
    down, across = np.mgrid[-WINDOW:WINDOW, -WINDOW:WINDOW]
    distance = np.hypot(down, across).ravel()
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
