"""The patch swap as a method."""

from typing import TYPE_CHECKING

from impasto.errors import InputError
from impasto.events import Listener
from impasto.methods.declaration import Method, Option, StyleSource
from impasto.methods.patch_swap.settings import PatchSwapSettings
from impasto.settings import Controls

if TYPE_CHECKING:
    from impasto.runtime.device import Place
    from impasto.runtime.stylizer import Stylizer


def build(source: StyleSource, controls: Controls, place: "Place", listener: Listener) -> "Stylizer":
    """The stylizer of one style picture. Raises InputError for several."""
    from impasto.methods.patch_swap.swap import StyleSwap
    from impasto.networks.decoder_file import coder

    if len(source.styles) > 1:
        raise InputError("patch-swap takes the patches of one style picture, and several were given")
    options = dict(controls.options or {})
    decoder, encoder = coder(controls.encoder, place, options.pop("decoder", None))
    mask = source.masks[0] if source.masks else None
    return StyleSwap(
        decoder, encoder, place, source.pictures[0], mask, controls.style_size, controls.strength, stroke=controls.strokes, **options
    )


METHOD = Method(
    "patch-swap",
    "the photo's features, made of patches of the painting's",
    "Chen and Schmidt, Fast Patch-based Style Transfer of Arbitrary Style, 2016",
    build,
    [PatchSwapSettings],
    more={"decoder": Option(str, "Decoder of another encoder: a safetensors file.")},
    masks=frozenset({"regions"}),
    bytes_a_pixel=1200,
)
