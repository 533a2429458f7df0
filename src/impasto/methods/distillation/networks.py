"""The networks: the teacher of Ruder et al. 2018, which sees the frame before, and the students, which do not (ReCoNet, Gao et al. 2018).

Teacher, 7 inputs: the frame, the warped output before where it can be traced, and the mask of those places.

    9x9, 32 | 3x3 /2, 64 | 3x3 /2, 128 | 5 residual blocks | x2 | 3x3, 64 | x2 | 9x9, 3

with instance norm and ReLU after every layer, also after each x2, and none after the last. Padding is by reflection everywhere.

A teacher can also be any student with four inputs more: it paints what that student paints until it learns to see the frame before.
"""

from dataclasses import asdict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from impasto.errors import InputError, unknown
from impasto.networks.shape import IMAGENET_MEAN, IMAGENET_STD, PATCHES
from impasto.networks.style_network import ConvolutionNorm, Residual, StyleNetwork, instance_norm


class Doubling(nn.Module):
    """Nearest neighbours to twice the size, instance norm and ReLU: (B, C, H, W) -> (B, C, 2H, 2W)."""

    def __init__(self, channels: int):
        super().__init__()
        self.norm = nn.InstanceNorm2d(channels, affine=True)

    def forward(self, x: Tensor) -> Tensor:
        """Statistics are the same before and after nearest neighbours, so the norm comes first, on a quarter of the values."""
        rows = torch.stack([self.norm.weight, self.norm.bias]).to(x.dtype).expand(len(x), -1, -1)
        return F.interpolate(torch.relu(instance_norm(x, rows, self.norm.eps)), scale_factor=2.0, mode="nearest")


class VideoNetwork(nn.Module):
    """The network of Ruder et al. 2018; 1,679,235 parameters at width 32.

    Colours are less the mean of photographs and divided by their deviation, so that a place without prior, 0, has the mean colour.
    """

    def __init__(self, width: int = 32, blocks: int = 5):
        super().__init__()
        self.width, self.blocks = width, blocks
        self.down = nn.ModuleList(
            [
                ConvolutionNorm(7, width, 9),
                ConvolutionNorm(width, 2 * width, 3, stride=2),
                ConvolutionNorm(2 * width, 4 * width, 3, stride=2),
            ]
        )
        self.residual = nn.ModuleList([Residual(4 * width) for _ in range(blocks)])
        self.doubling = nn.ModuleList([Doubling(4 * width), Doubling(2 * width)])
        self.up = ConvolutionNorm(4 * width, 2 * width, 3)
        self.last = nn.Conv2d(2 * width, 3, 9, padding=4, padding_mode="reflect")
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, frame: Tensor, prior: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Paint frames (B, 3, H, W), RGB in [0, 1]: mean + 150 / 255 tanh, so that it can leave [0, 1] a little.

        prior: the output before, on the grid of this frame, (B, 3, H, W) in [0, 1]. mask: (B, 1, H, W), 1 where it can be trusted. Without
        both this is the vanilla teacher, the same network that sees no flow.
        """
        height, width = frame.shape[-2:]
        colors = (frame - self.mean) / self.std
        if prior is None or mask is None:
            before = torch.zeros_like(torch.cat([colors, colors[:, :1]], 1))
        else:
            before = torch.cat([(prior - self.mean) / self.std * mask, mask.expand(len(prior), -1, -1, -1)], 1)
        x = F.pad(torch.cat([colors, before], 1), (0, -width % 4, 0, -height % 4), mode="reflect")
        x = x.contiguous(memory_format=torch.channels_last).to(self.last.weight.dtype)
        for layer in self.down:
            x = layer(x)
        for block in self.residual:
            x = block(x)
        x = self.last(self.doubling[1](self.up(self.doubling[0](x))))
        x = x if x.dtype == torch.float64 else x.float()
        return (self.mean.to(x.dtype) + 150 / 255 * torch.tanh(x))[..., :height, :width]


class SightedNetwork(StyleNetwork):
    """A style network that also sees the frame before: four inputs more, which have nothing to say at first.

    start: what it paints as then. Teacher, vanilla teacher and student that begin from one network paint the same strokes in the same
    places, so that what is between them is what the flow does and nothing else.
    """

    def __init__(self, start: StyleNetwork):
        super().__init__(**asdict(start.shape))
        self.load_state_dict(start.state_dict())
        first = ConvolutionNorm(7 * self.patch**2, self.width, PATCHES[self.patch])
        state = start.down[0].state_dict()
        narrow = state["convolution.weight"]
        state["convolution.weight"] = F.pad(narrow, (0, 0, 0, 0, 0, first.convolution.in_channels - narrow.shape[1]))
        first.load_state_dict(state)
        self.down[0] = first
        self.photo_mean: Tensor
        self.photo_std: Tensor
        self.register_buffer("photo_mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("photo_std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def normalised(self, image: Tensor) -> Tensor:
        """(B, 7, H, W), the frame, the output before and its mask, as the first layer takes them: 0 where nothing can be trusted."""
        frame, before, mask = torch.split(image, [3, 3, 1], 1)
        seen = torch.cat([(before - self.photo_mean) / self.photo_std * mask, mask], 1)
        return torch.cat([super().normalised(frame), (self.photo_std / self.std).mean() * seen], 1)

    def forward(self, frame: Tensor, prior: Tensor | None = None, mask: Tensor | None = None) -> Tensor:  # type: ignore[override]
        """Paint frames (B, 3, H, W) as `VideoNetwork` does, in [0, 1]; without prior and mask as `blind` does."""
        if prior is None or mask is None:
            prior, mask = torch.zeros_like(frame), torch.zeros_like(frame[:, :1])
        return super().forward(torch.cat([frame, prior, mask.expand(len(frame), -1, -1, -1)], 1))

    def blind(self) -> StyleNetwork:
        """The student that paints as this network does with nothing before it."""
        network, state = StyleNetwork(**asdict(self.shape)), self.state_dict()
        name = "down.0.convolution.weight"
        state[name] = state[name][:, : network.state_dict()[name].shape[1]]
        network.load_state_dict(state)
        return network


TeacherNetwork = VideoNetwork | SightedNetwork

STUDENTS: dict[str, tuple[int, int]] = {"reconet": (48, 4), "reconet-s": (32, 5), "reconet-xs": (24, 3)}
"""Width and residual blocks of the sizes of ReCoNet: 3,098,307, 1,679,235 and 615,459 weights."""


def student_network(name: str) -> StyleNetwork:
    """A student of a preset's size with random weights: as published, RGB of 0 to 255 in, 127.5 + 150 tanh(x / 255) out; or `metastyle`.

    "metastyle" is the network that the fast methods share, of the size of reconet-s. Raises InputError.
    """
    if name == "metastyle":
        return StyleNetwork(grain=0.0)
    if name not in STUDENTS:
        raise InputError(unknown("student", name, [*STUDENTS, "metastyle"]))
    width, blocks = STUDENTS[name]
    network = StyleNetwork(width, blocks, inputs="bytes", outputs="tanh", grain=0.0)
    with torch.no_grad():
        network.last.weight.mul_(255)  # tanh(x / 255) hides what filters of usual size would give
    return network


def take_over(network: VideoNetwork, start: StyleNetwork | VideoNetwork) -> VideoNetwork:
    """Put into a teacher what fits of a network that paints a style already; what it has to say of the frame before begins at nothing.

    Raises InputError for networks of another width.
    """
    if start.width != network.width or start.blocks != network.blocks:
        raise InputError(
            f"a teacher of width {network.width} cannot start from a network of width {start.width} with {start.blocks} blocks"
        )
    if isinstance(start, VideoNetwork):
        network.load_state_dict(start.state_dict())
        return network
    state = network.state_dict()
    with torch.no_grad():
        for name, value in start.state_dict().items():
            place = name.replace("up.0.", "up.")
            if place == "down.0.convolution.weight":
                state[place].zero_()
                state[place][:, :3].copy_(value)
            elif place in state and state[place].shape == value.shape:
                state[place].copy_(value)
    return network
