"""The statistics of styles at any size: of pictures, which are encoded when a size is first asked for, or as a style file keeps them.

A style file keeps the Gram matrices of its painting at a few sizes, the upper triangle of each in half precision: pictures are finished
without the painting.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from impasto.errors import StyleError
from impasto.media.images import rescale, style_at
from impasto.perception.encoder import Encoder
from impasto.perception.loss import PerceptualLoss, StyleTarget

SIDES = (128, 256, 512, 1024)
"""Shorter sides, in pixels, at which statistics are kept: as many as the painting has. Between two of them, the squared error of Gram
matrices is about 1 % of their energy."""

Stored = Mapping[int, Mapping[str, Tensor]]
"""Shorter side -> layer -> Gram matrix (C, C)."""


@dataclass
class StyleSizes:
    """The style target for any shorter side; made once for each.

    loss: whose statistics they are.
    styles: a picture (1, 3, h, w), or what `unpacked` gives, for each style.
    weights: one for each style, equal by default.
    masks: for regions, (1, K, h, w) of each style; all styles have to be pictures then.
    apart: each style is a region of its own.
    """

    loss: PerceptualLoss
    styles: Sequence[Tensor | Stored]
    weights: Sequence[float] | None = None
    masks: Sequence[Tensor] | None = None
    apart: bool = False
    _kept: dict[int, StyleTarget] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, short: int) -> StyleTarget:
        """The target with the styles at this shorter side; a style that is smaller stays as it is."""
        if short not in self._kept:
            self._kept[short] = self._regions(short) if self.masks is not None else self._whole(short)
        return self._kept[short]

    def _regions(self, short: int) -> StyleTarget:
        pictures = [self._picture(style, short) for style in self.styles if isinstance(style, Tensor)]
        sizes = [(picture.shape[-2], picture.shape[-1]) for picture in pictures]
        masks = [rescale(mask.to(pictures[0]), size) for mask, size in zip(self.masks or (), sizes, strict=True)]
        return self.loss.style_target(pictures, weights=self.weights, masks=masks)

    def _whole(self, short: int) -> StyleTarget:
        found = [self._one(style, short) for style in self.styles]
        layers = self.loss.settings.style_layers
        if self.apart:
            return StyleTarget({layer: torch.cat([one[layer] for one in found], 1) for layer in layers}, torch.ones(len(found)) > 0)
        shares = [1.0] * len(found) if self.weights is None else self.weights
        mixed = {
            layer: torch.stack([share / sum(shares) * one[layer] for share, one in zip(shares, found, strict=True)]).sum(0)
            for layer in layers
        }
        return StyleTarget(mixed, torch.ones(1) > 0)

    def _one(self, style: Tensor | Stored, short: int) -> Mapping[str, Tensor]:
        """The statistics (1, 1, C, C) of one style."""
        if isinstance(style, Tensor):
            return self.loss.style_target([self._picture(style, short)]).statistics
        device = self.loss.encoder.convolution("1_1").weight.device
        return {layer: value[None, None].to(device) for layer, value in between(style, short).items()}

    def _picture(self, style: Tensor, short: int) -> Tensor:
        picture = style_at(style, min(short, min(style.shape[-2:])))
        weight = self.loss.encoder.convolution("1_1").weight
        return picture.to(weight.device).contiguous(memory_format=torch.channels_last)


def between(stored: Stored, short: int) -> Mapping[str, Tensor]:
    """Statistics at a shorter side: of the two nearest sizes that are kept, evenly in the logarithm of the size."""
    sides = sorted(stored)
    short = min(max(short, sides[0]), sides[-1])
    above = next(side for side in sides if side >= short)
    below = max(side for side in sides if side <= short)
    if above == below:
        return stored[above]
    share = math.log(short / below) / math.log(above / below)
    return {layer: value.lerp(stored[above][layer], share) for layer, value in stored[below].items()}


def packed(loss: PerceptualLoss, pictures: Sequence[Tensor]) -> dict[str, Tensor]:
    """What a style file keeps of paintings (1, 3, h, w) as one style: the triangle of each Gram matrix, by "SIDE/LAYER"."""
    largest = max(min(picture.shape[-2:]) for picture in pictures)
    sizes = StyleSizes(loss, pictures)
    kept = {}
    for side in [side for side in SIDES if side <= largest] or [max(32, largest)]:
        for layer, value in sizes(side).statistics.items():
            rows, columns = torch.triu_indices(*value.shape[-2:])
            kept[f"{side}/{layer}"] = value[0, 0, rows, columns].half().cpu()
    return kept


def mixed_statistics(kept: Sequence[Mapping[str, Tensor]], shares: Sequence[float]) -> dict[str, Tensor]:
    """What a style file keeps of a mixture of styles; nothing if one of them has nothing."""
    if not all(kept):
        return {}
    weights = [share / sum(shares) for share in shares]
    sorted_out = [_by_side(one) for one in kept]
    mixed = {}
    for side in sorted({side for one in sorted_out for side in one}):
        found = [between(one, side) for one in sorted_out]
        for layer in found[0]:
            mixed[f"{side}/{layer}"] = torch.stack([w * one[layer].float() for w, one in zip(weights, found, strict=True)]).sum(0).half()
    return mixed


def _by_side(kept: Mapping[str, Tensor]) -> Stored:
    found: dict[int, dict[str, Tensor]] = {}
    for name, value in kept.items():
        side, _, layer = name.partition("/")
        found.setdefault(int(side), {})[layer] = value
    return found


def unpacked(kept: Mapping[str, Tensor], encoder: Encoder, origin: str) -> Stored:
    """The statistics of a style file for an encoder. Raises StyleError that names `origin` if they are not those of this encoder."""
    found: dict[int, dict[str, Tensor]] = {}
    for name, value in kept.items():
        side, _, layer = name.partition("/")
        channels = encoder.channels[int(layer[4]) - 1] if layer in encoder.layers else 0
        entries = channels * (channels + 1) // 2
        if not side.isdigit() or value.shape != (entries,) or not bool(torch.isfinite(value).all()):
            raise StyleError(f"{origin} holds statistics of its painting that are damaged, or of another encoder ({name[:40]!r})")
        rows, columns = torch.triu_indices(channels, channels)
        matrix = torch.zeros(channels, channels)
        matrix[rows, columns] = matrix[columns, rows] = value.float()
        found.setdefault(int(side), {})[layer] = matrix
    return found
