"""Training of a student (Chen et al. 2020, Algorithm 1): stable as a teacher with optical flow, without the flow.

The student begins as the vanilla student, which paints frames alone, and learns from runs of consecutive frames: the perceptual loss of
each, what the flow changes in the teacher's picture (residual), how much the film moves (low rank), and, if asked, how far neighbours are
apart along the flow (temporal).
"""

import copy
from pathlib import Path

import torch
from torch import Tensor

from impasto.errors import InputError
from impasto.events import Listener, silence
from impasto.methods.distillation.calibration import calibrated, gradient_norms
from impasto.methods.distillation.losses import aligned, feature_loss, low_rank_loss, output_loss, residual_loss, vanilla_loss
from impasto.methods.distillation.networks import TeacherNetwork
from impasto.methods.distillation.teacher import prior_of
from impasto.methods.distillation.training_settings import StudentTraining
from impasto.motion.temporal import temporal_loss
from impasto.networks.style_network import StyleNetwork, blobs, paint
from impasto.perception.loss import PerceptualLoss, StyleTarget
from impasto.runtime.device import Place
from impasto.storage.tensors import checksum
from impasto.training.clips import Clip, Clips
from impasto.training.loop import own_generator, rated_groups, train
from impasto.training.schedules import linear, staircase


class StudentLearner:
    """A student with its vanilla twin, its teacher, its style and its losses."""

    def __init__(
        self,
        student: StyleNetwork,
        teacher: TeacherNetwork | None,
        loss: PerceptualLoss,
        style: StyleTarget,
        settings: StudentTraining,
        place: Place,
    ):
        self.student, self.loss, self.style, self.settings, self.place = student, loss, style, settings, place
        self.vanilla = _frozen(student, place)
        self.teacher = None if teacher is None else _frozen(teacher, place)

    def terms(self, clip: Clip, kurtosis: list[Tensor] | None = None) -> tuple[dict[str, Tensor], Tensor]:
        """All terms that the settings name, unweighted, and the painted frames (K, 3, H, W)."""
        clip, settings, names = clip.to(self.place.device), self.settings, self.settings.used
        frames = clip.frames.contiguous(memory_format=torch.channels_last)
        features: list[Tensor] | None = [] if "feature" in names else None
        weights = dict(self.student.named_parameters())
        painted = paint(self.student, weights, frames, self.place.dtype, kurtosis=kurtosis, features=features)
        terms = {"perceptual": self.loss(painted, self.loss.content_target(frames), self.style).total}
        taught = self._taught(clip) if settings.taught else None
        if taught is not None and "residual" in names:
            with torch.no_grad():
                assert self.teacher is not None
                untaught, vanilla = self.teacher(clip.frames).clamp(0, 1), self.vanilla(frames)
            terms["residual"] = residual_loss(painted, vanilla, taught, untaught, centred=settings.residual_centred)
        if taught is not None and "vanilla" in names:
            terms["vanilla"] = vanilla_loss(painted, taught)
        if "rank" in names:
            flows, masks = clip.from_frame(len(frames) // 2)
            reference = clip.frames if settings.rank_of == "input" or taught is None else taught
            both = [aligned(rows, flows, masks, intersected=settings.rank_masks == "intersected") for rows in (painted, reference)]
            terms["rank"] = low_rank_loss(*both, mode=settings.rank_mode).float()
        if "temporal" in names:
            terms["temporal"] = temporal_loss(painted, clip.backward, clip.backward_traced)
        if "output" in names:
            terms["output"] = output_loss(painted, clip.frames, clip.backward, clip.backward_traced)
        if features is not None:
            terms["feature"] = feature_loss(features[0], clip.backward, clip.backward_traced)
        return terms, painted

    @torch.no_grad()
    def _taught(self, clip: Clip) -> Tensor:
        """The teacher along the clip, each frame from its own output before."""
        assert self.teacher is not None
        painted: list[Tensor] = []
        for t, frame in enumerate(clip.frames):
            prior = prior_of(painted[-1], clip.backward[t - 1 : t], clip.backward_traced[t - 1 : t]) if painted else (None, None)
            painted.append(self.teacher(frame[None], *prior).clamp(0, 1))
        return torch.cat(painted)


def _frozen(network: torch.nn.Module, place: Place) -> torch.nn.Module:
    """A copy that does not learn, at the place and in its precision."""
    copied = copy.deepcopy(network).to(place.device, place.dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    frozen: torch.nn.Module = copied.requires_grad_(False)
    return frozen


def rate_at(settings: StudentTraining, step: int) -> float:
    """Factor of the learning rate at a step, from 0."""
    if settings.decay_every:
        return staircase(step, every=settings.decay_every, factor=1.2, least=settings.final_rate)
    return linear(step, settings.steps, final=settings.final_rate)


def train_student(
    student: StyleNetwork,
    teacher: TeacherNetwork | None,
    loss: PerceptualLoss,
    style: StyleTarget,
    clips: Clips,
    settings: StudentTraining,
    *,
    place: Place,
    checkpoint: Path | None = None,
    listener: Listener = silence,
) -> dict[str, float]:
    """Train a student in place, from the vanilla student that it is; float32, computed in the place's precision.

    teacher: needed by some terms, otherwise None. Returns the weights of the terms. Raises InputError if a teacher is missing.
    """
    if settings.taught and teacher is None:
        raise InputError(f"the terms {', '.join(settings.used)} need a teacher")
    student.to(place.device, torch.float32).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner, generator = StudentLearner(student, teacher, loss, style, settings, place), own_generator(settings.seed)
    weights = dict(settings.weights)
    if settings.terms:
        first = torch.Generator().manual_seed(settings.seed + 1)
        norms = [gradient_norms(*learner.terms(clips.draw(settings.length, settings.crop, first))) for _ in range(4)]
        mean = {name: sum(norm[name] for norm in norms) / len(norms) for name in norms[0]}
        weights |= calibrated(mean, settings.terms)

    def gradient(step: int) -> dict[str, Tensor]:
        kurtosis: list[Tensor] | None = [] if settings.blob_weight else None
        terms, _ = learner.terms(clips.draw(settings.length, settings.crop, generator), kurtosis)
        total = terms["perceptual"]
        for name, value in terms.items():
            total = total + weights.get(name, 0.0) * value
        if kurtosis:
            total = total + settings.blob_weight * blobs(kurtosis)
        total.backward()  # type: ignore[no-untyped-call]
        return {name: value.detach() for name, value in terms.items()}

    train(
        settings,
        gradient,
        rate=lambda step: rate_at(settings, step),
        networks={"student": student},
        optimiser=torch.optim.Adam(rated_groups(student, settings.learning_rate, balanced=settings.balanced)),
        generator=generator,
        data={
            "style": checksum(style.statistics),
            "clips": clips.digest,
            "teacher": "" if teacher is None else checksum(teacher.state_dict()),
        },
        reads=[clips],
        checkpoint=checkpoint,
        listener=listener,
    )
    return weights
