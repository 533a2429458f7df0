"""AdaIN as a method."""

from typing import TYPE_CHECKING

from impasto.events import Listener
from impasto.methods.adain.settings import AdainSettings
from impasto.methods.declaration import Method, Option, StyleSource
from impasto.settings import Controls

if TYPE_CHECKING:
    from impasto.runtime.device import Place
    from impasto.runtime.stylizer import Stylizer


def build(source: StyleSource, controls: Controls, place: "Place", listener: Listener) -> "Stylizer":
    """The stylizer of style pictures."""
    from impasto.methods.adain.adain import Adain
    from impasto.networks.decoder_file import coder

    options = dict(controls.options or {})
    decoder, encoder = coder(controls.encoder, place, options.pop("decoder", None))
    settings = AdainSettings(strength=controls.strength, **options)
    return Adain(decoder, encoder, place, source.pictures, source.weights, controls.style_size, settings, stroke=controls.strokes)


METHOD = Method(
    "adain",
    "means and deviations of the painting's features, in one pass: the baseline of fast methods for any style",
    "Huang and Belongie, Arbitrary Style Transfer in Real-Time with Adaptive Instance Normalization, ICCV 2017",
    build,
    [AdainSettings],
    more={"decoder": Option(str, "Decoder of another encoder: a safetensors file.")},
    bytes_a_pixel=320,
)
