"""Adaptation: from the meta-learned weights to a network for one painting, in 100 to 200 steps (section 3.3 of the paper).

It needs nothing but the painting. Contents are the user's own photos where there are some, otherwise pictures that
`training.made_pictures` makes from nothing.
"""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from impasto.events import Listener, silence
from impasto.gradients import with_gradients
from impasto.media.images import style_at
from impasto.methods.metastyle.settings import Adaptation
from impasto.networks.style_network import StyleNetwork
from impasto.perception.autocorrelation import texture_term
from impasto.perception.loss import PerceptualLoss
from impasto.runtime.device import Place
from impasto.training.clips import MovingPictures
from impasto.training.data import Pictures
from impasto.training.fitting import Curve, Guide, Steadiness, TemporalTerm, fit_network
from impasto.training.made_pictures import made_pictures
from impasto.training.settings import Kind


def weighted(loss: PerceptualLoss, settings: Adaptation) -> PerceptualLoss:
    """The loss with the weights that replace the preset's."""
    weights = {"content_weight": settings.content_weight, "tv_weight": settings.tv_weight}
    return loss.with_weights(**{name: value for name, value in weights.items() if value is not None})


def contents_for(settings: Adaptation) -> Pictures:
    """Contents made from nothing, from the seed of the settings; those of equal settings are made once."""
    return _made(settings.made, round(settings.training.crop * 1.5), settings.training.seed, settings.kinds)


@lru_cache(maxsize=2)
def _made(count: int, size: int, seed: int, kinds: tuple[Kind, ...]) -> Pictures:
    return made_pictures(count, size, torch.Generator().manual_seed(seed), kinds=kinds)


@with_gradients
def adapt(
    start: StyleNetwork,
    loss: PerceptualLoss,
    paintings: Sequence[Tensor],
    settings: Adaptation | None = None,
    *,
    contents: Pictures | None = None,
    temporal: TemporalTerm | None = None,
    guide: Guide | None = None,
    place: Place,
    checkpoint: Path | None = None,
    listener: Listener = silence,
) -> tuple[StyleNetwork, Curve]:
    """A network for one or several paintings (1, 3, h, w), RGB in [0, 1], as one style; `start` stays as it is.

    loss: over an encoder at the place. contents: photos, made ones by default. temporal: how far painted neighbours are apart, needed to
    learn for films. guide: the network that it is to paint like. checkpoint: see `impasto.training.loop.train`. Returns the network in
    float32 on the CPU, and the curve of the loss.
    """
    settings = settings or Adaptation()
    sized = [style_at(painting.to(place.device), settings.style_size) for painting in paintings]
    target = weighted(loss, settings).style_target(sized)
    network = start.empty_copy()
    network.load_state_dict(start.state_dict())
    network.smooth = True
    chosen = contents_for(settings) if contents is None else contents
    steadiness = None
    if settings.film:
        if temporal is None:
            raise ValueError("to learn for films a temporal term is needed")
        steadiness = Steadiness(MovingPictures(chosen), temporal, settings.temporal_weight, settings.camera_noise, settings.film_share)
    curve = fit_network(
        network,
        weighted(loss, settings),
        target,
        chosen,
        settings.training,
        place=place,
        steadiness=steadiness,
        texture=texture_term(sized),
        guide=guide,
        data={"contents": chosen.digest},
        checkpoint=checkpoint,
        listener=listener,
    )
    return network.cpu(), curve
