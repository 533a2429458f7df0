"""The encoder: VGG from a picture to its features, at any width.

    conv1_1 conv1_2 P | conv2_1 conv2_2 P | conv3_1 .. conv3_4 P | conv4_1 .. conv4_4 P | conv5_1

Every convolution is 3x3 with reflection padding and a ReLU; P is a 2x2 pooling. The layer `reluX_Y` is the output
after the ReLU (Simonyan and Zisserman 2015; names as in Gatys et al. 2016).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

VGG19_CHANNELS = (64, 128, 256, 512, 512)
VGG19_DEPTHS = (2, 2, 4, 4, 4)
VGG16_DEPTHS = (2, 2, 3, 3, 3)


class Encoder(nn.Module):
    """VGG features of a picture, all wanted layers in one pass.

    channels: width of each of the up to five blocks; (64, 128, 256, 512, 512) is VGG itself, less is a compact build.
    depths: convolutions per block: (2, 2, 4, 4, 1) is VGG-19 cut after relu5_1.
    pool: "max" as VGG was trained, or "avg" as Gatys et al. 2016 recommend.

    Input (B, 3, H, W), RGB in [0, 1]; colour normalisation is folded into conv1_1. Both sides at least 2 pixels at the
    deepest layer asked for, that is 2 * 2^(block - 1) in the picture. Features keep the dtype of the weights.
    """

    def __init__(self, channels: Sequence[int] = VGG19_CHANNELS, depths: Sequence[int] = (2, 2, 4, 4, 1), *, pool: str = "max"):
        super().__init__()
        if len(channels) != len(depths) or not 1 <= len(depths) <= 5:
            raise ValueError("channels and depths have one entry for each of one to five blocks")
        if pool not in ("max", "avg"):
            raise ValueError(f"pool is 'max' or 'avg', not {pool!r}")
        self.channels, self.depths, self.pool = tuple(channels), tuple(depths), pool
        self.names = [f"{block}_{index}" for block, depth in enumerate(depths, 1) for index in range(1, depth + 1)]
        self.layers = [f"relu{name}" for name in self.names]
        width = 3
        for name in self.names:
            out = self.channels[int(name[0]) - 1]
            self.add_module(f"conv{name}", nn.Conv2d(width, out, 3, padding=1, padding_mode="reflect"))
            width = out

    @property
    def width(self) -> float:
        """Width relative to VGG, of the block where it is largest: 1.0 is VGG itself."""
        return max(narrow / full for narrow, full in zip(self.channels, VGG19_CHANNELS, strict=False))

    def convolution(self, name: str) -> nn.Conv2d:
        """The convolution of one name, "1_1" for conv1_1."""
        layer = self.get_submodule(f"conv{name}")
        assert isinstance(layer, nn.Conv2d)
        return layer

    def forward(self, image: Tensor, layers: Sequence[str]) -> dict[str, Tensor]:
        """Features of the named layers, e.g. {"relu3_1": (B, 256, H/4, W/4)}; nothing deeper than needed is computed."""
        missing = [layer for layer in layers if layer not in self.layers]
        if missing:
            raise ValueError(f"no layer {missing[0]!r} in this encoder; it has {', '.join(self.layers)}")
        wanted, found = set(layers), {}
        pool = F.max_pool2d if self.pool == "max" else F.avg_pool2d
        x = image.to(dtype=next(self.parameters()).dtype)
        for name in self.names:
            if name.endswith("_1") and name != "1_1":
                x = pool(x, 2)
            x = torch.relu(self.convolution(name)(x))
            if f"relu{name}" in wanted:
                found[f"relu{name}"] = x
                if len(found) == len(wanted):
                    break
        return found


def fold_normalisation(weight: Tensor, bias: Tensor, *, mean: Sequence[float], std: Sequence[float]) -> tuple[Tensor, Tensor]:
    """Filters of conv1_1 that take RGB in [0, 1], from filters that take (RGB - mean) / std.

    weight: (C, 3, 3, 3), bias: (C). Exact with reflection padding, where the border holds colours and not zeros;
    sums in float64, result in float32.
    """
    shift = torch.tensor(mean, dtype=torch.float64).view(1, 3, 1, 1)
    scale = torch.tensor(std, dtype=torch.float64).view(1, 3, 1, 1)
    folded = weight.double() / scale
    return folded.float(), (bias.double() - (folded * shift).sum((1, 2, 3))).float()
