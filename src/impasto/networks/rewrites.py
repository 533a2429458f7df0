"""Convolutions rewritten so that they give the same with less work, for painting; where gradients are wanted, they are left plain.

    nearest x2, then 3x3    Each pixel of the small map becomes four. The filter sees two rows and two columns of the small map from each of
                            them, so that four 2x2 convolutions of the small map give the large one: 16 multiply-adds instead of 36.
    k x k to few channels   A convolution of stride 2 with the filter at four places, one for each pixel of a square: four times as many
                            channels, which become the square's pixels. Libraries make 8 or 16 channels at once, and three waste most.

Weights stay as they are and are rearranged at every call, which is nothing beside the convolution.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def is_exported() -> bool:
    """Whether a network is taken down for another engine at the moment."""
    return torch.compiler.is_exporting() or torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]


_AS_WRITTEN = ContextVar("as_written", default=False)


@contextmanager
def as_written() -> Iterator[None]:
    """Nothing is rewritten in here, for comparison."""
    token = _AS_WRITTEN.set(True)
    try:
        yield
    finally:
        _AS_WRITTEN.reset(token)


def _is_plain(x: Tensor, convolution: nn.Conv2d) -> bool:
    """Whether a convolution stays as it is: its gradient is wanted, or a comparison."""
    return _AS_WRITTEN.get() or (torch.is_grad_enabled() and (x.requires_grad or convolution.weight.requires_grad))


def enlarged_convolution(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    """`convolution`, 3x3 with reflection padding, of x at twice its size, nearest neighbour: (B, I, H, W) -> (B, O, 2H, 2W)."""
    if is_exported() or _is_plain(x, convolution):  # other engines gain nothing by it
        large: Tensor = convolution(F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return large
    batch, _, height, width = x.shape
    # Reflection at the border of the large map is repetition in the small one.
    x = F.pad(x, (1, 1, 1, 1), mode="replicate")
    made = x.new_empty(batch, height, 2, width, 2, convolution.out_channels)
    for lower, rows in enumerate(_halves(convolution.weight, 2)):
        for right, part in enumerate(_halves(rows, 3)):
            seen = x[:, :, lower : lower + height + 1, right : right + width + 1]
            quarter = F.conv2d(seen, part.contiguous(memory_format=torch.channels_last), convolution.bias)
            made[:, :, lower, :, right] = quarter.permute(0, 2, 3, 1)
    return made.view(batch, 2 * height, 2 * width, -1).permute(0, 3, 1, 2)


def _halves(weight: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    """What the three entries of a filter along one dimension become for the first and the second of the two pixels, two entries each."""
    first, second, third = weight.unbind(dim)
    return torch.stack([first, second + third], dim), torch.stack([first + second, third], dim)


def narrow_convolution(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    """`convolution`, k x k to few channels with reflection padding: (B, I, H, W) -> (B, O, H, W)."""
    if _is_plain(x, convolution):
        plain: Tensor = convolution(x)
        return plain
    weight, (height, width) = convolution.weight, x.shape[2:]
    assert convolution.bias is not None
    places = [F.pad(weight, (right, 1 - right, lower, 1 - lower)) for lower in (0, 1) for right in (0, 1)]
    four = torch.stack(places, 1).flatten(0, 1).contiguous(memory_format=torch.channels_last)
    x = F.pad(x, (weight.shape[-1] // 2,) * 4, mode="reflect")
    x = F.pad(x, (0, width % 2, 0, height % 2))
    made = F.pixel_shuffle(F.conv2d(x, four, convolution.bias.repeat_interleave(4), stride=2), 2)
    return made[..., :height, :width]
