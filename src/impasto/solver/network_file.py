"""A solver's network as a file, and back: weights in half precision, with a record of how it is built."""

import json
import os
from functools import lru_cache
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from impasto.errors import WeightsError
from impasto.files import atomic_file, looks_like_pickle
from impasto.solver.network import SolverNetwork
from impasto.styles.registry import locate

SOLVER = "solver"
"""Registered name of the bundled solver."""

_KEY = "impasto-solver"


def write_solver(network: SolverNetwork, path: Path) -> None:
    """Write the weights in half precision, whole or not at all."""
    tensors = {name: value.detach().half().contiguous().cpu() for name, value in network.state_dict().items()}
    with atomic_file(path) as temporary:
        save_file(tensors, temporary, metadata={_KEY: json.dumps(network.settings())})


def read_solver(path: str | os.PathLike[str]) -> SolverNetwork:
    """The network of a file, in float32 on the CPU. Raises WeightsError that says what was expected, for any other file."""
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"{path} does not exist; the weights of a solver were expected")
    if looks_like_pickle(path):
        raise WeightsError(f"{path} is a pickle, which can run code when loaded; a solver is a safetensors file made by Impasto")
    try:
        with safe_open(path, framework="pt") as stored:
            written = (stored.metadata() or {}).get(_KEY)
            tensors = {name: stored.get_tensor(name).float() for name in stored.keys()}  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is not a whole safetensors file: the weights of a solver were expected ({error})") from None
    if written is None:
        raise WeightsError(f"{path} holds weights of something else, not of a solver")
    try:
        network = SolverNetwork(**json.loads(written))
        network.load_state_dict(tensors)
    except (ValueError, TypeError, RuntimeError) as error:
        raise WeightsError(f"{path} does not hold the whole solver that it names: {str(error).splitlines()[-1].strip()}") from None
    if not all(bool(torch.isfinite(value).all()) for value in network.state_dict().values()):
        raise WeightsError(f"{path} holds weights that are not finite numbers")
    return network.requires_grad_(False).eval()


def load_solver(name: str) -> SolverNetwork:
    """The solver of a registered name ("solver") or of a safetensors file; loaded once, and not to be changed."""
    return _load(Path(name) if Path(name).suffix or os.sep in name else locate(name, "solver"))


@lru_cache(maxsize=2)
def _load(path: Path) -> SolverNetwork:
    return read_solver(path)
