"""User-guided super-resolution of textures: detail from a reference, faithful to the small picture (Puy and Perez 2019, section 4.5).

R(X) = |X_low - D X|^2, D a Gaussian blur followed by taking every third pixel. Published weight: 50, on the luminance alone.
Ours is larger and the scales count less, since the bundled solver makes more iterations and sees what is left to do.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import InputError
from impasto.methods.solver.proximal import Solution, Term, solve_together
from impasto.methods.solver.solver import Solver

WEIGHT = 500.0
"""lambda_R; 50 in the paper."""

KERNEL, SIGMA, FACTOR = 17, 3.0, 3
"""Width in pixels and deviation of the published blur, for its factor of 3."""


class Reduction:
    """D and its transpose: blur with a reflected border, then every `factor`-th pixel, at the middle of each block of pixels.

    Sides of the large picture are multiples of `factor`. Raises InputError for a factor below 2 or a picture too small for the blur.
    """

    def __init__(self, size: tuple[int, int], factor: int = FACTOR):
        if factor < 2:
            raise InputError(f"the factor of an enlargement is a whole number from 2 on, not {factor}")
        self.size, self.factor = size, factor
        if min(size) <= reach(factor):
            raise InputError(f"a picture of {size[1] // factor}x{size[0] // factor} pixels is too small to be enlarged {factor} times")
        self.rows, self.columns = (_matrix(side, factor) for side in size)

    def __call__(self, x: Tensor) -> Tensor:
        """D x: (..., H, W) -> (..., H / factor, W / factor)."""
        result: Tensor = self.rows.to(x) @ x @ self.columns.to(x).t()
        return result

    def transposed(self, x: Tensor) -> Tensor:
        """D^T x: (..., H / factor, W / factor) -> (..., H, W)."""
        result: Tensor = self.rows.to(x).t() @ x @ self.columns.to(x)
        return result


def reach(factor: int) -> int:
    """How far the blur reaches to each side, in pixels: 8 for a factor of 3, in proportion for others."""
    return round(KERNEL // 2 * factor / FACTOR)


def _matrix(side: int, factor: int) -> Tensor:
    """The operator along one side as (side / factor, side): the blur is separable, so two small products do for a picture."""
    centres = torch.arange(side // factor, dtype=torch.float64) * factor + (factor - 1) / 2
    offsets = torch.arange(-reach(factor) - 1, reach(factor) + 2)
    places = centres.floor().long()[:, None] + offsets
    distance = (places - centres[:, None]).abs()
    weights = torch.exp(-0.5 * (distance / (SIGMA * factor / FACTOR)) ** 2) * (distance <= reach(factor))
    reflected = (side - 1) - ((side - 1) - places.abs()).abs()
    return torch.zeros(side // factor, side, dtype=torch.float64).scatter_add_(1, reflected, weights / weights.sum(1, keepdim=True))


class Resemblance:
    """The regulariser of a small picture `low`, (B, C, h, w): what is painted, made small again, resembles it."""

    def __init__(self, low: Tensor, reduction: Reduction, *, steps: int = 60, tolerance: float = 1e-4):
        self.low, self.reduction, self.steps, self.tolerance = low, reduction, steps, tolerance
        self.target = reduction.transposed(low)

    def apply(self, x: Tensor) -> Tensor:
        """D^T D x."""
        return self.reduction.transposed(self.reduction(x))

    def solve(self, y: Tensor, weight: float) -> Solution:
        """The proximal map, with its residual."""
        return solve_together([Term(self, weight)], y, steps=self.steps, tolerance=self.tolerance)

    def prox(self, y: Tensor, weight: float) -> Tensor:
        """(I + 2 weight D^T D)^{-1} (y + 2 weight D^T low)."""
        return self.solve(y, weight).x


class Grey:
    """Keeps the three channels equal: the updates are then averaged over them."""

    def prox(self, y: Tensor, weight: float) -> Tensor:
        """The mean of the channels in each of them, whatever the weight."""
        return y.mean(1, keepdim=True).expand_as(y)


@torch.inference_mode()
def enlarge(solver: Solver, picture: Tensor, *, factor: int = FACTOR, weight: float = WEIGHT, guided: bool = True) -> Tensor:
    """A texture (1, 3, h, w), RGB in [0, 1], `factor` times as large, with the detail of the solver's style: (1, 3, factor h, factor w).

    The luminance is enlarged: the solver starts from the bicubic picture, with the scales that `solver.steering` gives (the paper
    leaves out the coarsest, `SCALES_OF_TEXTURES`), and stays faithful to the small one. Colours are enlarged by bicubic
    interpolation. guided=False leaves all scales out, so that only the proximal map acts. Raises InputError for a factor below 2
    or a picture too small.
    """
    size = (picture.shape[-2] * factor, picture.shape[-1] * factor)
    reduction = Reduction(size, factor)
    large = F.interpolate(picture.float(), size=size, mode="bicubic", align_corners=False)
    low, high = luminance(picture.float()), luminance(large)
    terms = [Term(Grey(), 1.0), Term(Resemblance(low, reduction), weight)]
    steering = solver.steering if guided else replace(solver.steering, scales=(0.0,) * 5)
    detailed = solver.paint(high.expand(-1, 3, -1, -1), steering, terms=terms)[:, :1]
    return (large + (detailed - high)).clamp(0, 1)


SCALES_OF_TEXTURES = (0.2, 0.2, 0.2, 0.2, 0.0)
"""Weights of the scales for textures; 1, 1, 1, 1, 0 in the paper."""


def luminance(picture: Tensor) -> Tensor:
    """Luma of (B, 3, H, W) RGB by ITU-R BT.601, (B, 1, H, W)."""
    return (picture * picture.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
