"""Pictures down an encoder and up a decoder, at a place: what the methods in feature space share."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.networks.decoder import Decoder, block_of
from impasto.perception.encoder import Encoder
from impasto.runtime.device import Place, settle


@dataclass
class Coding:
    """An encoder and a decoder at a place, and what methods in feature space do with them."""

    decoder: Decoder
    encoder: Encoder
    place: Place

    def __post_init__(self) -> None:
        copied = Decoder(**self.decoder.settings())  # type: ignore[arg-type]
        copied.load_state_dict(self.decoder.state_dict())
        self.decoder = settle(copied, self.place).requires_grad_(False).eval()

    def at_place(self, image: Tensor) -> Tensor:
        """A picture where it is encoded, in float32."""
        return image.to(self.place.device, torch.float32).contiguous(memory_format=torch.channels_last)

    def padded(self, image: Tensor, layer: str) -> Tensor:
        """Enlarged by reflection to whole positions of the layer, at least two of them."""
        stride = 2 ** (block_of(layer) - 1)
        down, right = (max(2 * stride, -(-side // stride) * stride) - side for side in image.shape[-2:])
        return F.pad(image, (0, right, 0, down), mode="reflect" if max(down, right) < min(image.shape[-2:]) else "replicate")

    def decoded(self, features: Tensor, layer: str, *way: object) -> Tensor:
        """The picture, in float32."""
        picture: Tensor = self.decoder(features, layer, *way)
        return picture.float()


def region_weights(masks: Tensor, size: tuple[int, int], *, soft: bool = True) -> Tensor:
    """Masks (1, K, H, W) at feature positions (1, K, h, w): averaged over the area of each, and if not soft, one region for each."""
    averaged = F.adaptive_avg_pool2d(masks.float(), size)
    if soft:
        return averaged
    rest = (1 - averaged.sum(1, keepdim=True)).clamp_min(0)
    return F.one_hot(torch.cat([averaged, rest], 1).argmax(1), averaged.shape[1] + 1).movedim(-1, 1)[:, :-1].float()


def positions(features: Tensor) -> tuple[int, int]:
    """Height and width of features (..., h, w)."""
    return features.shape[-2], features.shape[-1]
