"""LPIPS: how different two pictures look, by VGG-16 with the weights that were fitted to people's answers.

Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", equation 1, version 0.1:

    d(x, y) = sum over l of mean over positions of w_l . (F_l(x) / |F_l(x)| - F_l(y) / |F_l(y)|)^2

at relu1_2, relu2_2, relu3_3, relu4_3 and relu5_3. The weights w_l come with the package `lpips`, which is not imported: it would need
torchvision. VGG-16 is the registered one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.networks.shape import IMAGENET_MEAN
from impasto.perception.encoder import Encoder
from impasto.runtime.device import Place
from impasto.runtime.encoders import load_encoder
from impasto.storage.registry import is_at_hand

BACKBONE = "vgg16"
"""Registered name of the network whose features are compared."""
LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
_EPS = 1e-10


@dataclass(frozen=True)
class Lpips:
    """LPIPS of pictures, (1, 3, H, W), RGB in [0, 1], on the encoder's device; no side below 16.

    encoder: VGG-16, float32. weights: w_l for each of LAYERS, (C).
    """

    encoder: Encoder
    weights: Sequence[Tensor]

    @torch.no_grad()
    def __call__(self, first: Tensor, second: Tensor) -> float:
        """How different they look: 0 for the same picture, about 0.7 for unrelated ones."""
        pairs = zip(self._features(first), self._features(second), self.weights, strict=True)
        return sum(float(((a - b).square() * weight.to(a)[:, None, None]).sum(1).mean()) for a, b, weight in pairs)

    def _features(self, image: Tensor) -> Iterator[Tensor]:
        """Each layer with unit length at each position.

        As published, convolutions see zeros beyond the border of normalised pictures, where the encoder itself sees them reflected.
        """
        mean = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1).to(image)
        x = F.pad(image - mean, (1, 1, 1, 1)) + mean
        for name in self.encoder.names:
            if name.endswith("_1") and name != "1_1":
                x = F.max_pool2d(x, 2)
            layer = self.encoder.convolution(name)
            x = F.conv2d(x, layer.weight, layer.bias, padding=0 if name == "1_1" else 1).relu()
            if f"relu{name}" in LAYERS:
                yield x / (x.square().sum(1, keepdim=True).sqrt() + _EPS)


def lpips_at_hand(place: Place) -> Lpips | None:
    """LPIPS at a place, if VGG-16 was fetched before and the package `lpips` is installed: measuring fetches nothing."""
    found = find_spec("lpips")
    if found is None or not found.submodule_search_locations or not is_at_hand(BACKBONE, "encoder"):
        return None
    path = Path(found.submodule_search_locations[0]) / "weights/v0.1/vgg.pth"
    if not path.is_file():
        return None
    stored = torch.load(path, map_location=place.device, weights_only=True)
    return Lpips(load_encoder(BACKBONE, place), [stored[f"lin{number}.model.1.weight"].flatten() for number in range(len(LAYERS))])
