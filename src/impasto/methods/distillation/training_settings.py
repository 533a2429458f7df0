"""How teachers (Ruder et al. 2018) and students (Chen et al. 2020, Algorithm 1) are trained; free of heavy imports."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from impasto.errors import InputError, unknown
from impasto.perception.presets import LossName
from impasto.settings import Settings, setting

TERMS = ("residual", "vanilla", "rank", "temporal", "output", "feature")
"""What can be added to the perceptual loss; `vanilla` is plain distillation, `output` and `feature` are ReCoNet's."""
RankMode = Literal["nuclear", "tail", "centred", "relative"]
RANK_MODES: tuple[RankMode, ...] = get_args(RankMode)
VANILLA_STEPS = 1000


@dataclass(frozen=True)
class TeacherTraining(Settings):
    """Settings of the training of a teacher.

    film, moving and still are weights by which the source of a step is drawn: films, scenes made of moving stills, and single pictures,
    whose prior is empty. unroll is pairs of a share of the training and a number of frames; from that share on, so many frames come before
    the one that is learned from.
    """

    network: Literal["ruder", "start"] = setting("ruder", "Its network: of Ruder et al. 2018, or the start's with four inputs more.")
    steps: int = setting(2000, "Steps of the optimiser.", low=0)
    vanilla_steps: int = setting(VANILLA_STEPS, "Steps of learning the style first, where --start is not given.", low=1)
    crop: int = setting(256, "Side of the training crops in pixels.", low=64)
    style_size: int = setting(384, "Shorter side of the painting in pixels.", low=32)
    loss: LossName = setting("feedforward", "Preset of the perceptual loss.")
    learning_rate: float = setting(1e-3, "Of Adam.", above=0)
    final_rate: float = setting(0.1, "What the learning rate falls to, times its start.", low=0)
    balanced: bool = setting(True, "Whether filters of many inputs take smaller steps.")
    clip: float = setting(1.0, "Largest norm of a gradient; 0 for any.", low=0)
    film: float = setting(3.0, "How often a step sees a film.", low=0, shown=False)
    moving: float = setting(2.0, "How often a step sees a scene made of moving stills.", low=0, shown=False)
    still: float = setting(5.0, "How often a step sees single pictures.", low=0, shown=False)
    unroll: tuple[tuple[float, int], ...] = ((0.0, 1), (0.55, 2), (0.67, 4))
    temporal_weight: float | None = setting(None, "Weight of the temporal term. (default: calibrated)", low=0)
    temporal_fraction: float = setting(1.0, "What the temporal gradient is calibrated to, times the perceptual one.", low=0)
    seed: int = setting(0, "For whatever is random.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.film + self.moving <= 0:
            raise InputError("a teacher learns from what moves: films or moving stills need a weight above 0")

    def frames_before(self, step: int) -> int:
        """How many frames come before the one that is learned from, at a step."""
        return max(count for share, count in self.unroll if step >= share * self.steps)


TEACHER_PRESETS = {
    "recommended": TeacherTraining(),
    "published": TeacherTraining(
        steps=90_000,
        loss="ruder",
        final_rate=1.0,
        balanced=False,
        unroll=((0.0, 1), (5 / 9, 2), (2 / 3, 4)),
        temporal_weight=100.0 * 255**2 / 0.4,
    ),
}


def _terms(default: Mapping[str, float], help: str) -> Any:
    return field(default_factory=lambda: dict(default), metadata=setting(None, help, form="residual=1,rank=0.25").metadata)


@dataclass(frozen=True)
class StudentTraining(Settings):
    """Settings of the training of a student.

    The learning rate falls linearly to `final_rate` times its start, or with `decay_every` it is divided by 1.2 every so many steps until
    it is `final_rate` times its start, as published.
    """

    student: Literal["metastyle", "reconet", "reconet-s", "reconet-xs"] | None = setting(
        None, "Its network: metastyle, or a size of ReCoNet. (default: the start's, or metastyle)"
    )
    steps: int = setting(1000, "Steps of the optimiser.", low=0)
    vanilla_steps: int = setting(VANILLA_STEPS, "Steps of learning the style first, where --start is not given.", low=1)
    length: int = setting(5, "K, frames of a run.", low=2)
    crop: int = setting(256, "Side of the training crops in pixels.", low=64)
    style_size: int = setting(384, "Shorter side of the painting in pixels.", low=32)
    loss: LossName = setting("feedforward", "Preset of the perceptual loss.")
    learning_rate: float = setting(5e-4, "Of Adam.", above=0)
    final_rate: float = setting(0.1, "What the learning rate falls to, times its start.", low=0)
    decay_every: int = setting(0, "Steps after which the rate is divided by 1.2; 0: it falls linearly.", low=0)
    balanced: bool = setting(True, "Whether filters of many inputs take smaller steps.")
    clip: float = setting(1.0, "Largest norm of a gradient; 0 for any.", low=0)
    weights: Mapping[str, float] = _terms({}, f"Losses beside the perceptual one with weights as they are; of {', '.join(TERMS)}.")
    terms: Mapping[str, float] = _terms(
        {"residual": 1.0, "rank": 0.25}, "The same, as shares of the perceptual gradient, calibrated once at the start; none=0 for none."
    )
    residual_centred: bool = setting(False, "Whether the residual is less its mean over the frames.")
    rank_mode: RankMode = setting("nuclear", "How the low-rank term measures.")
    rank_masks: Literal["intersected", "frame"] = setting("intersected", "Masks of the low-rank term: of all frames, or by frame.")
    rank_of: Literal["input", "teacher"] = setting("input", "Whether films move as much as the input, or as the teacher's.")
    blob_weight: float = setting(0.02, "Weight of the penalty against blobs.", low=0)
    seed: int = setting(0, "For whatever is random.")

    def __post_init__(self) -> None:
        super().__post_init__()
        foreign = [name for name in (*self.weights, *self.terms) if name not in TERMS]
        if foreign:
            raise InputError(unknown("term", foreign[0], TERMS))

    @property
    def used(self) -> list[str]:
        """The terms that are used."""
        return [name for name in TERMS if self.weights.get(name, 0) > 0 or self.terms.get(name, 0) > 0]

    @property
    def taught(self) -> bool:
        """Whether a teacher is needed."""
        return "residual" in self.used or "vanilla" in self.used or ("rank" in self.used and self.rank_of == "teacher")


STUDENT_PRESETS = {
    "recommended": StudentTraining(),
    "temporal": StudentTraining(terms={"residual": 1.0, "rank": 0.25, "temporal": 0.5}),
    "published": StudentTraining(
        steps=20_000,
        loss="reconet",
        learning_rate=1e-3,
        decay_every=500,
        balanced=False,
        weights={"residual": 4e8, "rank": 1e2},
        terms={},
        rank_masks="frame",
        blob_weight=0.0,
    ),
}
"""recommended: weights by gradients. temporal: with the temporal loss too. published: the numbers of the paper, on ReCoNet's loss."""
