"""Painting at several layers on one way down: each layer of the decoder is brought to the style before the next one.

The published method changes one layer, and its authors say that this loses texture against optimisation over five. Here the
decoder is entered at the deepest layer, and what it passes on at every shallower one, which are features of the encoder
again, is transformed there too: coarse structure first, then finer strokes, and no encoding in between.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from impasto.networks.decoder import Between
from impasto.networks.layers import LAYERS
from impasto.perception.transform import Statistics, statistics, transform

Decode = Callable[[Tensor, str, Between], Tensor]
"""(features, layer, between) to the picture."""


@dataclass(frozen=True)
class Cascade:
    """What is done at which layer.

    layers: any of the decoder's; it is entered at the deepest. kind and strength: of the transform. detail: share of the photo's own
    features in those that the decoder passes on, 0 to 1: what keeps contours that relu4_1 has forgotten.
    """

    layers: Sequence[str]
    kind: str = "ost"
    strength: float = 1.0
    detail: float = 0.5

    def __call__(
        self,
        features: Mapping[str, Tensor],
        style: Mapping[str, Statistics],
        decode: Decode,
        *,
        weights: Mapping[str, Tensor] | None = None,
        content: Callable[[str, Statistics], Statistics] = lambda layer, weight: weight,
    ) -> Tensor:
        """The picture. features: of the photo, (B, C, h, w) for each layer; style: its statistics; weights: of the regions, likewise.

        content: may replace the statistics found at a layer, by those of a running average over a film for example.
        """
        ordered = sorted(self.layers, key=LAYERS.index)

        def changed(layer: str, decoded: Tensor) -> Tensor:
            decoded = decoded.relu()
            if layer not in self.layers:
                return decoded
            weight = None if weights is None else weights[layer]
            mixture = decoded if layer == ordered[-1] else decoded.lerp(features[layer].to(decoded.dtype), self.detail)
            found = content(layer, statistics(mixture, weight))
            return transform(mixture, style[layer], weight, kind=self.kind, strength=self.strength, content=found).clamp_min(0)

        deepest = ordered[-1]
        return decode(changed(deepest, features[deepest]), deepest, changed)


def styled(features: Mapping[str, Tensor], cascade: Cascade, weights: Mapping[str, Tensor] | None = None) -> dict[str, Statistics]:
    """Statistics of a style's features at the cascade's layers."""
    return {layer: statistics(features[layer], None if weights is None else weights[layer]) for layer in cascade.layers}
