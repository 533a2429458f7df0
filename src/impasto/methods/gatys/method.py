"""The optimisation of the picture itself as a method."""

from typing import TYPE_CHECKING

from impasto.events import Listener
from impasto.methods.declaration import Method, Option, StyleSource
from impasto.methods.gatys.settings import GatysSettings
from impasto.settings import Controls

if TYPE_CHECKING:
    from impasto.runtime.device import Place
    from impasto.runtime.stylizer import Stylizer


def build(source: StyleSource, controls: Controls, place: "Place", listener: Listener) -> "Stylizer":
    """The stylizer of style pictures, with masks of them for regions."""
    from impasto.methods.gatys.gatys import Gatys
    from impasto.runtime.encoders import load_loss

    options = dict(controls.options or {})
    loss = load_loss(controls.encoder, options.pop("loss", "impasto"), place)
    weights = {key: options.pop(key) for key in ("content_weight", "tv_weight") if key in options}
    settings = GatysSettings(strength=controls.strength, style_size=controls.style_size, seed=controls.seed, **options)
    return Gatys(loss.with_weights(**weights), source.pictures, settings, source.weights, source.masks, listener)


METHOD = Method(
    "gatys",
    "optimisation of the picture, any style, the best quality, seconds to minutes",
    "Gatys, Ecker and Bethge, Image Style Transfer Using Convolutional Neural Networks, CVPR 2016; "
    "Gatys et al., Controlling Perceptual Factors in Neural Style Transfer, CVPR 2017",
    build,
    [GatysSettings],
    more={
        "loss": Option(str, "Preset of the perceptual loss: impasto, gatys, ..."),
        "content_weight": Option(float, "Higher keeps more of the photo."),
        "tv_weight": Option(float, "Weight of the total variation."),
    },
    keeps_picture=True,
    masks=frozenset({"regions"}),
)
