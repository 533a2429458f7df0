"""The matting Laplacian of a picture (Levin et al. 2008) as a stencil of 25 coefficients for each pixel.

For every whole 3x3 window k, with the mean mu_k and the covariance Sigma_k of its nine colours,

    A_k(i, j) = 1/9 ( 1 + (I_i - mu_k)^T (Sigma_k + eps/9)^{-1} (I_j - mu_k) ),    W = sum_k A_k,    L = diag(W 1) - W.

L is symmetric with eigenvalues between 0 and 9, and L 1 = 0. W couples pixels at most two apart: 25 coefficients. They are computed in
float64; the well-known product by box filters is the same in exact arithmetic, and useless in float32.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

EPS = 1e-7
"""Usual regularisation of the covariance, for colours in [0, 1]."""

LARGEST_EIGENVALUE = 9.0
"""Bound of the spectrum: a window contributes at most the identity, and nine windows cover a pixel."""


@dataclass(frozen=True)
class MattingLaplacian:
    """weights: (13, H, W): W between a pixel and the one at the offset of `OFFSETS`, the other half by symmetry. Zero offset first.

    degree: (H, W), the row sums of W: the number of whole windows that cover the pixel.
    """

    weights: Tensor
    degree: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """L x for (..., H, W) of the size of the picture, in the precision of x."""
        height, width = x.shape[-2:]
        result = x * (self.degree - self.weights[0]).to(x.dtype)
        for (down, right), weight in zip(OFFSETS[1:], self.weights[1:], strict=True):
            rows, columns = slice(0, height - down), slice(max(0, -right), width - max(0, right))
            low, beside = slice(down, height), slice(max(0, right), width + min(0, right))
            w = weight[rows, columns].to(x.dtype)
            result[..., rows, columns].addcmul_(w, x[..., low, beside], value=-1)
            result[..., low, beside].addcmul_(w, x[..., rows, columns], value=-1)
        return result


OFFSETS = [(0, 0)] + [(down, right) for down in range(3) for right in range(-2, 3) if (down, right) > (0, 0)]
"""Half of the neighbourhood, (down, right): the other half is its mirror image."""


def matting_laplacian(picture: Tensor, *, eps: float = EPS, dtype: torch.dtype = torch.float32) -> MattingLaplacian:
    """The matting Laplacian of (3, H, W), RGB in [0, 1], both sides at least 3. Raises ValueError for a smaller picture."""
    height, width = picture.shape[-2:]
    if picture.ndim != 3 or picture.shape[0] != 3 or min(height, width) < 3:
        raise ValueError(f"the matting Laplacian needs a picture (3, H, W) of at least 3x3 pixels, not {tuple(picture.shape)}")
    inner = (height - 2, width - 2)
    colors = torch.stack([picture[:, i : i + inner[0], k : k + inner[1]] for i in range(3) for k in range(3)]).double()
    centred = colors - colors.mean(0)
    inverse = _inverse((centred[:, :, None] * centred[:, None]).mean(0), eps / 9)
    # Products of these two have the size of the weights again, so that float32 will do.
    turned, centred = (part.to(dtype) for part in ((inverse[None] * centred[:, None]).sum(2), centred))
    weights = torch.zeros(13, height, width, dtype=dtype, device=picture.device)
    for i in range(9):
        for k in range(9):
            offset = (k // 3 - i // 3, k % 3 - i % 3)
            if offset in OFFSETS:
                couple = (1 + (turned[i] * centred[k]).sum(0)) / 9
                weights[OFFSETS.index(offset), i // 3 : i // 3 + inner[0], i % 3 : i % 3 + inner[1]] += couple
    covered = torch.ones(inner, dtype=torch.float64, device=picture.device)[None, None]
    degree = F.conv_transpose2d(covered, torch.ones(1, 1, 3, 3, dtype=torch.float64, device=picture.device))[0, 0]
    return MattingLaplacian(weights, degree.to(dtype))


def _inverse(matrix: Tensor, eps: float) -> Tensor:
    """Inverse of symmetric (3, 3, ...) with eps added to the diagonal, by cofactors."""
    a, b, c = matrix[0, 0] + eps, matrix[0, 1], matrix[0, 2]
    d, e, f = matrix[1, 1] + eps, matrix[1, 2], matrix[2, 2] + eps
    first, second, third = d * f - e * e, c * e - b * f, b * e - c * d
    rows = [first, second, third, second, a * f - c * c, b * c - a * e, third, b * c - a * e, a * d - b * b]
    return torch.stack(rows).view_as(matrix) / (a * first + b * second + c * third)
