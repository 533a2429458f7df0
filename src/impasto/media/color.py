"""Colours of pictures: kept from the photo, by luminance only or CORAL (Gatys et al. 2016, "Preserving Color"); laid under transparency.

Pictures are (3, H, W) or (B, 3, H, W), RGB in [0, 1].
"""

from collections.abc import Callable

import torch
from PIL import ImageColor
from torch import Tensor

from impasto.errors import InputError

_LUMA = (0.299, 0.587, 0.114)

Recolor = Callable[[Tensor, Tensor], Tensor]
"""A painted picture, or a part of it, and the photo's to that part in the photo's colours."""


def named_color(name: str) -> Tensor:
    """A colour by its name in CSS ("black") or as "#rrggbb": RGB in [0, 1], (3, 1, 1). Raises InputError."""
    try:
        red, green, blue = ImageColor.getrgb(name)[:3]
    except ValueError:
        raise InputError(f"{name!r} is no colour: give a name, as black, or #rrggbb") from None
    return torch.tensor([red, green, blue]).view(3, 1, 1) / 255


def laid_on(background: str, pixels: Tensor, alpha: Tensor) -> Tensor:
    """A picture with alpha (1, H, W) as it looks on a background of one colour."""
    color = named_color(background).to(pixels)
    return torch.lerp(color.expand_as(pixels), pixels, alpha)


def luma(image: Tensor) -> Tensor:
    """Luma (BT.601) of RGB, (..., 3, H, W) -> (..., 1, H, W)."""
    weights = torch.tensor(_LUMA, dtype=image.dtype, device=image.device).view(3, 1, 1)
    return (image * weights).sum(-3, keepdim=True)


def luma_of(painted: Tensor, photo: Tensor, alpha: Tensor | None = None) -> Recolor:
    """The photo's colours under the painted picture's luma; clipped to [0, 1].

    Luma is first brought to the photo's mean and deviation, so that a dark painting does not darken the photo. alpha: (..., 1, H, W),
    where something can be seen; the rest is left out of mean and deviation.
    """
    source, target = luma(painted).flatten(-2), luma(photo).flatten(-2)
    weights = _weights(source, alpha)
    source_mean, target_mean = (weights * source).sum(-1, keepdim=True), (weights * target).sum(-1, keepdim=True)
    spread, wanted = (
        (weights * (values - mean).square()).sum(-1, keepdim=True).sqrt() for values, mean in ((source, source_mean), (target, target_mean))
    )
    scale = (wanted / spread.clamp_min(1e-4))[..., None]

    def recolored(painted: Tensor, photo: Tensor) -> Tensor:
        matched = (luma(painted) - source_mean[..., None]) * scale + target_mean[..., None]
        return (photo + (matched - luma(photo))).clamp(0, 1)

    return recolored


def coral_of(painted: Tensor, photo: Tensor, alpha: Tensor | None = None) -> Recolor:
    """The painted picture with the photo's mean colour and colour covariance; clipped to [0, 1].

    The linear map with least movement that matches the covariance, A = S^-1/2 (S^1/2 T S^1/2)^1/2 S^-1/2, computed in
    float64; colours the painting does not vary along are left as they are. alpha: (..., 1, H, W), where something can be seen; the rest is
    left out of mean and covariance.
    """
    source, target = painted.double().flatten(-2), photo.double().flatten(-2)
    weights = _weights(source, alpha)
    own_mean, target_mean = (weights * source).sum(-1, keepdim=True), (weights * target).sum(-1, keepdim=True)
    source_covariance, target_covariance = _covariance(source - own_mean, weights), _covariance(target - target_mean, weights)
    root, inverse = _power(source_covariance, 0.5), _power(source_covariance, -0.5)
    mapping = inverse @ _power(root @ target_covariance @ root, 0.5) @ inverse

    def recolored(painted: Tensor, photo: Tensor) -> Tensor:
        moved: Tensor = mapping @ (painted.double().flatten(-2) - own_mean) + target_mean
        return moved.view(painted.shape).to(painted.dtype).clamp(0, 1)

    return recolored


def _weights(values: Tensor, alpha: Tensor | None) -> Tensor:
    """How much each place of values (..., C, N) counts, (..., 1, N), 1 in sum: as much as shows; all alike where nothing does."""
    count = values.shape[-1]
    if alpha is None:
        return values.new_full((1, count), 1 / count)
    seen = alpha.to(values).flatten(-2)
    total = seen.sum(-1, keepdim=True)
    return torch.where(total > 0, seen / total.clamp_min(1e-12), 1 / count)


def _covariance(centred: Tensor, weights: Tensor) -> Tensor:
    return (weights * centred) @ centred.transpose(-2, -1)


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Symmetric power; eigenvalues below 1e-6 count as 1e-6, a thousandth of a grey level of deviation."""
    values, vectors = torch.linalg.eigh(matrix)
    return torch.matmul(vectors * values.clamp_min(1e-6).pow(exponent)[..., None, :], vectors.transpose(-2, -1))


KEEP_COLOR: dict[str, Callable[[Tensor, Tensor, Tensor | None], Recolor]] = {"luma": luma_of, "coral": coral_of}
"""What `--keep-color` can be told: each is made of a painted picture, its photo and the photo's alpha, whole or small."""


def keep_color(kind: str, painted: Tensor, photo: Tensor, alpha: Tensor | None = None) -> Tensor:
    """A painted picture in the photo's colours, as one of `KEEP_COLOR` keeps them. alpha: of the photo, (..., 1, H, W)."""
    return KEEP_COLOR[kind](painted, photo, alpha)(painted, photo)
