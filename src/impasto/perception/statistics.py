"""Statistics of feature maps: the Gram matrix and the moments. Pure functions, at least float32 inside."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def accumulating(features: Tensor) -> Tensor:
    """Features in a precision that sums may be taken in: float32, or float64 if they already are."""
    return features if features.dtype == torch.float64 else features.float()


def at_features(masks: Tensor, features: Tensor) -> Tensor:
    """Masks averaged over the area of each feature position: (B, K, H, W) -> (B, K, h, w), float32 at the place of the features."""
    return F.adaptive_avg_pool2d(masks.to(features.device).float(), (features.shape[-2], features.shape[-1]))


def gram(features: Tensor, mask: Tensor | None = None, *, norm: str = "n") -> Tensor:
    """Gram matrix of a feature map, one per picture, or one per region if a mask is given.

    features: (B, C, H, W). mask: (B or 1, K, H, W), weights in [0, 1], or None for one region that is everything.
    Returns (B, C, C) without a mask, (B, K, C, C) with one; float32, or float64 for float64 features.

    norm "n" divides by the number of positions (by the weight of the region, if masked), "chw" further by C.
    With weights w the matrix is sum_p w(p) F(p) F(p)^T / sum_p w(p): guided Gram matrices of Gatys et al. 2017,
    Eq. 7, with w the squared guide. A region without weight has a zero matrix.
    """
    if norm not in ("n", "chw"):
        raise ValueError(f"norm is 'n' or 'chw', not {norm!r}")
    scale = 1.0 if norm == "n" else 1.0 / features.shape[1]
    if mask is None:
        product: Tensor = _Product.apply(features.flatten(2))  # type: ignore[no-untyped-call]
        return product * (scale / features.shape[-1] / features.shape[-2])
    flat = accumulating(features).flatten(2)
    weight = mask.to(flat.dtype).flatten(2)
    weight = weight * (scale / weight.sum(-1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny))
    return torch.matmul(weight[:, :, None] * flat[:, None], flat[:, None].transpose(2, 3))


class _Product(torch.autograd.Function):
    """X X^T of (B, C, N), summed in float32 or better. Its gradient (G + G^T) X takes one product, in the precision of X, where the chain
    rule over both factors takes two in that of the sums."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        wide = accumulating(x)
        return torch.matmul(wide, wide.transpose(1, 2))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (x,) = ctx.saved_tensors
        precise = accumulating(x) if x.dtype == torch.float16 else x  # too narrow for gradients as small as these
        return torch.matmul((gradient + gradient.transpose(1, 2)).to(precise.dtype), precise).to(x.dtype)


def moments(features: Tensor, mask: Tensor | None = None, *, eps: float = 1e-5) -> Tensor:
    """Mean and standard deviation of every channel (AdaIN, Huang and Belongie 2017).

    features: (B, C, H, W); mask as in `gram`. Returns (B, 2, C), or (B, K, 2, C) with a mask: means, then deviations.
    The deviation is sqrt(variance + eps), population variance.
    """
    flat = accumulating(features).flatten(2)
    if mask is None:
        mean, variance = flat.mean(-1), flat.var(-1, unbiased=False)
        return torch.stack([mean, (variance + eps).sqrt()], dim=-2)
    weight = mask.to(flat.dtype).flatten(2)
    weight = weight / weight.sum(-1, keepdim=True).clamp_min(torch.finfo(flat.dtype).tiny)
    mean = weight @ flat.transpose(1, 2)
    variance = (weight @ flat.square().transpose(1, 2) - mean.square()).clamp_min(0)
    return torch.stack([mean, (variance + eps).sqrt()], dim=-2)
