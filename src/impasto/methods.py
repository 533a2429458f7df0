"""The one table from a method's name to what makes its stylizer. A new method is a folder and a line here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from torch import Tensor

from impasto.errors import InputError
from impasto.events import Listener, silence
from impasto.perception.loss import PRESETS, PerceptualLoss
from impasto.reference.gatys import Gatys, GatysSettings
from impasto.runtime.device import Place
from impasto.runtime.encoders import load_encoder
from impasto.runtime.stylizer import Stylizer
from impasto.settings import AUTO, Controls


@dataclass(frozen=True)
class StyleSource:
    """What a stylizer is made from: style pictures (1, 3, h, w) with weights and, for regions, masks (1, K, h, w)."""

    name: str
    pictures: Sequence[Tensor]
    weights: Sequence[float] | None = None
    masks: Sequence[Tensor] | None = None


@dataclass(frozen=True)
class Method:
    """One line of the table. make builds the stylizer from styles, controls, a place and a listener."""

    name: str
    title: str
    paper: str
    make: Callable[[StyleSource, Controls, Place, Listener], Stylizer]


def _gatys(source: StyleSource, controls: Controls, place: Place, listener: Listener) -> Stylizer:
    options = dict(controls.options or {})
    preset = options.pop("loss", "impasto")
    if preset not in PRESETS:
        raise InputError(f"there is no loss {preset!r}; there are {', '.join(PRESETS)}")
    wanted = PRESETS[preset]
    encoder = load_encoder(controls.encoder, place, pool=wanted.pool)
    weights = {key: options.pop(key) for key in ("content_weight", "tv_weight") if key in options}
    settings = GatysSettings(
        strength=controls.strength, style_size=controls.style_size, seed=controls.seed, **_known(options, GatysSettings)
    )
    try:
        loss = PerceptualLoss(encoder, replace(wanted, **weights))
    except ValueError as error:
        raise InputError(f"the encoder {controls.encoder} cannot serve the loss {preset}: {error}") from None
    return Gatys(loss, source.pictures, settings, source.weights, source.masks, listener)


def _known(options: dict[str, Any], settings: type) -> dict[str, Any]:
    known = {item.name for item in fields(settings)}
    foreign = [name for name in options if name not in known]
    if foreign:
        raise InputError(f"no setting {foreign[0]!r}; there are {', '.join(sorted(known))}")
    return options


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "gatys",
            "optimisation of the picture, any style, the best quality, seconds to minutes",
            "Gatys, Ecker and Bethge, Image Style Transfer Using Convolutional Neural Networks, CVPR 2016; "
            "Gatys et al., Controlling Perceptual Factors in Neural Style Transfer, CVPR 2017",
            _gatys,
        ),
    )
}

DEFAULT_METHOD = "gatys"
"""What "auto" means for a style picture."""


def make_stylizer(source: StyleSource, controls: Controls, place: Place, listener: Listener = silence) -> Stylizer:
    """The stylizer of the method that the controls name. Raises InputError for an unknown name or setting."""
    name = DEFAULT_METHOD if controls.method == AUTO else controls.method
    if name not in METHODS:
        raise InputError(f"there is no method {name!r}; there are {', '.join(METHODS)}")
    return METHODS[name].make(source, controls, place, listener)
