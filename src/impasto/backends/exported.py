"""Networks as other engines take them: pictures and features in and out, in float32."""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from impasto.networks.decoder import Decoder, block_of
from impasto.networks.grain import painted as grain_of
from impasto.networks.style_network import StyleNetwork, instance_norm, noise
from impasto.perception.encoder import Encoder

INPUTS = ("grain", "strength")
"""What a file can leave open, besides the photo."""
TILE = 512
"""Side, in pixels, of the grain that a file holds; beyond, it is mirrored."""


SPARSE = 16
"""Pixels between the places whose mean is subtracted before an instance norm."""


def centred_norm(x: Tensor, rows: Tensor, eps: float) -> Tensor:
    """Instance norm of (1, C, H, W) with scales and shifts (1, 2, C), of what is near 0.

    Other engines add up values and squares in float32, and lose the deviation of many pixels whose mean is large: at 16 megapixels, a mean
    of 100 and a deviation of 1, ONNX Runtime 1.32 is wrong by 3 deviations. The mean of some places is as good as that of all against it.
    """
    return instance_norm(x - x[:, :, ::SPARSE, ::SPARSE].mean((2, 3), keepdim=True), rows, eps)


class ExportedNetwork(nn.Module):
    """One pass of a style network with its grain and strength: a photo (B, 3, H, W), RGB in [0, 1], to the picture, alike.

    network: it stays as it is. inputs: what `forward` takes besides the photo; everything else is part of the network. strength: 0 is
    the photo, 1 the full style. half: compute in half precision; what goes in and out stays in float32. grain: False if the photo that it
    is given has its grain already, or shall have none. centred: whether instance norms stay right for more than 4 megapixels; in eight bits
    that would cost 6 dB and most of the speed.
    """

    def __init__(
        self,
        network: StyleNetwork,
        *,
        inputs: Sequence[str] = (),
        strength: float = 1.0,
        half: bool = False,
        grain: bool = True,
        centred: bool = True,
    ):
        super().__init__()
        self.dtype = torch.float16 if half else torch.float32
        self.network = copy.deepcopy(network).to(self.dtype).requires_grad_(False)
        self.network.grain *= grain
        self.inputs, self.strength, self.norms = tuple(inputs), strength, centred_norm if centred else None
        self.tile: Tensor
        tile = torch.from_numpy(grain_of((TILE, TILE), smooth=network.smooth))
        self.register_buffer("tile", tile.to(self.dtype) if self.network.grain and "grain" not in inputs else torch.zeros(1, 1, 1, 1))

    def example(self, size: tuple[int, int]) -> tuple[Tensor, ...]:
        """A photo of a size (height, width), and what else `forward` takes, in order."""
        generator = torch.Generator().manual_seed(1)
        others = {"grain": noise((1, 1, *size), generator, smooth=self.network.smooth), "strength": torch.tensor(0.7)}
        return (torch.rand(1, 3, *size, generator=generator), *[others[name] for name in self.inputs])

    def forward(self, photo: Tensor, *others: Tensor) -> Tensor:
        """Paint. others: grain (1, 1, H, W), noise of unit deviation, and strength (), as far as they are inputs, in this order."""
        given = dict(zip(self.inputs, others, strict=True))
        seen = photo
        if self.network.grain:
            grain = given["grain"] if "grain" in given else self._mirrored(photo.shape[-2], photo.shape[-1])
            seen = photo + self.network.grain * grain.float()
        picture: Tensor = self.network(seen, norms=self.norms).clamp(0, 1)
        strength = given.get("strength", self.strength)
        return picture if isinstance(strength, float) and strength == 1 else photo + strength * (picture - photo)

    def _mirrored(self, height: int, width: int) -> Tensor:
        rows, columns = (self._there(side) for side in (height, width))
        return self.tile[:, :, rows][..., columns]

    @staticmethod
    def _there(side: int) -> Tensor:
        """Places in the tile of a row or column of pixels: there and back, again and again."""
        place = torch.arange(side) % (2 * TILE)
        return torch.minimum(place, 2 * TILE - 1 - place)


class ExportedEncoder(nn.Module):
    """A photo (B, 3, H, W), RGB in [0, 1], to its features at some layers, in their order."""

    def __init__(self, encoder: Encoder, layers: Sequence[str]):
        super().__init__()
        self.encoder, self.layers = copy.deepcopy(encoder).float().requires_grad_(False), tuple(layers)

    def forward(self, photo: Tensor) -> tuple[Tensor, ...]:
        """Encode."""
        found = self.encoder(photo, self.layers)
        return tuple(found[layer] for layer in self.layers)


class ExportedDecoder(nn.Module):
    """Features of a layer (B, C, h, w) to the picture, RGB in [0, 1], its sides `stride` times as long."""

    def __init__(self, decoder: Decoder, layer: str):
        super().__init__()
        self.decoder, self.layer = copy.deepcopy(decoder).float().requires_grad_(False), layer
        self.stride = 2 ** (block_of(layer) - 1)

    def forward(self, features: Tensor) -> Tensor:
        """Decode."""
        picture: Tensor = self.decoder(features, self.layer).clamp(0, 1)
        return picture
