"""Style transfer by optimisation of the picture itself (Gatys, Ecker and Bethge 2016), the yardstick of all others.

Coarse to fine over sizes and one Gram matrix per region as in Gatys et al. 2017, several style pictures with weights,
any preset of the perceptual loss, L-BFGS or Adam.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from impasto.errors import ImpastoError, InputError
from impasto.events import Event, Interrupted, Listener, silence
from impasto.media.images import rescale, style_at
from impasto.methods.gatys.settings import GatysSettings
from impasto.perception.loss import ContentTarget, PerceptualLoss, StyleTarget
from impasto.runtime.size import pyramid

GREY_LEVEL = 1 / 255


@dataclass
class Gatys:
    """The stylizer: the style is set once, every call paints one batch of photos of the same size.

    styles: pictures (1, 3, h, w), RGB in [0, 1], with `weights` (equal by default), and for painting by regions a mask
    (1, K, h, w) for each. Calls raise Interrupted, with the picture so far, when the user stops them.
    """

    loss: PerceptualLoss
    styles: Sequence[Tensor]
    settings: GatysSettings = field(default_factory=GatysSettings)
    weights: Sequence[float] | None = None
    style_masks: Sequence[Tensor] | None = None
    listener: Listener = silence
    _targets: dict[int, StyleTarget] = field(default_factory=dict, init=False, repr=False)

    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint photos (B, 3, H, W) in [0, 1]; masks (1, K, H, W) if style masks were given. Same size out."""
        if (masks is None) != (self.style_masks is None):
            raise InputError("masks are needed for both the photo and the style pictures, or for neither")
        if self.settings.strength == 0:
            return image.clone()
        sizes = pyramid((image.shape[-2], image.shape[-1]), self.settings.levels)
        loss = self.loss.with_weights(style_weight=self.loss.settings.style_weight * self.settings.strength)
        run = _Run(self.settings, len(sizes) * self.settings.iterations, self.listener, time.monotonic(), self._first(image))
        try:
            for level, size in enumerate(sizes):
                content = loss.content_target(rescale(image, size), masks=None if masks is None else rescale(masks, size))
                style = self._style_target(loss, size, image)
                run.optimise(loss, rescale(run.picture, size), content, style, done=level * self.settings.iterations)
        except KeyboardInterrupt:
            raise Interrupted(run.picture.clamp(0, 1)) from None
        return run.picture.clamp(0, 1)

    def _first(self, image: Tensor) -> Tensor:
        generator = torch.Generator().manual_seed(self.settings.seed)
        if self.settings.start != "content":
            return torch.rand(image.shape, generator=generator).to(image)
        if float(image.std((-2, -1)).max()) > GREY_LEVEL:
            return image
        # Without any texture all places are alike, and so are their gradients: they have to be told apart.
        return (image + 2 * GREY_LEVEL * torch.randn(image.shape, generator=generator).to(image)).clamp(0, 1)

    def _style_target(self, loss: PerceptualLoss, size: tuple[int, int], image: Tensor) -> StyleTarget:
        """Statistics of the style pictures at this level, shrunk as the photo is; made once per size."""
        short = min(size)
        if self.settings.style_size is not None:
            short = round(self.settings.style_size * short / min(image.shape[-2:]))
        if short not in self._targets:
            scaled = [style_at(style.to(image), short) for style in self.styles]
            masks = self.style_masks
            if masks is not None:
                masks = [rescale(mask.to(image), (s.shape[-2], s.shape[-1])) for mask, s in zip(masks, scaled, strict=True)]
            self._targets[short] = loss.style_target(scaled, weights=self.weights, masks=masks)
        return self._targets[short]


@dataclass
class _Run:
    """One optimisation over all levels: counts, reports, and holds the picture as far as it came."""

    settings: GatysSettings
    total: int
    listener: Listener
    started: float
    picture: Tensor

    def optimise(self, loss: PerceptualLoss, start: Tensor, content: ContentTarget, style: StyleTarget, *, done: int) -> None:
        """Minimise the loss over the pixels from `start`; `done` iterations were made at coarser levels."""
        iterations = self.settings.iterations
        pixels = start.float().clone(memory_format=torch.contiguous_format).requires_grad_(True)
        self.picture = pixels.detach()
        if self.settings.optimiser == "lbfgs":
            optimiser: torch.optim.Optimizer = torch.optim.LBFGS(
                [pixels],
                lr=1,
                max_iter=iterations,
                max_eval=max(iterations * 5 // 4, iterations + 20),
                history_size=20,
                line_search_fn="strong_wolfe",
                tolerance_grad=0,
                tolerance_change=0,
            )
        else:
            optimiser = torch.optim.Adam([pixels], lr=self.settings.learning_rate)
        reported = -1

        def evaluate() -> float:
            nonlocal reported
            optimiser.zero_grad()
            terms = loss(pixels, content, style)
            torch.autograd.backward(terms.total)
            step = self._iteration(optimiser, pixels)
            if step > reported:
                reported = step
                self._report(done + step, terms.total.item(), pixels)
            return terms.total.item()

        for _ in range(1 if self.settings.optimiser == "lbfgs" else iterations):
            optimiser.step(evaluate)
        if not bool(torch.isfinite(pixels).all()):
            raise ImpastoError("the optimisation ran into values that are not finite; try --precision float32 or --optimiser adam")
        self._report(done + iterations, None, pixels)

    @staticmethod
    def _iteration(optimiser: torch.optim.Optimizer, pixels: Tensor) -> int:
        state = optimiser.state[pixels]
        return int(state.get("n_iter", state.get("step", 0)))

    def _report(self, step: int, loss: float | None, pixels: Tensor) -> None:
        due = self.settings.preview_every and step % self.settings.preview_every == 0
        preview = pixels.detach()[0].clamp(0, 1).clone() if due else None
        values = {} if loss is None else {"loss": loss}
        self.listener(Event(step, self.total, time.monotonic() - self.started, values, preview))
