"""The optimisation of the picture itself as a method."""

from dataclasses import fields
from typing import TYPE_CHECKING

from impasto.events import Listener
from impasto.methods.declaration import Method, StyleSource
from impasto.methods.gatys.settings import GatysLoss, GatysSettings
from impasto.settings import Controls

if TYPE_CHECKING:
    from impasto.runtime.device import Place
    from impasto.runtime.stylizer import Stylizer


def build(source: StyleSource, controls: Controls, place: "Place", listener: Listener) -> "Stylizer":
    """The stylizer of style pictures, with masks of them for regions."""
    from impasto.methods.gatys.gatys import Gatys
    from impasto.runtime.encoders import load_loss

    options = dict(controls.options or {})
    wanted = GatysLoss(**{item.name: options.pop(item.name) for item in fields(GatysLoss) if item.name in options})
    loss = load_loss(controls.encoder, wanted.loss, place)
    weights = {name: value for name in ("content_weight", "tv_weight") if (value := getattr(wanted, name)) is not None}
    settings = GatysSettings(
        strength=controls.strength, style_size=controls.style_size, stroke=controls.strokes, seed=controls.seed, **options
    )
    return Gatys(loss.with_weights(**weights), source.pictures, settings, source.weights, source.masks, listener)


METHOD = Method(
    "gatys",
    "optimisation of the picture, any style, the best quality, seconds to minutes",
    "Gatys, Ecker and Bethge, Image Style Transfer Using Convolutional Neural Networks, CVPR 2016; "
    "Gatys et al., Controlling Perceptual Factors in Neural Style Transfer, CVPR 2017",
    build,
    [GatysSettings, GatysLoss],
    keeps_picture=True,
    finish=False,
    masks=frozenset({"regions"}),
    bytes_a_pixel=1200,
)
