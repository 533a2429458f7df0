"""The transfer in feature space as a method."""

from typing import TYPE_CHECKING

from impasto.events import Listener
from impasto.methods.declaration import Method, Option, StyleSource
from impasto.methods.semantic.settings import SemanticSettings
from impasto.methods.semantic.training_settings import PUBLISHED, DecoderTraining
from impasto.settings import Controls
from impasto.training.recipe import JUDGE, PAINTINGS, PHOTOS, Material, Recipe

if TYPE_CHECKING:
    from impasto.runtime.device import Place
    from impasto.runtime.stylizer import Stylizer


def build(source: StyleSource, controls: Controls, place: "Place", listener: Listener) -> "Stylizer":
    """The stylizer of style pictures, with masks of them for regions."""
    from impasto.methods.semantic.transfer import SemanticTransfer
    from impasto.networks.decoder_file import coder

    options = dict(controls.options or {})
    decoder, encoder = coder(controls.encoder, place, options.pop("decoder", None))
    settings = SemanticSettings(strength=controls.strength, **options)
    styles = (source.pictures, source.masks, source.weights, controls.style_size)
    return SemanticTransfer(decoder, encoder, place, *styles, settings, stroke=controls.strokes)


TRAINING = Recipe(
    "decoder",
    "Train the decoder of an encoder.",
    {"recommended": DecoderTraining(), "published": PUBLISHED},
    {
        "content": PHOTOS,
        "style": PAINTINGS,
        "start": Material("A decoder to begin with instead of random weights."),
        "encoder": Material("Whose features are decoded."),
        "loss_encoder": JUDGE,
    },
    "impasto.methods.semantic.training:run",
    "decoder",
)

METHOD = Method(
    "semantic",
    "matching regions of photo and painting, in one pass: masks, or regions found by itself",
    "Lu et al., Decoder Network over Lightweight Reconstructed Feature for Fast Semantic Style Transfer, ICCV 2017",
    build,
    [SemanticSettings],
    more={"decoder": Option(str, "Decoder of another encoder: a safetensors file.")},
    default_for=frozenset({"pictures", "regions"}),
    masks=frozenset({"regions", "shares"}),
    trainings=(TRAINING,),
    bytes_a_pixel=850,
)
