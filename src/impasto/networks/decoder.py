"""The decoder: from features back to a picture, the encoder walked backwards (Lu et al. 2017, section 3.3).

For VGG-19:

    relu4_1   512->256 | up | 256->256 x3   = relu3_1
    relu3_1   256->128 | up | 128->128      = relu2_1
    relu2_1   128->64  | up | 64->64        = relu1_1
    relu1_1   64->3                         = RGB

Every convolution is 3x3 with reflection padding, a ReLU after all but the last; up is nearest neighbour, times two. From relu4_1 on it is
the published decoder of relu4_1, from relu3_1 on that of relu3_1: one network that can be entered, and looked into, at every
layer. What it passes from line to line are again features of the encoder, which is what painting at several layers needs.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from impasto.networks.layers import LAYERS
from impasto.networks.rewrites import enlarged_convolution

Between = Callable[[str, Tensor], Tensor]
"""What becomes of a layer on the way down: (layer, what comes before its ReLU) to the features to go on with."""


def block_of(layer: str) -> int:
    """4 for relu4_1. Raises ValueError for a layer that a decoder does not have."""
    if layer not in LAYERS:
        raise ValueError(f"a decoder is entered at {', '.join(LAYERS)}, not at {layer!r}")
    return LAYERS.index(layer) + 1


class Decoder(nn.Module):
    """Features of any of `LAYERS` to pictures.

    channels: those of the encoder. depths: number of convolutions between layer n + 1 and layer n, for n = 1, 2, 3; as published the
    encoder's depths. hidden: their width; the encoder's own channels by default, as published. encoder: its name, for the record.
    """

    def __init__(self, channels: Sequence[int], depths: Sequence[int], *, hidden: Sequence[int] | None = None, encoder: str = ""):
        super().__init__()
        if len(channels) < 4:
            raise ValueError("a decoder needs the channels of an encoder with at least four blocks")
        if len(depths) < 3:
            raise ValueError("depths has three numbers, for the ways to relu1_1, relu2_1 and relu3_1")
        self.channels, self.depths, self.encoder = tuple(channels[:4]), tuple(depths[:3]), encoder
        self.hidden = tuple(hidden) if hidden is not None else self.channels[:3]
        if len(self.hidden) != 3:
            raise ValueError("hidden has three widths, for the ways to relu1_1, relu2_1 and relu3_1")
        stages = [_chain(self.channels[0], 3, 3, 1)]
        for block in (2, 3, 4):
            below = self.channels[block - 2]
            stages.append(_chain(self.channels[block - 1], self.hidden[block - 2], below, self.depths[block - 2]))
        self.stages = nn.ModuleList(stages)

    def settings(self) -> dict[str, object]:
        """What `Decoder(**settings)` needs to build the same network."""
        return {"channels": self.channels, "depths": self.depths, "hidden": self.hidden, "encoder": self.encoder}

    def stage(self, block: int, features: Tensor) -> Tensor:
        """One line of the table: features of layer `block` to those of the layer below, before the ReLU, or of layer 1 to the picture."""
        convolutions = self.stages[block - 1]
        assert isinstance(convolutions, nn.ModuleList)
        if block == 1:
            picture: Tensor = convolutions[0](features)
            return picture
        x = convolutions[0](features)
        for number, convolution in enumerate(convolutions[1:]):
            x = torch.relu(x)
            assert isinstance(convolution, nn.Conv2d)
            x = enlarged_convolution(x, convolution) if number == 0 else convolution(x)
        return x if len(convolutions) > 1 else F.interpolate(x, scale_factor=2, mode="nearest")

    def forward(self, features: Tensor, layer: str = "relu4_1", between: Between | None = None) -> Tensor:
        """(B, C, h, w) of a layer to pictures (B, 3, h * stride, w * stride), RGB in about [0, 1], not clamped.

        between: decides what every layer on the way becomes; a ReLU by default.
        """
        x = features
        for block in range(block_of(layer), 0, -1):
            x = self.stage(block, x)
            if block > 1:
                x = torch.relu(x) if between is None else between(LAYERS[block - 2], x)
        return x


def _chain(inputs: int, hidden: int, outputs: int, count: int) -> nn.ModuleList:
    widths = [inputs, *[hidden] * (count - 1), outputs]
    return nn.ModuleList(nn.Conv2d(a, b, 3, padding=1, padding_mode="reflect") for a, b in pairwise(widths))


@torch.no_grad()
def initialise(decoder: Decoder, features: Mapping[str, Tensor], pictures: Tensor) -> None:
    """Orthogonal filters (Chen and Schmidt 2016), scaled so that every line of the table begins with the energy that it has to give.

    features: of the pictures (B, 3, H, W), at all `LAYERS`. Without the scaling the first steps of training kill most ReLUs.
    """
    for block in range(len(LAYERS), 0, -1):
        target = features[LAYERS[block - 2]].float() if block > 1 else pictures.float() - 0.5
        energy = target.square().mean().sqrt()
        x = features[LAYERS[block - 1]].float()
        convolutions = decoder.stages[block - 1]
        assert isinstance(convolutions, nn.ModuleList)
        for number, convolution in enumerate(convolutions):
            assert isinstance(convolution, nn.Conv2d)
            assert convolution.bias is not None
            nn.init.orthogonal_(convolution.weight)
            nn.init.constant_(convolution.bias, 0.0)
            x = convolution(F.interpolate(x, scale_factor=2, mode="nearest") if number == 1 else x)
            rest = x.relu() if block > 1 else x
            scale = energy / rest.square().mean().sqrt().clamp_min(1e-12)
            convolution.weight.mul_(scale)
            x = rest * scale
            if block == 1:
                nn.init.constant_(convolution.bias, 0.5)


def decode(decoder: Decoder, weights: Mapping[str, Tensor], features: Tensor, layer: str, between: Between | None = None) -> Tensor:
    """`decoder` with other weights, such as its own in half precision while it is trained; the picture in float32."""
    picture: Tensor = functional_call(decoder, dict(weights), (features, layer, between))
    return picture.float()
