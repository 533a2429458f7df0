"""Linear light: the transfer functions and primaries of ITU-T H.273, and the way from them to sRGB.

Light is 1.0 at white. Arrays are (..., 3) or (..., 1), float32 or float64; every function looks at each pixel alone.
"""

from collections.abc import Callable
from functools import lru_cache, partial

import numpy as np

Curve = Callable[[np.ndarray], np.ndarray]
"""Coded values in [0, 1] to linear light."""
Chromaticities = tuple[tuple[float, float], tuple[float, float], tuple[float, float], tuple[float, float]]
"""x and y (CIE 1931) of red, green, blue and white."""

_D65, _C, _DCI = (0.3127, 0.3290), (0.310, 0.316), (0.314, 0.351)
PRIMARIES: dict[int, Chromaticities] = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060), _D65),  # BT.709, sRGB
    4: ((0.670, 0.330), (0.210, 0.710), (0.140, 0.080), _C),
    5: ((0.640, 0.330), (0.290, 0.600), (0.150, 0.060), _D65),
    6: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    7: ((0.630, 0.340), (0.310, 0.595), (0.155, 0.070), _D65),
    8: ((0.681, 0.319), (0.243, 0.692), (0.145, 0.049), _C),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046), _D65),  # BT.2020
    10: ((1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1 / 3, 1 / 3)),
    11: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _DCI),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060), _D65),  # Display P3
    22: ((0.630, 0.340), (0.295, 0.605), (0.155, 0.077), _D65),
}
"""Colour primaries by their numbers in H.273, table 2."""
ADOBE_RGB: Chromaticities = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06), _D65)

REFERENCE_WHITE = 203
"""Nits of a white sheet in HDR images (BT.2408)."""
KNEE = 0.85
"""Light up to which the tone curve changes nothing."""
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def srgb_decoded(coded: np.ndarray) -> np.ndarray:
    """sRGB's values as linear light (IEC 61966-2-1)."""
    return np.where(coded <= 0.04045, coded / 12.92, ((np.maximum(coded, 0) + 0.055) / 1.055) ** 2.4)


def srgb_encoded(light: np.ndarray) -> np.ndarray:
    """Linear light as sRGB's values (IEC 61966-2-1)."""
    return np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055)


def bt1886_decoded(coded: np.ndarray) -> np.ndarray:
    """Values of cameras (BT.709, BT.601, BT.2020) as the light of a screen (BT.1886)."""
    return np.asarray(np.maximum(coded, 0) ** 2.4)


def bt1886_encoded(light: np.ndarray) -> np.ndarray:
    """The light of a screen as a camera's values (BT.1886)."""
    return np.asarray(np.maximum(light, 0) ** (1 / 2.4))


def as_it_is(coded: np.ndarray) -> np.ndarray:
    """Values that are light."""
    return coded


def power_decoded(coded: np.ndarray, *, gamma: float, gain: float = 1.0) -> np.ndarray:
    """Light is a power of the value."""
    return np.asarray(gain * np.maximum(coded, 0) ** gamma)


@lru_cache(maxsize=32)
def gamma_curve(gamma: float) -> Curve:
    """The curve of a power; of 1, none."""
    return as_it_is if gamma == 1 else partial(power_decoded, gamma=gamma)


def log_decoded(coded: np.ndarray, *, decades: float) -> np.ndarray:
    """Light is exponential over so many powers of ten; 0 is black (H.273, transfers 9 and 10)."""
    return np.where(coded > 0, 10.0 ** (decades * (coded - 1)), 0.0)


def pq_decoded(coded: np.ndarray) -> np.ndarray:
    """PQ's values (SMPTE ST 2084) as light; 1.0 is `REFERENCE_WHITE`."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    root = np.clip(coded, 0, 1).astype(np.float64) ** (1 / m2)
    return np.asarray((np.maximum(root - c1, 0) / (c2 - c3 * root)) ** (1 / m1) * (10_000 / REFERENCE_WHITE))


def hlg_decoded(coded: np.ndarray) -> np.ndarray:
    """HLG's values (BT.2100) as the light of the scene, in [0, 1]; `hlg_shown` makes it that of a screen."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    coded = np.clip(coded, 0, 1)
    return np.where(coded <= 0.5, coded**2 / 3, (np.exp((coded - c) / a) + b) / 12)


def hlg_shown(scene: np.ndarray, luminance: np.ndarray) -> np.ndarray:
    """The light of a scene (..., 3) as a screen of 1000 nits shows it (BT.2100, system gamma 1.2); 1.0 is `REFERENCE_WHITE`.

    luminance: (3,), what each primary adds to luminance.
    """
    brightness = scene[..., 0] * luminance[0] + scene[..., 1] * luminance[1] + scene[..., 2] * luminance[2]
    return np.asarray(scene * (np.maximum(brightness, 0) ** 0.2 * (1000 / REFERENCE_WHITE))[..., None])


TRANSFERS: dict[int, Curve] = {
    **dict.fromkeys((1, 6, 7, 11, 12, 14, 15), bt1886_decoded),
    **dict.fromkeys((2, 13), srgb_decoded),
    4: gamma_curve(2.2),
    5: gamma_curve(2.8),
    8: as_it_is,
    9: partial(log_decoded, decades=2.0),
    10: partial(log_decoded, decades=2.5),
    16: pq_decoded,
    17: partial(power_decoded, gamma=2.6, gain=52.37 / 48),
    18: hlg_decoded,
}
"""Transfer functions by their numbers in H.273, table 3.

Screens show the values of cameras (BT.709 and its relatives) as they show those of sRGB. Such values are made light only to change their
primaries, and are made values by the same curve again, as FFmpeg does with videos.
"""


def tone_mapped(light: np.ndarray) -> np.ndarray:
    """Light of any range (H, W, 1 or 3) brought to [0, 1]: up to 0.85 it stays, white comes a little below 1, and nothing reaches 1.

    One fixed curve, f(x) = k + (1 - k) t / (1 + t) with t = (x - k) / (1 - k) above the knee k; it is applied to the largest
    channel of a pixel, and the others follow in proportion, so that hue and saturation stay. Negative light and what is no number is black.
    """
    light = np.nan_to_num(light, nan=0.0, posinf=1e9, neginf=0.0).clip(0, None)
    peak = light.max(-1, keepdims=True)
    over = np.maximum(peak - KNEE, 0) / (1 - KNEE)
    mapped = KNEE + (1 - KNEE) * over / (1 + over)
    return np.where(peak <= KNEE, light, light * (mapped / np.maximum(peak, KNEE)))


def to_xyz(primaries: Chromaticities) -> np.ndarray:
    """The matrix (3, 3) from linear RGB to XYZ, white having Y = 1. Raises ValueError for primaries that span nothing."""
    points = np.array([[x, y, 1 - x - y] for x, y in primaries], dtype=np.float64)
    try:
        gains = np.linalg.solve(points[:3].T, points[3] / points[3, 1]) if points[3, 1] > 0 else None
    except np.linalg.LinAlgError:
        gains = None
    if gains is None or not np.isfinite(gains).all() or (np.abs(gains) < 1e-6).any():
        raise ValueError(f"{primaries} are no primaries")
    return np.asarray(points[:3].T * gains)


@lru_cache(maxsize=32)
def to_srgb_matrix(primaries: Chromaticities) -> np.ndarray:
    """The matrix (3, 3) from linear RGB of these primaries to linear sRGB; white becomes white (Bradford). Raises ValueError."""
    white = to_xyz(primaries).sum(1)
    return np.asarray(xyz_to_srgb(white) @ to_xyz(primaries))


def xyz_to_srgb(white: np.ndarray) -> np.ndarray:
    """The matrix (3, 3) from XYZ with this white, (3,), to linear sRGB (Bradford)."""
    target = to_xyz(PRIMARIES[1])
    gains = (_BRADFORD @ target.sum(1)) / (_BRADFORD @ white)
    return np.asarray(np.linalg.inv(target) @ np.linalg.inv(_BRADFORD) @ np.diag(gains) @ _BRADFORD)


def mixed(light: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Each pixel (..., 3) times a matrix (3, 3); sums in a fixed order, so that strips give the same as the whole."""
    rows = matrix.astype(light.dtype)
    red, green, blue = light[..., 0], light[..., 1], light[..., 2]
    return np.stack([row[0] * red + row[1] * green + row[2] * blue for row in rows], -1)
