"""The autocorrelation of texture where a photo is flat: what repeats everywhere, a weave, a hatch, a grid or dots, stays in its mean.

Where the photo is flat, all texture comes from the painting. The luminance less its slow part is correlated with itself in every such
window, and the correlations of all windows are averaged: strokes that follow the picture cancel out, what repeats everywhere stays.
Portilla and Simoncelli 2000, section 2.2, describe textures by the same statistic; Sendik and Cohen-Or 2017 hold synthesised ones to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

WINDOW = 48
"""Side of a window in pixels; windows overlap by half."""
FARTHEST = 24
"""Distance, in pixels, up to which repetition counts."""
FLAT, TEXTURED = 0.02, 0.01
"""Deviation of the detail of a photo up to which a window is flat, and of a painted picture from which it is textured; white is 1."""
LUMA = (0.299, 0.587, 0.114)
BANDS = (6.0, 1.2)
"""Deviations, in pixels, of the Gaussian means that texture is left of: strokes, and the mesh of two to four pixels beside them."""
_REACH = 24
_FEW, _MANY = 4, 40
"""Windows below which a batch says nothing, and from which it counts in full."""
_PACE = 0.1
"""Share of a batch in the running mean."""


def luminance(picture: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, 1, H, W)."""
    return (picture * torch.tensor(LUMA).to(picture).view(1, 3, 1, 1)).sum(1, keepdim=True)


def texture(luma: Tensor, slow: float = BANDS[0]) -> Tensor:
    """Luminance (B, 1, H, W) less its slow part, a Gaussian mean of a deviation in pixels; both sides at least WINDOW."""
    places = torch.arange(-_REACH, _REACH + 1, dtype=luma.dtype, device=luma.device)
    kernel = torch.exp(-places.square() / (2 * slow**2))
    kernel = kernel / kernel.sum()
    mean = F.conv2d(F.conv2d(_mirrored(luma), kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    return luma - mean


def _mirrored(luma: Tensor) -> Tensor:
    """Padded with its mirror image, the pixels of the edge twice."""
    luma = torch.cat([luma[..., :_REACH].flip(-1), luma, luma[..., -_REACH:].flip(-1)], -1)
    return torch.cat([luma[..., :_REACH, :].flip(-2), luma, luma[..., -_REACH:, :].flip(-2)], -2)


def windows(textures: Tensor) -> Tensor:
    """All windows of (B, 1, H, W): (N, WINDOW, WINDOW); none of a picture that is smaller than one."""
    if min(textures.shape[-2:]) < WINDOW:
        return textures.new_zeros(0, WINDOW, WINDOW)
    return textures.unfold(2, WINDOW, WINDOW // 2).unfold(3, WINDOW, WINDOW // 2).reshape(-1, WINDOW, WINDOW)


def mean_autocorrelation(painted: Tensor, photo: Tensor | None = None, bands: Sequence[float] = BANDS[:1]) -> tuple[Tensor | None, int]:
    """From luminances (B, 1, H, W) to the mean over the windows that count, (bands, 2 WINDOW, 2 WINDOW), and how many those are.

    Windows count that are textured in the picture and flat in the photo, all that are textured without a photo. A displacement (y, x) is at
    [y, x], negative ones count from the end; at [0, 0] it is 1. None where no window counts.
    """
    if min(painted.shape[-2:]) < WINDOW:
        return None, 0
    cut = windows(texture(painted, bands[0]))
    counted = cut.detach().std((1, 2), correction=0) >= TEXTURED
    if photo is not None:
        counted &= windows(texture(photo)).std((1, 2), correction=0) <= FLAT
    count = int(counted.sum())
    if not count:
        return None, 0
    taper = _taper().to(cut)
    each = (cut[counted], *(windows(texture(painted, slow))[counted] for slow in bands[1:]))
    means = [_correlation((one - one.mean((1, 2), keepdim=True)) * taper).mean(0) for one in each]
    return torch.stack(means) / _correlation(taper).clamp_min(0.05), count


def _correlation(cut: Tensor) -> Tensor:
    """Windows (..., WINDOW, WINDOW) correlated with themselves, (..., 2 WINDOW, 2 WINDOW), 1 without displacement."""
    size = (2 * WINDOW, 2 * WINDOW)
    correlated = torch.fft.irfft2(torch.fft.rfft2(cut, s=size).abs().square(), s=size)
    normalised: Tensor = correlated / correlated[..., :1, :1].clamp_min(1e-12)
    return normalised


@cache
def _taper() -> Tensor:
    hann = torch.hann_window(WINDOW, periodic=False, dtype=torch.float64)
    return torch.outer(hann, hann)


def distances() -> Tensor:
    """How far the displacements of a correlation are, (2 WINDOW, 2 WINDOW), in pixels."""
    along = torch.fft.fftfreq(2 * WINDOW, 1 / (2 * WINDOW), dtype=torch.float64)
    return torch.hypot(along[:, None], along[None])


@dataclass
class TextureTerm:
    """Holds the texture that networks paint in flat places to the autocorrelation of the painting.

    One batch holds few flat places, and strokes that all run one way in it may run another way in the next: it is the mean over batches
    that is held to the goal. The term's gradient is that of the squared distance of this running mean, each batch with its own share.

    goal: the painting's mean autocorrelation.
    mean: the running mean, None before the first batch.
    """

    goal: Tensor
    mean: Tensor | None = None

    def __call__(self, painted: Tensor, photo: Tensor) -> Tensor:
        """Painted pictures and their photos, (B, 3, H, W) each, to a number; 0 where too little of them is flat."""
        found, count = mean_autocorrelation(luminance(painted.float()), luminance(photo.float()), BANDS)
        if found is None or count < _FEW:
            return painted.new_zeros((), dtype=torch.float32)
        share = min(1.0, count / _MANY)
        seen = found.detach()
        self.mean = seen if self.mean is None else torch.lerp(self.mean, seen, _PACE * share)
        near = (distances() <= FARTHEST).to(found)
        return 2 * share * ((self.mean - self.goal.to(found)) * near * found).sum() / near.sum()


def texture_term(paintings: Sequence[Tensor]) -> TextureTerm | None:
    """The term for paintings (1, 3, h, w), each of the size that it is learned at; None if none has any texture."""
    found = [mean_autocorrelation(luminance(painting.float()), bands=BANDS)[0] for painting in paintings]
    kept = [one for one in found if one is not None]
    return TextureTerm(torch.stack(kept).mean(0)) if kept else None
