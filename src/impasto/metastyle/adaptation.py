"""Adaptation: from the meta-learned weights to a network for one painting, in 100 to 200 steps (section 3.3 of the paper).

It needs nothing but the painting. Contents are the user's own photos where there are some, otherwise pictures that
`training.content` makes from nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from impasto.errors import InputError, unknown
from impasto.events import Listener, silence
from impasto.media.images import style_at
from impasto.networks import Transformer
from impasto.perception.loss import PRESETS, PerceptualLoss
from impasto.runtime.device import Place
from impasto.training.clips import MovingPictures
from impasto.training.content import KINDS, USUAL_KINDS, made_pictures
from impasto.training.data import Pictures
from impasto.training.painter import Curve, PainterTraining, Steadiness, TemporalTerm, fit_painter


@dataclass(frozen=True)
class Adaptation:
    """How a painting is learned.

    style_size: shorter side that the painting is brought to, in pixels; larger paints with larger strokes. loss: a preset;
    content_weight and tv_weight replace those of the preset. made: how many contents are made where none are given, and
    kinds: which ones in turn.

    film: learn it for films, so that they are stable without optical flow: contents are pairs of frames of moving scenes made of those
    pictures, with noise of deviation `sensor`, neighbours are held together along their exact motion with `temporal_weight`, and there is
    no grain.
    """

    training: PainterTraining = field(default_factory=PainterTraining)
    style_size: int = 384
    loss: str = "feedforward"
    content_weight: float | None = None
    tv_weight: float | None = None
    made: int = 48
    kinds: tuple[str, ...] = USUAL_KINDS
    film: bool = False
    temporal_weight: float = 15.0
    sensor: float = 0.02

    def __post_init__(self) -> None:
        if self.loss not in PRESETS:
            raise InputError(unknown("loss", self.loss, PRESETS))
        if self.style_size < 32:
            raise InputError(f"a style size of {self.style_size} is less than 32 pixels, too small to hold a stroke")
        if not self.kinds or set(self.kinds) - set(KINDS):
            raise InputError(f"contents are made as {', '.join(KINDS)}, not as {', '.join(self.kinds) or 'nothing'}")

    def weighted(self, loss: PerceptualLoss) -> PerceptualLoss:
        """The loss with the weights that replace the preset's."""
        given = {"content_weight": self.content_weight, "tv_weight": self.tv_weight}
        return loss.with_weights(**{name: value for name, value in given.items() if value is not None})


FOR_PHOTOS = Adaptation()
"""How a painting is learned when nothing else is said."""
FOR_FILMS = Adaptation(training=PainterTraining(steps=170, crop=224), content_weight=0.18, film=True)
"""How it is learned for films. Neighbours that are held together keep contours as well, so that less of the content term is needed."""


def contents_for(settings: Adaptation) -> Pictures:
    """Contents made from nothing, from the seed of the settings; those of equal settings are made once."""
    return _made(settings.made, round(settings.training.crop * 1.5), settings.training.seed, settings.kinds)


@lru_cache(maxsize=2)
def _made(count: int, size: int, seed: int, kinds: tuple[str, ...]) -> Pictures:
    return made_pictures(count, size, torch.Generator().manual_seed(seed), kinds=kinds)


def adapt(
    start: Transformer,
    loss: PerceptualLoss,
    paintings: Sequence[Tensor],
    settings: Adaptation | None = None,
    *,
    contents: Pictures | None = None,
    temporal: TemporalTerm | None = None,
    place: Place,
    checkpoint: Path | None = None,
    listener: Listener = silence,
) -> tuple[Transformer, Curve]:
    """A network for one or several paintings (1, 3, h, w), RGB in [0, 1], as one style; `start` stays as it is.

    loss: over an encoder at the place. contents: photos, made ones by default. temporal: how far painted neighbours are apart, needed to
    learn for films. checkpoint: see `impasto.training.loop.train`. Returns the network in float32 on the CPU, and the
    curve of the loss.
    """
    settings = settings or Adaptation()
    target = settings.weighted(loss).style_target([style_at(painting.to(place.device), settings.style_size) for painting in paintings])
    network = start.empty_copy()
    network.load_state_dict(start.state_dict())
    chosen = contents_for(settings) if contents is None else contents
    moving: Pictures | Steadiness = chosen
    if settings.film:
        if temporal is None:
            raise ValueError("to learn for films a temporal term is needed")
        network.grain = 0.0
        moving = Steadiness(MovingPictures(chosen), temporal, settings.temporal_weight, settings.sensor)
    curve = fit_painter(
        network,
        settings.weighted(loss),
        target,
        moving,
        settings.training,
        place=place,
        data={"contents": chosen.digest},
        checkpoint=checkpoint,
        listener=listener,
    )
    return network.cpu(), curve
