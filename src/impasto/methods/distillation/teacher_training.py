"""Training of the teacher (Ruder et al. 2018): mixed with stills, over several frames, through the last of them only.

Each step paints a short film frame by frame, with what was painted before in sight, and learns from the last frame: the perceptual loss,
and how far it is from the frame before along the flow. Stills teach it to begin from nothing.
"""

from pathlib import Path

import torch
from torch import Tensor
from torch.func import functional_call

from impasto.events import Listener, silence
from impasto.methods.distillation.calibration import calibrated, gradient_norms
from impasto.methods.distillation.networks import TeacherNetwork
from impasto.methods.distillation.teacher import prior_of
from impasto.methods.distillation.training_settings import TeacherTraining
from impasto.perception.loss import PerceptualLoss, StyleTarget
from impasto.runtime.device import Place
from impasto.storage.tensors import checksum
from impasto.training.clips import Clip, Clips
from impasto.training.data import Pictures
from impasto.training.loop import own_generator, rated_groups, train
from impasto.training.schedules import linear


class TeacherLearner:
    """A teacher, its style and its losses."""

    def __init__(self, network: TeacherNetwork, loss: PerceptualLoss, style: StyleTarget, place: Place):
        self.network, self.loss, self.style, self.place = network, loss, style, place

    def painted(self, frame: Tensor, prior: Tensor | None, mask: Tensor | None, weights: dict[str, Tensor]) -> Tensor:
        """One frame, computed in the place's precision with weights that are cast already."""
        output: Tensor = functional_call(self.network, weights, (frame, prior, mask))
        return output

    def terms(self, clip: Clip) -> tuple[dict[str, Tensor], Tensor]:
        """The perceptual loss of the last frame and its distance from the one before, unweighted; and that frame itself."""
        clip = clip.to(self.place.device)
        weights = {name: value.to(self.place.dtype) for name, value in self.network.named_parameters()}
        before: Tensor | None = None
        with torch.no_grad():
            for t in range(len(clip.frames) - 1):
                before = self.painted(clip.frames[t : t + 1], *self._prior(before, clip, t), weights).clamp(0, 1)
        last = len(clip.frames) - 1
        prior, mask = self._prior(before, clip, last)
        frame = clip.frames[last:]
        painted = self.painted(frame, prior, mask, weights)
        terms = {"perceptual": self.loss(painted, self.loss.content_target(frame), self.style).total}
        if prior is not None and mask is not None:
            terms["temporal"] = (mask * (painted - prior)).square().mean()
        return terms, painted

    @staticmethod
    def _prior(before: Tensor | None, clip: Clip, t: int) -> tuple[Tensor | None, Tensor | None]:
        return (None, None) if before is None else prior_of(before, clip.backward[t - 1 : t], clip.backward_traced[t - 1 : t])


def train_teacher(
    network: TeacherNetwork,
    loss: PerceptualLoss,
    style: StyleTarget,
    films: Clips | None,
    moving: Clips,
    stills: Pictures,
    settings: TeacherTraining,
    *,
    place: Place,
    checkpoint: Path | None = None,
    listener: Listener = silence,
) -> float:
    """Train a teacher in place; it is kept in float32 and computed in the place's precision. Returns the weight of the temporal term.

    films: clips of films, or None for moving stills alone. An event brings `perceptual` and, of films, `temporal`.
    """
    network.to(place.device, torch.float32).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner, generator = TeacherLearner(network, loss, style, place), own_generator(settings.seed)
    sources = torch.tensor([settings.film if films is not None else 0.0, settings.moving, settings.still], dtype=torch.float64)
    weight = settings.temporal_weight
    if weight is None:
        first = torch.Generator().manual_seed(settings.seed + 1)
        norms = [gradient_norms(*learner.terms((films or moving).draw(2, settings.crop, first))) for _ in range(4)]
        mean = {name: sum(norm[name] for norm in norms) / len(norms) for name in norms[0]}
        weight = calibrated(mean, {"temporal": settings.temporal_fraction})["temporal"]

    def gradient(step: int) -> dict[str, Tensor]:
        source = int(torch.multinomial(sources, 1, generator=generator))
        if source == 2:
            still = stills.draw(1, settings.crop, generator, zoom=(0.8, 1.6))
            nothing = still.new_zeros(0, 2, *still.shape[-2:])
            clip = Clip(still, nothing, nothing[:, :1], nothing, nothing[:, :1])
        else:
            clip = (films or moving, moving)[source].draw(1 + settings.frames_before(step), settings.crop, generator)
        terms, _ = learner.terms(clip)
        total = terms["perceptual"] + weight * terms.get("temporal", 0.0)
        total.backward()  # type: ignore[no-untyped-call]
        return {name: value.detach() for name, value in terms.items()}

    train(
        settings,
        gradient,
        rate=lambda step: linear(step, settings.steps, final=settings.final_rate),
        networks={"teacher": network},
        optimiser=torch.optim.Adam(rated_groups(network, settings.learning_rate, balanced=settings.balanced)),
        generator=generator,
        data={
            "style": checksum(style.statistics),
            "films": "" if films is None else films.digest,
            "moving": moving.digest,
            "stills": stills.digest,
        },
        reads=[*([] if films is None else [films]), moving, stills],
        checkpoint=checkpoint,
        listener=listener,
    )
    return weight
