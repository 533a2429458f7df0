"""Photos made of the patches of a painting's features, and decoded: the stylizer."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from impasto.errors import InputError
from impasto.media.images import stroke_side, style_at
from impasto.methods.patch_swap.settings import PatchSwapSettings
from impasto.networks.coding import Coding, positions, region_weights
from impasto.networks.decoder import Decoder
from impasto.networks.layers import Layer
from impasto.perception.encoder import Encoder
from impasto.perception.patch_swap import patch_swap
from impasto.runtime.device import Place


@dataclass
class StyleSwap:
    """Paint photos with patches of one painting's features, the inverse network of Chen and Schmidt 2016.

    layer: where patches of size x size positions are compared. style_masks: one mask (1, K, h, w), to take patches of each region from
    that of the painting. strength: share of the swapped features, 0 to 1.
    """

    decoder: Decoder
    encoder: Encoder
    place: Place
    style: Tensor
    style_mask: Tensor | None = None
    style_size: int | None = None
    strength: float = PatchSwapSettings.strength
    layer: Layer = PatchSwapSettings.layer
    size: int = PatchSwapSettings.size
    stroke: float = 1.0
    _coded: Coding = field(init=False, repr=False)

    def __post_init__(self) -> None:
        PatchSwapSettings(layer=self.layer, size=self.size, strength=self.strength)
        self._coded = Coding(self.decoder, self.encoder, self.place)

    @torch.inference_mode()
    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint; masks (1, K, H, W) if there are regions. Same size out."""
        if (masks is None) != (self.style_mask is None):
            raise InputError("masks are needed for both the photo and the style picture, or for neither")
        if self.strength == 0:
            return image.clone()
        content = self._coded.padded(self._coded.at_place(image), self.layer)
        features = self.encoder(content, [self.layer])[self.layer]
        style = style_at(self._coded.at_place(self.style), self.style_size or stroke_side(self.stroke, min(image.shape[-2:])))
        patches = self.encoder(style.contiguous(memory_format=torch.channels_last), [self.layer])[self.layer]
        regions: list[Tensor | None] = [None, None]
        if masks is not None and self.style_mask is not None:
            padded = self._coded.padded(masks.to(content), self.layer)
            regions = [region_weights(padded, positions(features)), region_weights(self.style_mask.to(content), positions(patches))]
        if min(*positions(features), *positions(patches)) < self.size:
            raise InputError(f"the pictures are too small for patches of {self.size} positions at {self.layer}")
        swapped = patch_swap(features, patches, size=self.size, content_regions=regions[0], style_regions=regions[1])
        picture = self._coded.decoded(features.lerp(swapped, self.strength), self.layer)
        return picture[..., : image.shape[-2], : image.shape[-1]].clamp(0, 1).to(image.device)
