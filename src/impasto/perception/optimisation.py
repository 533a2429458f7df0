"""Optimisation of the pixels themselves (Gatys, Ecker and Bethge 2016): one run over several sizes, by L-BFGS or Adam."""

import time
from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor

from impasto.errors import ImpastoError
from impasto.events import Event, Listener, silence
from impasto.perception.loss import ContentTarget, PerceptualLoss, StyleTarget


@dataclass
class PixelOptimisation:
    """One optimisation over all sizes: counts, reports, and holds the picture as far as it came.

    picture: what is shown when it is stopped, (B, 3, H, W).
    total: iterations of all sizes together, for reports.
    optimiser, learning_rate: how; the rate is Adam's.
    history: how many steps L-BFGS remembers.
    spare: evaluations beyond one for each iteration that its line search may take, as a share of the iterations, and at least so many.
    preview_every: iterations between previews, 0 for none.
    """

    picture: Tensor
    total: int
    listener: Listener = silence
    optimiser: Literal["lbfgs", "adam"] = "lbfgs"
    learning_rate: float = 0.02
    history: int = 20
    spare: tuple[float, int] = (0.25, 20)
    preview_every: int = 0
    started: float = field(default_factory=time.monotonic)
    done: int = 0

    def run(self, loss: PerceptualLoss, start: Tensor, content: ContentTarget, style: StyleTarget, iterations: int) -> None:
        """Minimise the loss over the pixels from `start`, (B, 3, h, w). Raises ImpastoError if they become NaN or infinite."""
        pixels = start.float().clone(memory_format=torch.contiguous_format).requires_grad_(True)
        self.picture = pixels.detach()
        optimiser = self._optimiser(pixels, iterations)
        reported = -1

        def evaluate() -> float:
            nonlocal reported
            optimiser.zero_grad()
            value = loss(pixels, content, style).total
            torch.autograd.backward(value)
            state = optimiser.state[pixels]
            step = int(state.get("n_iter", state.get("step", 0)))
            if step > reported:
                reported = step
                self._report(self.done + step, value.item(), pixels)
            return value.item()

        for _ in range(1 if self.optimiser == "lbfgs" else iterations):
            optimiser.step(evaluate)
        if not bool(torch.isfinite(pixels).all()):
            raise ImpastoError("the optimisation ran into values that are not finite; try --precision float32 or --optimiser adam")
        self.done += iterations
        self._report(self.done, None, pixels)

    def _optimiser(self, pixels: Tensor, iterations: int) -> torch.optim.Optimizer:
        if self.optimiser == "adam":
            return torch.optim.Adam([pixels], lr=self.learning_rate)
        share, least = self.spare
        return torch.optim.LBFGS(
            [pixels],
            lr=1,
            max_iter=iterations,
            max_eval=iterations + max(int(share * iterations), least),
            history_size=self.history,
            line_search_fn="strong_wolfe",
            tolerance_grad=0,
            tolerance_change=0,
        )

    def _report(self, step: int, loss: float | None, pixels: Tensor) -> None:
        due = self.preview_every and step % self.preview_every == 0
        preview = pixels.detach()[0].clamp(0, 1).clone() if due else None
        self.listener(Event(step, self.total, time.monotonic() - self.started, {} if loss is None else {"loss": loss}, preview))
