"""Convolutions rewritten so that they give the same with less work, for painting; where gradients are wanted, they are left plain.

    nearest x2, then 3x3    Each pixel of the small map becomes four. The filter sees two rows and two columns of the small map from each of
                            them, so that four 2x2 convolutions of the small map give the large one: 16 multiply-adds instead of 36.
    k x k to few channels   A 1 x k convolution to k times as many channels, of which those of row r are moved by r and added. It is
                            the same number of multiply-adds, but libraries are slow at making three channels.

Weights stay as they are and are rearranged at every call, which is nothing beside the convolution.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _left_plain(x: Tensor, convolution: nn.Conv2d) -> bool:
    """Also while a network is exported: engines rewrite convolutions themselves."""
    return torch.compiler.is_exporting() or (torch.is_grad_enabled() and (x.requires_grad or convolution.weight.requires_grad))


def enlarged_convolution(x: Tensor, convolution: nn.Conv2d) -> Tensor:
    """`convolution`, 3x3 with reflection padding, of x at twice its size, nearest neighbour: (B, I, H, W) -> (B, O, 2H, 2W)."""
    if _left_plain(x, convolution):
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
    """`convolution`, k x k to few channels with reflection padding: (B, I, H, W) -> (B, O, H, W), summed in float32."""
    if _left_plain(x, convolution):
        plain: Tensor = convolution(x)
        return plain
    weight, height = convolution.weight, x.shape[2]
    outputs, inputs, side = weight.shape[:3]
    across = weight.permute(2, 0, 1, 3).reshape(side * outputs, inputs, 1, side).contiguous(memory_format=torch.channels_last)
    rows = F.conv2d(F.pad(x, (side // 2,) * 4, mode="reflect"), across)
    rows = rows.transpose(0, 1).contiguous().view(side, outputs, *rows.shape[:1], *rows.shape[2:])
    total = rows[0, :, :, :height].to(torch.promote_types(x.dtype, torch.float32), copy=True)
    for row in range(1, side):
        total += rows[row, :, :, row : row + height]
    assert convolution.bias is not None
    narrow: Tensor = total.transpose(0, 1) + convolution.bias.view(-1, 1, 1)
    return narrow
