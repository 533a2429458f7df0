"""Semantic transfer at work: styles are set once, every picture is one pass down the encoder, a few matrices, and one pass up.

Without masks a picture is one region. Nothing is optimised; a film may use running averages of its statistics against flicker.
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import InputError, unknown
from impasto.media.images import style_at
from impasto.motion.cuts import is_cut
from impasto.networks import GRAIN, noise
from impasto.perception.encoder import Encoder
from impasto.runtime.device import Place, settle
from impasto.semantic.cascade import Cascade, styled
from impasto.semantic.decoder import LAYERS, Decoder, block_of
from impasto.semantic.patch_swap import patch_swap
from impasto.semantic.transform import TRANSFORMS, Statistics, mixed, side_by_side


@dataclass(frozen=True)
class SemanticSettings:
    """How features are changed.

    transform: one of `TRANSFORMS`. layers: one, as published, or several of relu1_1 to relu4_1, from coarse to fine on one way down.
    strength: 0 to 1. detail: share of the photo's own features at the shallower layers. grain: deviation of the noise on the photo,
    of which strokes are made where it is flat, always the same for a size; by default some for several layers, none for one, and none
    in films, where it would stand still while the scene moves. soft: regions blend where they meet; otherwise every feature position
    belongs to one. rate: of the running averages over a film, 1 for each frame by itself.
    """

    transform: str = "ost"
    layers: Sequence[str] = LAYERS[1:]
    strength: float = 1.0
    detail: float = 0.5
    grain: float | None = None
    soft: bool = True
    rate: float = 0.1

    def __post_init__(self) -> None:
        if self.transform not in TRANSFORMS:
            raise InputError(unknown("transform", self.transform, TRANSFORMS))
        wrong = [layer for layer in self.layers if layer not in LAYERS]
        if wrong or not self.layers:
            raise InputError(f"features are changed at {', '.join(LAYERS)}, not at {', '.join(wrong) or 'no layer'}")
        if not 0 <= self.strength <= 1:
            raise InputError(f"strength goes from 0, the photo, to 1 with this method; {self.strength:g} does not")
        if not 0 <= self.detail <= 1:
            raise InputError(f"detail goes from 0 to 1; {self.detail:g} does not")
        if self.grain is not None and not 0 <= self.grain <= 1:
            raise InputError(f"grain goes from 0 to 1; {self.grain:g} does not")
        if not 0 < self.rate <= 1:
            raise InputError(f"the rate of a running average is above 0 and at most 1, not {self.rate:g}")


@dataclass
class _Coded:
    """An encoder and a decoder at a place, and what both methods of this room do with them."""

    decoder: Decoder
    encoder: Encoder
    place: Place

    def __post_init__(self) -> None:
        own = Decoder(**self.decoder.settings())  # type: ignore[arg-type]
        own.load_state_dict(self.decoder.state_dict())
        self.decoder = settle(own, self.place).requires_grad_(False).eval()

    def at_place(self, image: Tensor) -> Tensor:
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


@dataclass
class SemanticTransfer:
    """Paint photos (B, 3, H, W), RGB in [0, 1], region by region.

        transfer = SemanticTransfer(load_decoder(encoder), encoder, place, [painting])
        picture = transfer(photo)

    styles: pictures (1, 3, h, w), with `shares` (equal by default). style_masks: for regions, a mask (1, K, h, w) for each: region k of
    the photo takes the statistics of region k of the styles that have one. Without them, masks at a call give style k its part of the
    photo. style_size: shorter side that the styles are brought to, None for the photo's.
    """

    decoder: Decoder
    encoder: Encoder
    place: Place
    styles: Sequence[Tensor]
    style_masks: Sequence[Tensor] | None = None
    shares: Sequence[float] | None = None
    style_size: int | None = None
    settings: SemanticSettings = field(default_factory=SemanticSettings)
    _coded: _Coded = field(init=False, repr=False)
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
        self._coded = _Coded(self.decoder, self.encoder, self.place)

    @torch.inference_mode()
    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint; masks (1, K, H, W) in [0, 1] if there are regions. Same size out."""
        return self._paint(image, masks, None)

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
        own = self.settings
        if own.strength == 0:
            return image.clone()
        cascade = Cascade(own.layers, kind=own.transform, strength=own.strength, detail=own.detail)
        deepest = max(own.layers, key=LAYERS.index)
        content = self._coded.at_place(image)
        regions = self._checked(image, masks)
        grain = own.grain if own.grain is not None else GRAIN * (len(own.layers) > 1 and averages is None)
        if grain:
            covered = 1.0 if regions is None else regions.sum(1, keepdim=True)
            content = content + own.strength * grain * covered * self._noise_of(content)
        content = self._coded.padded(content, deepest)
        features = self.encoder(content, list(own.layers))
        style = self._style(min(image.shape[-2:]), regions)
        weights = None
        if regions is not None:
            regions = self._coded.padded(regions, deepest)
            weights = {layer: region_weights(regions, _size(value), soft=own.soft) for layer, value in features.items()}

        def averaged(layer: str, found: Statistics) -> Statistics:
            if averages is None:
                return found
            averages[layer] = averages[layer].moved(found, own.rate) if layer in averages else found
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
        own = self.settings
        key = (self.style_size or short_side, tuple(own.layers), own.soft)
        if key not in self._kept:
            self._kept[key] = [self._of_style(number, key[0]) for number in range(len(self.styles))]
        found = self._kept[key]
        if regions is not None and self.style_masks is None:
            return {layer: side_by_side([each[layer] for each in found]) for layer in own.layers}
        if len(found) == 1:
            return found[0]
        shares = torch.tensor(self.shares or [1.0] * len(found), device=self.place.device)[:, None]
        result = {}
        for layer in own.layers:
            held = torch.cat([each[layer].positions for each in found]) > 0
            share = shares * held
            result[layer] = mixed([each[layer] for each in found], share / share.sum(0).clamp_min(1e-12))
        return result

    def _of_style(self, number: int, short_side: int) -> dict[str, Statistics]:
        own = self.settings
        picture = style_at(self._coded.at_place(self.styles[number]), short_side)
        features = self.encoder(picture.contiguous(memory_format=torch.channels_last), list(own.layers))
        weights = None
        if self.style_masks is not None:
            mask = self.style_masks[number].to(self.place.device)
            weights = {layer: region_weights(mask, _size(value), soft=own.soft) for layer, value in features.items()}
        return styled(features, Cascade(own.layers), weights)

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
        own = masks.to(self.place.device, torch.float32)
        if not bool(torch.isfinite(own).all()) or float(own.min()) < 0:
            raise InputError("a mask holds values from 0 to 1, and this one others")
        return own / own.sum(1, keepdim=True).clamp_min(1.0)


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
    strength: float = 1.0
    layer: str = "relu3_1"
    size: int = 3
    _coded: _Coded = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.layer not in LAYERS:
            raise InputError(f"features are swapped at {', '.join(LAYERS)}, not at {self.layer}")
        if not 0 <= self.strength <= 1:
            raise InputError(f"strength goes from 0, the photo, to 1 with this method; {self.strength:g} does not")
        if not 1 <= self.size <= 9:
            raise InputError(f"patches have 1 to 9 positions a side, not {self.size}")
        self._coded = _Coded(self.decoder, self.encoder, self.place)

    @torch.inference_mode()
    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint; masks (1, K, H, W) if there are regions. Same size out."""
        if (masks is None) != (self.style_mask is None):
            raise InputError("masks are needed for both the photo and the style picture, or for neither")
        if self.strength == 0:
            return image.clone()
        content = self._coded.padded(self._coded.at_place(image), self.layer)
        features = self.encoder(content, [self.layer])[self.layer]
        style = style_at(self._coded.at_place(self.style), self.style_size or min(image.shape[-2:]))
        patches = self.encoder(style.contiguous(memory_format=torch.channels_last), [self.layer])[self.layer]
        regions: list[Tensor | None] = [None, None]
        if masks is not None and self.style_mask is not None:
            padded = self._coded.padded(masks.to(content), self.layer)
            regions = [region_weights(padded, _size(features)), region_weights(self.style_mask.to(content), _size(patches))]
        if min(*_size(features), *_size(patches)) < self.size:
            raise InputError(f"the pictures are too small for patches of {self.size} positions at {self.layer}")
        swapped = patch_swap(features, patches, size=self.size, content_regions=regions[0], style_regions=regions[1])
        picture = self._coded.decoded(features.lerp(swapped, self.strength), self.layer)
        return picture[..., : image.shape[-2], : image.shape[-1]].clamp(0, 1).to(image.device)


def _size(features: Tensor) -> tuple[int, int]:
    return features.shape[-2], features.shape[-1]
