"""Videos in HDR, in wide colours or in linear light for ordinary screens: the curves of photos (`light.py`), fast enough for each frame."""

from functools import lru_cache

import cv2
import numpy as np

from impasto.media.light import (
    KNEE,
    PRIMARIES,
    REFERENCE_WHITE,
    TRANSFERS,
    bt1886_decoded,
    bt1886_encoded,
    srgb_encoded,
    to_srgb_matrix,
    to_xyz,
)

_HLG, _TONE_MAPPED = 18, frozenset({16, 18})
_STEPS = np.arange(65536)


class ToScreen:
    """Makes frames that ordinary screens show. primaries, transfer: of the video, by their numbers in H.273. white: the value of white.

    Agrees with `light.py`: PQ and HLG are tone mapped by its one curve, values of cameras are values of cameras again, others become sRGB.
    """

    def __init__(self, primaries: int, transfer: int, *, white: int = 65535):
        points = PRIMARIES.get(primaries, PRIMARIES[1])
        self._tone_mapped, self._hlg = transfer in _TONE_MAPPED, transfer == _HLG
        self._light, self._shown = _tables(transfer, white)
        self._matrix = to_srgb_matrix(points).astype(np.float32)
        self._luminance = to_xyz(points)[1][None].astype(np.float32)

    def __call__(self, coded: np.ndarray) -> np.ndarray:
        """Values (H, W, 3), uint16 from 0 to white, as bytes (H, W, 3)."""
        light = self._light[coded]
        if self._hlg:  # the light of a screen of 1000 nits: `hlg_shown`
            brightness = np.maximum(cv2.transform(light, self._luminance), 0).reshape(light.shape[:2]) ** np.float32(0.2)
            light *= (brightness * (1000 / REFERENCE_WHITE))[..., None]
        light = cv2.transform(light, self._matrix)
        if self._tone_mapped:
            light *= _scale(light.max(-1))[..., None]
        indices: np.ndarray = (np.sqrt(light.clip(0, 1)) * 65535 + 0.5).astype(np.uint16)
        shown: np.ndarray = self._shown[indices]
        return shown


def _scale(peak: np.ndarray) -> np.ndarray:
    """By what `tone_mapped` multiplies pixels whose largest channel is this, (H, W): k + (1 - k) t / (1 + t), divided by it."""
    peak = np.maximum(peak, np.float32(KNEE))
    scale: np.ndarray = (peak - KNEE**2) / (peak + (1 - 2 * KNEE)) / peak
    return scale


@lru_cache(maxsize=8)
def _tables(transfer: int, white: int) -> tuple[np.ndarray, np.ndarray]:
    """The light of each of 65,536 values, float32, and the bytes that show each of 65,536 steps of its root."""
    curve = TRANSFERS.get(transfer, bt1886_decoded)
    encoded = bt1886_encoded if curve is bt1886_decoded else srgb_encoded
    return curve(np.minimum(_STEPS / white, 1)).astype(np.float32), (encoded((_STEPS / 65535) ** 2) * 255).round().astype(np.uint8)
