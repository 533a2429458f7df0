"""Feature transforms by region: from the statistics of the content's features to those of the style's, in closed form.

    mean          F + t (m_s - m_c)                        the fixed point of Lu et al. 2017, Eq. 4 and 5
    adain         sigma_s / sigma_c (F - m_c) + m_s        Huang and Belongie 2017
    adain_lambda  tau (F - m_c) + m_s, tau by a cubic      variances matched with a weight instead of fully
    wct           S_s^1/2 S_c^-1/2 (F - m_c) + m_s         Li et al. 2017
    ost           T (F - m_c) + m_s                        Lu et al. 2019: of all maps that match the covariance, the one that moves least

All of them are affine maps of the features of a region, so that a picture with regions is one weighted sum of affine maps.
Lu et al. reach `mean` by 500 iterations, and print Eq. 5 with 4N where 2N^2 has to stand: its fixed point is another one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.errors import InputError, unknown
from impasto.perception.statistics import accumulating

TRANSFORMS = ("mean", "adain", "adain_lambda", "wct", "ost")

LEAST_POSITIONS = 10
"""A region counts if more feature positions than this lie in it, on both sides ..."""
LARGEST_RATIO = 100
"""... and one side has less than so many times the positions of the other (rule of Li et al. 2018)."""

_EPS = 1e-5
"""Of the mean variance, added to every eigenvalue before a root is taken."""
_SHRINKAGE = 0.2
"""How far a covariance from fewer positions than channels is drawn to its diagonal."""


@dataclass(frozen=True)
class Statistics:
    """First and second moments of the features of K regions: mean (B, K, C), covariance (B, K, C, C), positions (B, K)."""

    mean: Tensor
    covariance: Tensor
    positions: Tensor

    def moved(self, other: "Statistics", rate: float) -> "Statistics":
        """A step of a running average: (1 - rate) of these statistics and `rate` of the others, the next frame's."""
        return Statistics(
            self.mean.lerp(other.mean, rate), self.covariance.lerp(other.covariance, rate), self.positions.lerp(other.positions, rate)
        )


def statistics(features: Tensor, weights: Tensor | None = None) -> Statistics:
    """Statistics of the regions of feature maps (B, C, H, W).

    weights: (B or 1, K, H, W) in [0, 1], how much of each position belongs to each region; None for one region that is everything. In
    float32 at least.
    """
    flat = accumulating(features).flatten(2)
    if weights is None:
        weights = flat.new_ones(1, 1, *features.shape[2:])
    weighed = weights.to(flat.dtype).flatten(2).expand(len(flat), -1, -1)
    positions = weighed.sum(-1)
    share = weighed / positions.clamp_min(torch.finfo(flat.dtype).tiny)[..., None]
    mean = share @ flat.transpose(1, 2)
    covariances = []
    for region in range(weighed.shape[1]):  # one at a time: K times the features would not fit for many regions
        centred = flat - mean[:, region, :, None]
        covariances.append((centred * share[:, region, None]) @ centred.transpose(1, 2))
    return Statistics(mean, torch.stack(covariances, 1), positions)


def mixed(parts: Sequence[Statistics], shares: Tensor) -> Statistics:
    """One style from several: for every region the mean statistics of those that have it. shares: (S, K), columns of sum 1 or 0."""
    return Statistics(
        torch.einsum("sk,sbkc->bkc", shares, torch.stack([part.mean for part in parts])),
        torch.einsum("sk,sbkcd->bkcd", shares, torch.stack([part.covariance for part in parts])),
        torch.einsum("sk,sbk->bk", (shares > 0).to(shares), torch.stack([part.positions for part in parts])),
    )


def side_by_side(parts: Sequence[Statistics]) -> Statistics:
    """The regions of several styles as those of one, one after the other."""
    return Statistics(
        torch.cat([part.mean for part in parts], 1),
        torch.cat([part.covariance for part in parts], 1),
        torch.cat([part.positions for part in parts], 1),
    )


def usable(content: Statistics, style: Statistics) -> Tensor:
    """(B, K), True for regions that are large enough on both sides, and not too different in size."""
    smaller = torch.minimum(content.positions, style.positions)
    larger = torch.maximum(content.positions, style.positions)
    return (smaller > LEAST_POSITIONS) & (larger < LARGEST_RATIO * smaller)


def _root(matrix: Tensor, power: float) -> Tensor:
    """A power of symmetric matrices (..., C, C) without negative eigenvalues, in float64.

    Covariances are summed in float32: where one channel is far above the others, rounding can make an eigenvalue negative in spite of what
    `regular` added. For a negative power, none counts as less than that.
    """
    values, vectors = torch.linalg.eigh(matrix)
    least = _EPS * values.mean(-1, keepdim=True).clamp_min(0) if power < 0 else torch.zeros(())
    powers: Tensor = (vectors * values.clamp_min(least.to(values)).pow(power)[..., None, :]) @ vectors.transpose(-1, -2)
    return powers


def regular(covariance: Tensor, positions: Tensor) -> Tensor:
    """Covariances (B, K, C, C) that can be inverted: shrunk where positions are few, and raised by a little.

    In float64 on the CPU, wherever the features are: not every device has float64, and the matrices are small.
    """
    matrix = covariance.cpu().double()
    channels = matrix.shape[-1]
    diagonal = torch.diag_embed(matrix.diagonal(dim1=-2, dim2=-1))
    few = (positions.cpu() < channels).double()[..., None, None] * _SHRINKAGE
    matrix = matrix.lerp(diagonal, few)
    level = matrix.diagonal(dim1=-2, dim2=-1).mean(-1).clamp_min(1e-12)
    return matrix + _EPS * level[..., None, None] * torch.eye(channels, dtype=torch.float64)


def wct(content: Tensor, style: Tensor) -> Tensor:
    """S_s^1/2 S_c^-1/2: whitening, then colouring (Li et al. 2017). Covariances (..., C, C) to the map (..., C, C)."""
    return _root(style, 0.5) @ _root(content, -0.5)


def ost(content: Tensor, style: Tensor) -> Tensor:
    """S_c^-1/2 (S_c^1/2 S_s S_c^1/2)^1/2 S_c^-1/2: the symmetric map of least motion (Lu et al. 2019, optimal transport of Gaussians)."""
    root, inverse = _root(content, 0.5), _root(content, -0.5)
    return inverse @ _root(root @ style @ root, 0.5) @ inverse


def cubic_root(kappa: Tensor, content: Tensor, style: Tensor) -> Tensor:
    """The positive root tau of kappa v_c tau^3 + (1 - kappa v_s) tau - 1 = 0, by Newton's method from above.

    tau F minimises 1/2 |G - F|^2 + kappa N / 4 sum_i (var_i(G) - v_s_i)^2 over G, for centred F with variances v_c. All arguments
    broadcast; kappa 0 gives 1, kappa without bound sqrt(v_s / v_c).
    """
    a, b = (kappa * content).double(), (kappa * style).double()
    tau = 1 + (style / content.clamp_min(1e-12)).double().sqrt()
    for _ in range(60):
        step = ((a * tau.square() + 1 - b) * tau - 1) / (3 * a * tau.square() + 1 - b)
        tau = tau - step
        if bool((step.abs() <= 1e-14 * tau).all()):
            break
    return tau


def linear_maps(kind: str, content: Statistics, style: Statistics, strength: float = 1.0) -> Tensor:
    """The linear parts (B, K, C, C), in float64 on the CPU: what a transform does to centred features.

    No gradient goes through the eigendecompositions of wct and ost: it has no bound where eigenvalues meet.
    """
    if kind not in TRANSFORMS:
        raise InputError(unknown("transform", kind, TRANSFORMS))
    content_covariance, wanted = (regular(each.covariance, each.positions) for each in (content, style))
    wanted = wanted.expand_as(content_covariance)
    if kind in ("wct", "ost"):
        content_covariance, wanted = content_covariance.detach(), wanted.detach()
    identity = torch.eye(content_covariance.shape[-1], dtype=torch.float64)
    if kind == "mean":
        return identity.expand_as(content_covariance)
    if kind == "adain_lambda" and strength < 1:
        v_c, v_s = (each.diagonal(dim1=-2, dim2=-1) for each in (content_covariance, wanted))
        kappa = strength / (1 - strength) / v_s.mean(-1, keepdim=True)
        return torch.diag_embed(cubic_root(kappa, v_c, v_s))
    if kind in ("adain", "adain_lambda"):
        v_c, v_s = (each.diagonal(dim1=-2, dim2=-1) for each in (content_covariance, wanted))
        full = torch.diag_embed((v_s / v_c).sqrt())
    else:
        full = wct(content_covariance, wanted) if kind == "wct" else ost(content_covariance, wanted)
    return full if kind == "adain_lambda" else identity.lerp(full, strength)


def transform(
    features: Tensor,
    style: Statistics,
    weights: Tensor | None = None,
    *,
    kind: str = "ost",
    strength: float = 1.0,
    content: Statistics | None = None,
) -> Tensor:
    """Bring features (B, C, H, W) to the statistics of the style, region by region; the same shape and type back.

    style: (B or 1, K) regions. weights: (B or 1, K, H, W), whose sum may be below 1: the rest of a position keeps its features, and so
    does a region that is not `usable`. strength: t, 0 for the content's features, 1 for the style's statistics; the mean moves by
    t, the linear map goes the same way from the identity (with adain_lambda, t / (1 - t) is the weight of the variances instead).
    content: statistics to start from if not those of these features, such as a running average over a film.
    Raises InputError for an unknown kind.
    """
    if content is None:
        content = statistics(features, weights)
    flat = accumulating(features).flatten(2)
    maps = linear_maps(kind, content, style, strength).to(flat).expand(len(flat), -1, -1, -1)
    mean = content.mean.lerp(style.mean.expand_as(content.mean), strength)
    used = usable(content, style).to(flat.dtype)
    weighed = flat.new_ones(1, 1, flat.shape[-1]) if weights is None else weights.to(flat.dtype).flatten(2)
    weighed = weighed.expand(len(flat), -1, -1) * used[..., None]
    result = flat * (1 - weighed.sum(1, keepdim=True))
    for region in range(weighed.shape[1]):
        centred = flat - content.mean[:, region, :, None]  # before the map, which may be large where the variance is small
        result = result + weighed[:, region, None] * torch.baddbmm(mean[:, region, :, None], maps[:, region], centred)
    return result.view(features.shape).to(features.dtype)
