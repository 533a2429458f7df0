"""Keeping the colours of the photo: luminance only, and CORAL (Gatys et al. 2016, "Preserving Color").

Both take the painted picture and the photo and change nothing but colour; (3, H, W) or (B, 3, H, W), RGB in [0, 1].
"""

from collections.abc import Callable

import torch
from torch import Tensor

_LUMA = (0.299, 0.587, 0.114)


def luma(image: Tensor) -> Tensor:
    """Luma (BT.601) of RGB, (..., 3, H, W) -> (..., 1, H, W)."""
    weights = torch.tensor(_LUMA, dtype=image.dtype, device=image.device).view(3, 1, 1)
    return (image * weights).sum(-3, keepdim=True)


def keep_luma_only(painted: Tensor, photo: Tensor) -> Tensor:
    """The photo's colours under the painted picture's luma; clipped to [0, 1].

    Luma is first brought to the photo's mean and deviation, so that a dark painting does not darken the photo.
    """
    own, target = luma(painted), luma(photo)
    axes = (-2, -1)
    scale = target.std(axes, keepdim=True) / own.std(axes, keepdim=True).clamp_min(1e-4)
    matched = (own - own.mean(axes, keepdim=True)) * scale + target.mean(axes, keepdim=True)
    return (photo + (matched - target)).clamp(0, 1)


def coral(painted: Tensor, photo: Tensor) -> Tensor:
    """The painted picture with the photo's mean colour and colour covariance; clipped to [0, 1].

    The linear map with least movement that matches the covariance, A = S^-1/2 (S^1/2 T S^1/2)^1/2 S^-1/2, computed in
    float64; colours the painting does not vary along are left as they are.
    """
    own, target = painted.double().flatten(-2), photo.double().flatten(-2)
    own_mean, target_mean = own.mean(-1, keepdim=True), target.mean(-1, keepdim=True)
    source_covariance, target_covariance = _covariance(own - own_mean), _covariance(target - target_mean)
    root, inverse = _power(source_covariance, 0.5), _power(source_covariance, -0.5)
    mapping = inverse @ _power(root @ target_covariance @ root, 0.5) @ inverse
    moved: Tensor = mapping @ (own - own_mean) + target_mean
    return moved.view(painted.shape).to(painted.dtype).clamp(0, 1)


def _covariance(centred: Tensor) -> Tensor:
    return centred @ centred.transpose(-2, -1) / centred.shape[-1]


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Symmetric power; eigenvalues below 1e-6 count as 1e-6, a thousandth of a grey level of deviation."""
    values, vectors = torch.linalg.eigh(matrix)
    return torch.matmul(vectors * values.clamp_min(1e-6).pow(exponent)[..., None, :], vectors.transpose(-2, -1))


KEEP_COLOR: dict[str, Callable[[Tensor, Tensor], Tensor]] = {"luma": keep_luma_only, "coral": coral}
"""What `--keep-color` can be told."""
