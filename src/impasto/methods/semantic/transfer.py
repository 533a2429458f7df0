"""Semantic transfer at work: styles are set once, every picture is one pass down the encoder, a few matrices, and one pass up.

Without masks a picture is one region. Nothing is optimised; a film may use running averages of its statistics against flicker.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from impasto.errors import InputError
from impasto.media.images import stroke_side, style_at
from impasto.methods.semantic.cascade import Cascade, styled
from impasto.methods.semantic.settings import SemanticSettings
from impasto.motion.cuts import is_cut
from impasto.networks.coding import Coding, positions, region_weights
from impasto.networks.decoder import Decoder
from impasto.networks.layers import GRAIN, LAYERS
from impasto.networks.style_network import noise
from impasto.perception.encoder import Encoder
from impasto.perception.transform import Statistics, mixed, side_by_side
from impasto.runtime.device import Place


@dataclass
class SemanticTransfer:
    """Paint photos (B, 3, H, W), RGB in [0, 1], region by region.

        transfer = SemanticTransfer(load_decoder(encoder), encoder, place, [painting])
        picture = transfer(photo)

    styles: pictures (1, 3, h, w), with `shares` (equal by default). style_masks: for regions, a mask (1, K, h, w) for each: region k of
    the photo takes the statistics of region k of the styles that have one. Without them, masks at a call give style k its part of the
    photo. style_size: shorter side that the styles are brought to, None for the photo's. stroke: times which, where there is no style_size.
    """

    decoder: Decoder
    encoder: Encoder
    place: Place
    styles: Sequence[Tensor]
    style_masks: Sequence[Tensor] | None = None
    shares: Sequence[float] | None = None
    style_size: int | None = None
    settings: SemanticSettings = field(default_factory=SemanticSettings)
    stroke: float = 1.0
    _coded: Coding = field(init=False, repr=False)
    _kept: dict[tuple[int, tuple[str, ...], bool], list[dict[str, Statistics]]] = field(default_factory=dict, init=False, repr=False)
    _noise: dict[tuple[int, int], Tensor] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.styles:
            raise InputError("no style was given")
        shares = list(self.shares or [1.0] * len(self.styles))
        if len(shares) != len(self.styles):
            raise InputError(f"there are {len(self.styles)} styles and {len(shares)} weights")
        if not all(0 <= share < math.inf for share in shares) or sum(shares) <= 0:
            raise InputError("each style needs a weight of at least 0, and not all of them may be 0")
        self._coded = Coding(self.decoder, self.encoder, self.place)

    @torch.inference_mode()
    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint; masks (1, K, H, W) in [0, 1] if there are regions. Same size out."""
        return self._paint(image, masks, None)

    @property
    def memory(self) -> int:
        """Frames after which the averages hold a hundredth of what they began with."""
        return 0 if self.settings.rate == 1 else math.ceil(math.log(0.01) / math.log(1 - self.settings.rate))

    @torch.inference_mode()
    def stream(
        self, frames: Iterable[Tensor], *, masks: Tensor | None = None, first: tuple[Tensor, Tensor] | None = None
    ) -> Iterator[Tensor]:
        """Paint the frames of a film, (3, H, W) each, with running averages of their statistics that begin anew at each cut.

        first: a frame before these, whose statistics the averages begin with. Memory does not grow with the length.
        """
        averages: dict[str, Statistics] = {}
        before = None
        if first is not None:
            before = first[0]
            self._paint(before[None], masks, averages)
        for frame in frames:
            if before is not None and is_cut(before, frame):
                averages.clear()
            before = frame
            yield self._paint(frame[None], masks, averages)[0].cpu()

    def _paint(self, image: Tensor, masks: Tensor | None, averages: dict[str, Statistics] | None) -> Tensor:
        settings = self.settings
        if settings.strength == 0:
            return image.clone()
        cascade = Cascade(settings.layers, kind=settings.transform, strength=settings.strength, detail=settings.detail)
        deepest = max(settings.layers, key=LAYERS.index)
        content = self._coded.at_place(image)
        regions = self._checked(image, masks)
        grain = settings.grain if settings.grain is not None else GRAIN * (len(settings.layers) > 1 and averages is None)
        if grain:
            covered = 1.0 if regions is None else regions.sum(1, keepdim=True)
            content = content + settings.strength * grain * covered * self._noise_of(content)
        content = self._coded.padded(content, deepest)
        features = self.encoder(content, list(settings.layers))
        style = self._style(min(image.shape[-2:]), regions)
        weights = None
        if regions is not None:
            regions = self._coded.padded(regions, deepest)
            weights = {layer: region_weights(regions, positions(value), soft=settings.soft) for layer, value in features.items()}

        def averaged(layer: str, found: Statistics) -> Statistics:
            if averages is None:
                return found
            averages[layer] = averages[layer].moved(found, settings.rate) if layer in averages else found
            return averages[layer]

        picture = cascade(features, style, self._coded.decoded, weights=weights, content=averaged)
        return picture[..., : image.shape[-2], : image.shape[-1]].clamp(0, 1).to(image.device)

    def _noise_of(self, content: Tensor) -> Tensor:
        """The noise of this size, always the same, so that frames of a film and the same photo twice are painted alike."""
        size = (content.shape[-2], content.shape[-1])
        if size not in self._noise:
            self._noise.clear()
            self._noise[size] = noise((1, 1, *size), torch.Generator().manual_seed(0), smooth=True).to(content)
        return self._noise[size]

    def _style(self, short_side: int, regions: Tensor | None) -> Mapping[str, Statistics]:
        """Statistics of the styles at each layer, K regions, at the size for a photo of this shorter side."""
        settings = self.settings
        key = (self.style_size or stroke_side(self.stroke, short_side), tuple(settings.layers), settings.soft)
        if key not in self._kept:
            self._kept[key] = [self._of_style(number, key[0]) for number in range(len(self.styles))]
        found = self._kept[key]
        if regions is not None and self.style_masks is None:
            return {layer: side_by_side([each[layer] for each in found]) for layer in settings.layers}
        if len(found) == 1:
            return found[0]
        shares = torch.tensor(self.shares or [1.0] * len(found), device=self.place.device)[:, None]
        result = {}
        for layer in settings.layers:
            held = torch.cat([each[layer].positions for each in found]) > 0
            share = shares * held
            result[layer] = mixed([each[layer] for each in found], share / share.sum(0).clamp_min(1e-12))
        return result

    def _of_style(self, number: int, short_side: int) -> dict[str, Statistics]:
        settings = self.settings
        picture = style_at(self._coded.at_place(self.styles[number]), short_side)
        features = self.encoder(picture.contiguous(memory_format=torch.channels_last), list(settings.layers))
        weights = None
        if self.style_masks is not None:
            mask = self.style_masks[number].to(self.place.device)
            weights = {layer: region_weights(mask, positions(value), soft=settings.soft) for layer, value in features.items()}
        return styled(features, Cascade(settings.layers), weights)

    def _checked(self, image: Tensor, masks: Tensor | None) -> Tensor | None:
        """The masks at the place, with a sum of at most 1. Raises InputError if they do not fit the photo and the styles."""
        if masks is None:
            if self.style_masks is not None:
                raise InputError("the styles have regions and the photo has none: give its mask too")
            return None
        if tuple(masks.shape[-2:]) != tuple(image.shape[-2:]):
            raise InputError(f"the mask has {masks.shape[-1]}x{masks.shape[-2]} pixels and the photo {image.shape[-1]}x{image.shape[-2]}")
        if self.style_masks is None and masks.shape[1] != len(self.styles):
            raise InputError(f"each style needs its own mask: there are {len(self.styles)} styles and {masks.shape[1]} masks")
        if self.style_masks is not None and masks.shape[1] != self.style_masks[0].shape[1]:
            raise InputError(f"the photo has {masks.shape[1]} regions and the styles {self.style_masks[0].shape[1]}")
        settings = masks.to(self.place.device, torch.float32)
        if not bool(torch.isfinite(settings).all()) or float(settings.min()) < 0:
            raise InputError("a mask holds values from 0 to 1, and this one others")
        return settings / settings.sum(1, keepdim=True).clamp_min(1.0)
