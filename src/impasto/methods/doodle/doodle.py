"""Semantic transfer by optimisation over patches (Champandard 2016), the other baseline of semantic transfer.

Every 3x3 patch of the picture's features is drawn to the painting's patch that is most like it, in features and in the map of
regions at once, so that patches come from the matching region. Coarse to fine over three sizes, L-BFGS.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import ImpastoError, InputError
from impasto.events import Event, Interrupted, Listener, silence
from impasto.gradients import with_gradients
from impasto.media.images import rescale, stroke_side, style_at
from impasto.methods.doodle.settings import DoodleSettings
from impasto.perception.encoder import Encoder
from impasto.perception.loss import content_distance, range_excess, white_energy
from impasto.perception.patches import closest
from impasto.perception.statistics import at_features
from impasto.runtime.size import pyramid

STYLE, CONTENT = ("relu3_1", "relu4_1"), "relu4_2"

_FEATURES, _REGIONS = 3.0, 0.9**0.5
"""What patches of features and of the map of regions are divided by, times their length: the regions count ten times as much."""


@dataclass
class NeuralDoodle:
    """The stylizer: one painting (1, 3, h, w), RGB in [0, 1], and for regions its mask (1, K, h, w). One photo a call.

    encoder: with average pooling, as published. Calls raise Interrupted, with the picture so far, when the user stops them.
    """

    encoder: Encoder
    style: Tensor
    style_mask: Tensor | None = None
    settings: DoodleSettings = field(default_factory=DoodleSettings)
    listener: Listener = silence

    @with_gradients
    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint a photo (1, 3, H, W) in [0, 1]; masks (1, K, H, W) if a style mask was given. Same size out."""
        if (masks is None) != (self.style_mask is None):
            raise InputError("masks are needed for both the photo and the style picture, or for neither")
        if len(image) != 1:
            raise InputError("doodle paints one photo at a time")
        if self.settings.strength == 0:
            return image.clone()
        sizes = pyramid((image.shape[-2], image.shape[-1]), self.settings.levels)
        picture, started = image, time.monotonic()
        try:
            for level, size in enumerate(sizes):
                target = _Target(self, rescale(image, size), None if masks is None else rescale(masks, size), size, image)
                pixels = rescale(picture, size).float().clone(memory_format=torch.contiguous_format).requires_grad_(True)
                picture = pixels.detach()
                self._optimise(pixels, target, level * self.settings.iterations, len(sizes) * self.settings.iterations, started)
        except KeyboardInterrupt:
            raise Interrupted(picture.clamp(0, 1)) from None
        return picture.clamp(0, 1)

    def _optimise(self, pixels: Tensor, target: "_Target", done: int, total: int, started: float) -> None:
        count = self.settings.iterations
        optimiser = torch.optim.LBFGS(
            [pixels], lr=1, max_iter=count, max_eval=count * 5 // 4 + 1, history_size=20, line_search_fn="strong_wolfe",
            tolerance_grad=0, tolerance_change=0,
        )  # fmt: skip
        reported = -1

        def evaluate() -> float:
            nonlocal reported
            optimiser.zero_grad()
            loss = target.loss(pixels)
            torch.autograd.backward(loss)
            step = int(optimiser.state[pixels].get("n_iter", 0))
            if step > reported:
                reported = step
                self.listener(Event(done + step, total, time.monotonic() - started, {"loss": loss.item()}))
            return loss.item()

        optimiser.step(evaluate)  # type: ignore[no-untyped-call]
        if not bool(torch.isfinite(pixels).all()):
            raise ImpastoError("the optimisation ran into values that are not finite; try --precision float32")


class _Target:
    """What the picture of one size is drawn to."""

    def __init__(self, doodle: NeuralDoodle, content: Tensor, masks: Tensor | None, size: tuple[int, int], image: Tensor):
        self.doodle, self.settings = doodle, doodle.settings
        short = stroke_side(self.settings.stroke, min(size))
        if self.settings.style_size is not None:
            short = round(self.settings.style_size * min(size) / min(image.shape[-2:]))
        style = style_at(doodle.style.to(image), short)
        with torch.no_grad():
            found = doodle.encoder(style, STYLE)
            self.content = doodle.encoder(content, [CONTENT])[CONTENT]
            self.least = white_energy(doodle.encoder, [CONTENT], content)[CONTENT]
        mask_of_style = None if doodle.style_mask is None else rescale(doodle.style_mask.to(image), (style.shape[-2], style.shape[-1]))
        self.patches = {layer: F.unfold(value, 3)[0] for layer, value in found.items()}
        self.searched = {layer: _described(found[layer], mask_of_style) for layer in STYLE}
        self.masks = masks

    def loss(self, pixels: Tensor) -> Tensor:
        """25 mean |patch - match|^2 at both layers + 10 content + smoothness, the distances relative to their targets' energies."""
        features = self.doodle.encoder(pixels, [*STYLE, CONTENT])
        style = torch.zeros((), device=pixels.device)
        for layer in STYLE:
            with torch.no_grad():
                best = closest(_described(features[layer], self.masks), self.searched[layer])
                matches = self.patches[layer][:, best].float()
            patches = F.unfold(features[layer], 3)[0].float()
            style = style + (patches - matches).square().mean() / matches.square().mean().clamp_min(1e-12)
        content = content_distance(features[CONTENT], self.content, normaliser="energy", least=self.least).mean()
        settings = self.settings
        terms = (
            settings.strength * settings.style_weight * style,
            settings.content_weight * content,
            settings.smoothness * _roughness(pixels),
        )
        return sum(terms[1:], terms[0]) + 10 * range_excess(pixels).mean()


def _described(features: Tensor, masks: Tensor | None) -> Tensor:
    """Patches (9 C + 9 K, P) that are compared: features and regions, each of a fixed length."""
    parts: Sequence[Tensor] = [_of_length(F.unfold(features, 3)[0], _FEATURES)]
    if masks is not None:
        regions = at_features(masks, features)
        parts = [*parts, _of_length(F.unfold(regions, 3)[0], _REGIONS).to(features.dtype)]
    return torch.cat(list(parts))


def _of_length(patches: Tensor, divisor: float) -> Tensor:
    length = patches.float().norm(dim=0).clamp_min(1e-8)
    scaled: Tensor = patches / (divisor * length).to(patches.dtype)
    return scaled


def _roughness(picture: Tensor) -> Tensor:
    """Mean over the pixels of (dx^2 + dy^2)^1.25."""
    across = picture[..., :-1, 1:] - picture[..., :-1, :-1]
    down = picture[..., 1:, :-1] - picture[..., :-1, :-1]
    mean: Tensor = (across.square() + down.square() + 1e-8).pow(1.25).mean()
    return mean
