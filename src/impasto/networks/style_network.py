"""What the methods' networks share: convolution with instance norm, residual block, upsampling, and the network made of them.

The network is Johnson et al. 2016 with instance norm (Ulyanov et al. 2016) and resize-convolutions (Odena et al. 2016), as in
Zhang et al. 2019 (MetaStyle), Fig. 2. Padding is by reflection everywhere.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, fields
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from impasto.networks import grain
from impasto.networks.layers import GRAIN
from impasto.networks.rewrites import enlarged_convolution, is_exported, narrow_convolution
from impasto.networks.shape import PATCHES, Shape


def noise(shape: tuple[int, int, int, int], generator: torch.Generator, *, smooth: bool = False) -> Tensor:
    """Noise (B, C, H, W) as in `impasto.networks.grain`, its seed drawn from a generator."""
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.from_numpy(grain.noise(shape, np.random.default_rng(seed), smooth=smooth))


Norm = Callable[[Tensor, Tensor, float], Tensor]
"""What normalises (B, C, H, W) instead of each picture's own moments, with scales and shifts (1, 2, C) and epsilon."""


def instance_norm(x: Tensor, rows: Tensor, eps: float) -> Tensor:
    """Instance norm of (B, C, H, W) with scales and shifts (B, 2, C).

    One picture at a time: instance norm is then batch norm, which keeps the channels last. Exported, it goes by its own name.
    """
    if is_exported():
        return F.instance_norm(x, weight=rows[0, 0], bias=rows[0, 1], eps=eps)
    parts = [
        F.batch_norm(picture, None, None, row[0], row[1], training=True, eps=eps)
        for picture, row in zip(torch.split(x, 1), rows, strict=True)
    ]
    return torch.cat(parts) if len(parts) > 1 else parts[0]


class ConvolutionNorm(nn.Module):
    """Reflection padding, convolution, instance norm with affine parameters, and a ReLU unless `relu` is False.

    The statistics are those of the instance, also at test time. `affine` overrides scale and shift for each picture:
    (B or 1, 2, C), scales then shifts.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, relu: bool = True):
        super().__init__()
        self.convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, padding_mode="reflect")
        self.norm = nn.InstanceNorm2d(outputs, affine=True)
        self.relu = relu

    def forward(
        self,
        x: Tensor,
        affine: Tensor | None = None,
        kurtosis: list[Tensor] | None = None,
        norms: Norm | None = None,
        *,
        enlarged: bool = False,
    ) -> Tensor:
        """(B, I, H, W) -> (B, O, H / stride, W / stride), or twice the size if it is enlarged first, nearest neighbour.

        kurtosis: a list that takes this layer's, (B); see `blobs`. norms: what normalises instead.
        """
        x = enlarged_convolution(x, self.convolution) if enlarged else self.convolution(x)
        if affine is None:
            affine = torch.stack([self.norm.weight, self.norm.bias])[None]
        rows = affine.to(x.dtype).expand(len(x), -1, -1)
        x = (norms or instance_norm)(x, rows, self.norm.eps)
        if kurtosis is not None:
            scale, shift = rows[..., None, None].unbind(1)
            energy = ((x - shift) / scale.abs().clamp_min(0.05)).square().mean(1, dtype=torch.float32)
            kurtosis.append(energy.square().mean((1, 2)))
        return torch.relu(x) if self.relu else x


class Residual(nn.Module):
    """Two convolutions with instance norm, the second without ReLU, added to the input."""

    def __init__(self, channels: int):
        super().__init__()
        self.first = ConvolutionNorm(channels, channels, 3)
        self.second = ConvolutionNorm(channels, channels, 3, relu=False)

    def forward(
        self,
        x: Tensor,
        first: Tensor | None = None,
        second: Tensor | None = None,
        kurtosis: list[Tensor] | None = None,
        norms: Norm | None = None,
    ) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        changed: Tensor = self.second(self.first(x, first, None, norms), second, kurtosis, norms)
        return x + changed


class StyleNetwork(nn.Module):
    """The image transformation network; 1,679,235 parameters at width 32.

    width: channels of the first layer; each layer of stride 2 has twice as many as the one before. blocks: residual blocks, at a quarter of
    the picture's size. patch: side of the squares of pixels whose colours the first layer takes as channels, and the last one gives: with
    1 the layers are those of the paper; with 2 or 4 nothing is computed at full size, which makes networks for live films.
    inputs: "centred", RGB in [0, 1] less its mean over photographs, divided by its deviation; or "bytes", 0 to 255 and
    not centred, as published. outputs: "sigmoid", or "tanh", 127.5 + 150 tanh(x / 255) of 255 as ReCoNet has it, which leaves [0, 1]
    by up to 0.09. grain: deviation of the noise that `grained` adds to what the network is given.
    smooth: whether the cells of that noise run into one another; those with edges teach lines along the axes.

    Input (B, 3, H, W), RGB in [0, 1], both sides at least 16; output of the same size in [0, 1].
    """

    def __init__(
        self,
        width: int = 32,
        blocks: int = 5,
        *,
        patch: int = 1,
        inputs: str = "centred",
        outputs: str = "sigmoid",
        grain: float = GRAIN,
        smooth: bool = False,
    ):
        super().__init__()
        if patch not in PATCHES:
            raise ValueError(f"the side of a patch is {', '.join(map(str, PATCHES))}, not {patch!r}")
        if inputs not in ("centred", "bytes"):
            raise ValueError(f"inputs are 'centred' or 'bytes', not {inputs!r}")
        if outputs not in ("sigmoid", "tanh"):
            raise ValueError(f"outputs are 'sigmoid' or 'tanh', not {outputs!r}")
        self.width, self.blocks, self.patch, self.inputs, self.outputs = width, blocks, patch, inputs, outputs
        self.grain, self.smooth = grain, smooth
        colours, kernel = 3 * patch**2, PATCHES[patch]
        strides = list(pairwise([width, 2 * width, 4 * width][: 3 - patch // 2]))
        self.down = nn.ModuleList(
            [ConvolutionNorm(colours, width, kernel), *(ConvolutionNorm(fine, coarse, 3, stride=2) for fine, coarse in strides)]
        )
        self.residual = nn.ModuleList([Residual(4 // patch * width) for _ in range(blocks)])
        self.up = nn.ModuleList([ConvolutionNorm(coarse, fine, 3) for fine, coarse in reversed(strides)])
        self.last = nn.Conv2d(width, colours, kernel, padding=kernel // 2, padding_mode="reflect")
        self.mean: Tensor
        self.std: Tensor
        mean, std = Shape(inputs=inputs).colours  # type: ignore[arg-type]
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def empty_copy(self) -> "StyleNetwork":
        """A network of the same shape with random weights."""
        return StyleNetwork(**asdict(self.shape))

    @property
    def shape(self) -> Shape:
        """What it is built with."""
        return Shape(**{item.name: getattr(self, item.name) for item in fields(Shape)})

    def grained(self, image: Tensor, generator: torch.Generator) -> Tensor:
        """The picture (B, 3, H, W) with a grain: what the network is given, in training and when it paints.

        In a flat part of a picture a convolutional network has nothing to tell one place from another, and can only repeat one pattern
        there; the grain gives it places for strokes. Noise of several scales, the same for all channels, from the generator.
        """
        if not self.grain:
            return image
        return image + self.grain * noise((len(image), 1, *image.shape[-2:]), generator, smooth=self.smooth).to(image)

    @torch.no_grad()
    def level(self) -> None:
        """Bring the filters that give the pixels of a patch to the same sum for each feature: what is flat is painted without a grid."""
        if self.patch == 1:
            return
        patches = self.last.weight.view(3, self.patch**2, *self.last.weight.shape[1:])
        sums = patches.sum((-2, -1), keepdim=True)
        patches += (sums.mean(1, keepdim=True) - sums) / patches[0, 0, 0].numel()
        biases = self.last.bias
        assert biases is not None
        biases.copy_(biases.view(3, -1).mean(1, keepdim=True).expand(-1, self.patch**2).flatten())

    def normalised(self, image: Tensor) -> Tensor:
        """Colours as the first layer takes them: (B, 3, H, W) in [0, 1] less their mean, by their deviation."""
        return (image - self.mean) / self.std

    def norms(self) -> Iterator[tuple[str, nn.InstanceNorm2d]]:
        """The instance norms in the order of the forward pass, with their names."""
        for name, module in self.named_modules():
            if isinstance(module, nn.InstanceNorm2d):
                yield name, module

    def affine(self) -> Tensor:
        """All scales and shifts as one vector (P), P = 3200 at width 32: what `forward` takes as `affine`."""
        return self.affine_of(dict(self.named_parameters()))

    def affine_of(self, parameters: Mapping[str, Tensor]) -> Tensor:
        """The same vector out of other parameters, by name."""
        return torch.cat([parameters[f"{name}.{kind}"] for name, _ in self.norms() for kind in ("weight", "bias")])

    def load_affine(self, affine: Tensor) -> None:
        """Write a vector (P) of scales and shifts into the norms."""
        parts = self._split(affine[None])
        with torch.no_grad():
            for (_, norm), part in zip(self.norms(), parts, strict=True):
                norm.weight.copy_(part[0, 0])
                norm.bias.copy_(part[0, 1])

    def _split(self, affine: Tensor) -> Sequence[Tensor]:
        """(B, P) -> one (B, 2, C) per norm."""
        counts = [norm.num_features for _, norm in self.norms()]
        if affine.shape[-1] != 2 * sum(counts):
            raise ValueError(f"this network has {2 * sum(counts)} affine parameters, not {affine.shape[-1]}")
        return [part.view(len(affine), 2, -1) for part in torch.split(affine, [2 * count for count in counts], 1)]

    @staticmethod
    def _wide(x: Tensor) -> Tensor:
        return x if x.dtype == torch.float64 else x.float()

    def forward(
        self,
        image: Tensor,
        affine: Tensor | None = None,
        kurtosis: list[Tensor] | None = None,
        features: list[Tensor] | None = None,
        norms: Norm | None = None,
    ) -> Tensor:
        """Paint (B, 3, H, W).

        affine: None, a vector (P) for all pictures, or (B, P) with one for each: styles in one batch. kurtosis: a list that
        takes that of the layers after the way down, (B) each, for `blobs`. features: a list that takes what the last residual block
        gives, (B, C, H / 4, W / 4), with sides rounded up. norms: what normalises instead of each picture's own moments.
        """
        parts: list[Tensor | None] = [None] * (len(self.down) + 2 * self.blocks + len(self.up))
        if affine is not None:
            parts[:] = self._split(affine if affine.ndim == 2 else affine[None])
        rows = iter(parts)
        height, width = image.shape[-2:]
        x = F.pad(self.normalised(image), (0, -width % 4, 0, -height % 4), mode="reflect").to(self.last.weight.dtype)
        if self.patch > 1:
            x = F.pixel_unshuffle(x, self.patch)
        for layer in self.down:
            x = layer(x, next(rows), None, norms)
        for block in self.residual:
            x = block(x, next(rows), next(rows), kurtosis, norms)
        if features is not None:
            features.append(self._wide(x))
        for layer in self.up:
            x = layer(x, next(rows), kurtosis, norms, enlarged=True)
        x = narrow_convolution(x, self.last) if self.patch == 1 else F.pixel_shuffle(self.last(x), self.patch)
        x = self._wide(x)
        painted = torch.sigmoid(x) if self.outputs == "sigmoid" else 0.5 + 150 / 255 * torch.tanh(x / 255)
        return painted[..., :height, :width]


def paint(
    network: StyleNetwork,
    parameters: Mapping[str, Tensor],
    image: Tensor,
    dtype: torch.dtype,
    *,
    affine: Tensor | None = None,
    kurtosis: list[Tensor] | None = None,
    features: list[Tensor] | None = None,
) -> Tensor:
    """The network's picture with the given parameters, computed in `dtype`; gradients reach the parameters in their own precision."""
    cast = {name: value.to(dtype) for name, value in parameters.items()}
    painted: Tensor = functional_call(network, cast, (image, affine, kurtosis, features))
    return painted


def blobs(kurtosis: Sequence[Tensor], *, limit: float = 4.0) -> Tensor:
    """The penalty against blobs: how far the kurtosis of the layers, (B) each, lies above what features proper have, on average.

    Instance norm hides the strength of a signal from the next layer. Networks learn to smuggle it past with huge values in
    nearly all channels at one place, which shows as a blob (Karras et al. 2020, section 2, saw the same in StyleGAN). The kurtosis
    of a layer is the mean over places of the squared mean over channels of the squared normalised values: 1 if every place
    has its share, 2 to 4 for features proper, above 100 for a blob.
    """
    return torch.stack([(value - limit).clamp_min(0).mean() for value in kurtosis]).mean()
