"""Adaptive instance normalisation at one layer, decoded: the stylizer (Huang and Belongie 2017, Eq. 8, 14 and 15)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from impasto.errors import InputError
from impasto.media.images import stroke_side, style_at
from impasto.methods.adain.settings import AdainSettings
from impasto.networks.coding import Coding
from impasto.networks.decoder import Decoder
from impasto.perception.encoder import Encoder
from impasto.perception.transform import Statistics, statistics, transform
from impasto.runtime.device import Place


@dataclass
class Adain:
    """Paint photos (B, 3, H, W), RGB in [0, 1], with the means and deviations of the styles' features; same size out.

    decoder, encoder: a pair, at a place.
    styles: pictures (1, 3, h, w), RGB in [0, 1].
    shares: one weight for each style, equal by default.
    style_size: shorter side, in pixels, that the styles are brought to; None for the photo's.
    stroke: times which, where there is no style_size.
    """

    decoder: Decoder
    encoder: Encoder
    place: Place
    styles: Sequence[Tensor]
    shares: Sequence[float] | None = None
    style_size: int | None = None
    settings: AdainSettings = field(default_factory=AdainSettings)
    stroke: float = 1.0
    _coding: Coding = field(init=False, repr=False)
    _kept: dict[int, list[Statistics]] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        self._coding = Coding(self.decoder, self.encoder, self.place)

    @torch.inference_mode()
    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint. Raises InputError for masks, which this method does not take."""
        if masks is not None:
            raise InputError("adain paints whole pictures; for regions choose --method semantic")
        if self.settings.strength == 0:
            return image.clone()
        layer = self.settings.layer
        photo = self._coding.padded(self._coding.at_place(image), layer)
        features = self.encoder(photo, [layer])[layer]
        changed = torch.zeros_like(features)
        shares = [1.0] * len(self.styles) if self.shares is None else self.shares
        for share, style in zip(shares, self._statistics(self.style_size or stroke_side(self.stroke, min(image.shape[-2:]))), strict=True):
            changed = changed + share / sum(shares) * transform(features, style, kind="adain", strength=self.settings.strength)
        picture = self._coding.decoded(changed, layer)
        return picture[..., : image.shape[-2], : image.shape[-1]].clamp(0, 1).to(image.device)

    def _statistics(self, size: int) -> list[Statistics]:
        """Of each style at a size; kept for the next photo of that size."""
        if size not in self._kept:
            self._kept.clear()
            layer = self.settings.layer
            pictures = [style_at(self._coding.at_place(style), size).contiguous(memory_format=torch.channels_last) for style in self.styles]
            self._kept[size] = [statistics(self.encoder(picture, [layer])[layer]) for picture in pictures]
        return self._kept[size]
