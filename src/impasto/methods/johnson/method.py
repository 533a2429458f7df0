"""The baseline, a network that was trained for one painting from scratch, as a method: its style files paint."""

from typing import TYPE_CHECKING

from impasto.errors import InputError
from impasto.events import Listener
from impasto.methods.declaration import Method, StyleSource, refuse_learning
from impasto.methods.johnson.training_settings import JohnsonTraining
from impasto.settings import Controls
from impasto.training.recipe import ENCODER, LICENCE, PAINTING, PHOTOS, Material, Recipe

if TYPE_CHECKING:
    from impasto.runtime.device import Place
    from impasto.runtime.stylizer import Stylizer


def build(source: StyleSource, controls: Controls, place: "Place", listener: Listener) -> "Stylizer":
    """The stylizer of style files. Raises InputError for pictures."""
    from impasto.training.learned import learned_stylizer

    files = [style.file for style in source.styles if style.file is not None]
    if len(files) < len(source.styles):
        raise InputError("johnson trains a network for hours before it paints: impasto train johnson PICTURE makes the style file")
    refuse_learning(source, controls)
    return learned_stylizer(files, source.weights, controls, place, stroke=controls.strokes)


TRAINING = Recipe(
    "johnson",
    "Train one network for one painting from scratch: the baseline.",
    {"recommended": JohnsonTraining()},
    {
        "painting": PAINTING,
        "content": PHOTOS,
        "start": Material("Where the weights begin: random, metastyle, or a file of weights.", default="random"),
        "licence": LICENCE,
        "encoder": ENCODER,
    },
    "impasto.methods.johnson.training:run",
    "{painting}",
    log_every=100,
)

METHOD = Method(
    "johnson",
    "a network per style, trained from scratch on photos for hours; from style files only",
    "Johnson, Alahi and Fei-Fei, Perceptual Losses for Real-Time Style Transfer and Super-Resolution, ECCV 2016",
    build,
    style="file",
    films="network",
    one_pass=True,
    trainings=(TRAINING,),
    bytes_a_pixel=850,
)
