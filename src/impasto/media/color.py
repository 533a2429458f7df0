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


def luma_of(painted: Tensor, photo: Tensor) -> Recolor:
    """The photo's colours under the painted picture's luma; clipped to [0, 1].

    Luma is first brought to the photo's mean and deviation, so that a dark painting does not darken the photo.
    """
    source, target = luma(painted), luma(photo)
    axes = (-2, -1)
    scale = target.std(axes, keepdim=True) / source.std(axes, keepdim=True).clamp_min(1e-4)
    source_mean, target_mean = source.mean(axes, keepdim=True), target.mean(axes, keepdim=True)

    def recolored(painted: Tensor, photo: Tensor) -> Tensor:
        matched = (luma(painted) - source_mean) * scale + target_mean
        return (photo + (matched - luma(photo))).clamp(0, 1)

    return recolored


def coral_of(painted: Tensor, photo: Tensor) -> Recolor:
    """The painted picture with the photo's mean colour and colour covariance; clipped to [0, 1].

    The linear map with least movement that matches the covariance, A = S^-1/2 (S^1/2 T S^1/2)^1/2 S^-1/2, computed in
    float64; colours the painting does not vary along are left as they are.
    """
    source, target = painted.double().flatten(-2), photo.double().flatten(-2)
    own_mean, target_mean = source.mean(-1, keepdim=True), target.mean(-1, keepdim=True)
    source_covariance, target_covariance = _covariance(source - own_mean), _covariance(target - target_mean)
    root, inverse = _power(source_covariance, 0.5), _power(source_covariance, -0.5)
    mapping = inverse @ _power(root @ target_covariance @ root, 0.5) @ inverse

    def recolored(painted: Tensor, photo: Tensor) -> Tensor:
        moved: Tensor = mapping @ (painted.double().flatten(-2) - own_mean) + target_mean
        return moved.view(painted.shape).to(painted.dtype).clamp(0, 1)

    return recolored


def _covariance(centred: Tensor) -> Tensor:
    return centred @ centred.transpose(-2, -1) / centred.shape[-1]


def _power(matrix: Tensor, exponent: float) -> Tensor:
    """Symmetric power; eigenvalues below 1e-6 count as 1e-6, a thousandth of a grey level of deviation."""
    values, vectors = torch.linalg.eigh(matrix)
    return torch.matmul(vectors * values.clamp_min(1e-6).pow(exponent)[..., None, :], vectors.transpose(-2, -1))


KEEP_COLOR: dict[str, Callable[[Tensor, Tensor], Recolor]] = {"luma": luma_of, "coral": coral_of}
"""What `--keep-color` can be told: each is made of a painted picture and its photo, whole or small."""


def keep_color(kind: str, painted: Tensor, photo: Tensor) -> Tensor:
    """A painted picture in the photo's colours, as one of `KEEP_COLOR` keeps them."""
    return KEEP_COLOR[kind](painted, photo)(painted, photo)
