"""A solver's network as a file, and back."""

import os
from pathlib import Path

from impasto.errors import WeightsError
from impasto.files import remembered
from impasto.gradients import with_gradients
from impasto.methods.solver.network import SolverNetwork
from impasto.storage.registry import locate
from impasto.storage.weights_file import check_bounds, filled, read_weights, write_weights

SOLVER = "solver"
"""Registered name of the bundled solver."""


def write_solver(network: SolverNetwork, path: Path) -> None:
    """Write the weights in half precision, with how they are built, whole or not at all."""
    write_weights(path, network, kind="solver", settings=network.settings())


def read_solver(path: str | os.PathLike[str]) -> SolverNetwork:
    """The network of a file, in float32 on the CPU. Raises WeightsError that says what was expected, for any other file."""
    settings, tensors = read_weights(path, kind="solver")
    try:
        check_bounds(settings)
        return filled(lambda: SolverNetwork(**settings), tensors, path, kind="solver")
    except (ValueError, TypeError, RuntimeError, ArithmeticError) as error:
        raise WeightsError(f"{path} does not say how its solver is built: {error}") from None


def load_solver(name: str) -> SolverNetwork:
    """The solver of a registered name ("solver") or of a safetensors file; loaded once, and not to be changed."""
    return _load(Path(name) if Path(name).suffix or os.sep in name else locate(name, "solver"))


@remembered(2)
@with_gradients
def _load(path: Path) -> SolverNetwork:
    return read_solver(path)
