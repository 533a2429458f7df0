"""The Flexible Convolutional Solver as a method."""

from typing import TYPE_CHECKING

from impasto.events import Listener
from impasto.methods.declaration import Method, Option, StyleSource
from impasto.methods.solver.settings import SolverSettings
from impasto.methods.solver.training_settings import FLEX, SolverTraining
from impasto.settings import Controls
from impasto.training.recipe import JUDGE, PHOTOS, Material, Recipe

if TYPE_CHECKING:
    from impasto.runtime.device import Place
    from impasto.runtime.stylizer import Stylizer


def build(source: StyleSource, controls: Controls, place: "Place", listener: Listener) -> "Stylizer":
    """The stylizer of style pictures; masks of them for regions, or none for a mask of the photo for each."""
    from impasto.methods.solver.solver import Solver, Steering
    from impasto.methods.solver.solver_file import SOLVER, load_solver
    from impasto.runtime.encoders import load_encoder

    options = dict(controls.options or {})
    network = load_solver(str(options.pop("solver", SOLVER)))
    steering = Steering(strength=controls.strength, shares=source.weights, **options)
    encoder = network.encoder if controls.encoder == Controls.encoder else controls.encoder
    size, stroke = controls.style_size, controls.strokes
    return Solver(network, load_encoder(encoder, place), place, source.pictures, source.masks, size, steering, stroke=stroke)


TRAINING = Recipe(
    "solver",
    "Train a solver for any style.",
    {"recommended": SolverTraining(), "flex": FLEX},
    {
        "content": PHOTOS,
        "style": Material("Folder of paintings; repeatable. Without any, styles are photographs too."),
        "start": Material("A solver to begin with instead of random weights."),
        "encoder": Material("Whose Gram matrices steer the solver, in training and after."),
        "loss_encoder": JUDGE,
    },
    "impasto.methods.solver.training:run",
    "solver",
)

METHOD = Method(
    "solver",
    "a network for any style at once, steered at run time: scales, mixing, masks, photo-realism, films",
    "Puy and Perez, A Flexible Convolutional Solver for Fast Style Transfers, CVPR 2019",
    build,
    [SolverSettings],
    more={"solver": Option(str, "Another trained solver: a safetensors file.")},
    default_for=frozenset({"shares"}),
    masks=frozenset({"regions", "shares"}),
    films="flow",
    whole=frozenset({"photoreal"}),
    style_size="the photo's up to 384",
    without_flow={"consistency": 0.0},
    trainings=(TRAINING,),
    bytes_a_pixel=1000,
)
