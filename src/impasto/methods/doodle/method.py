"""The neural doodle as a method."""

from typing import TYPE_CHECKING

from impasto.errors import InputError
from impasto.events import Listener
from impasto.methods.declaration import Method, StyleSource
from impasto.methods.doodle.settings import DoodleSettings
from impasto.settings import Controls

if TYPE_CHECKING:
    from impasto.runtime.device import Place
    from impasto.runtime.stylizer import Stylizer


def build(source: StyleSource, controls: Controls, place: "Place", listener: Listener) -> "Stylizer":
    """The stylizer of one style picture. Raises InputError for several."""
    from impasto.methods.doodle.doodle import NeuralDoodle
    from impasto.runtime.encoders import load_encoder

    if len(source.styles) > 1:
        raise InputError("doodle takes the patches of one style picture, and several were given")
    settings = DoodleSettings(
        strength=controls.strength, style_size=controls.style_size, stroke=controls.strokes, **(controls.options or {})
    )
    mask = source.masks[0] if source.masks else None
    return NeuralDoodle(load_encoder(controls.encoder, place, pool="avg"), source.pictures[0], mask, settings, listener)


METHOD = Method(
    "doodle",
    "optimisation by patches of matching regions, minutes to hours",
    "Champandard, Semantic Style Transfer and Turning Two-Bit Doodles into Fine Artworks, 2016",
    build,
    [DoodleSettings],
    masks=frozenset({"regions"}),
    slow=True,
    finish=False,
)
