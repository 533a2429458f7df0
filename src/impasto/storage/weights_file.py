"""A network of one of the methods as a file: weights in half precision, with what kind it is and how it is built."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from impasto.errors import WeightsError
from impasto.storage.tensors import read_tensors, write_tensors

Network = TypeVar("Network", bound=nn.Module)


def write_weights(path: Path, network: nn.Module, *, kind: str, settings: dict[str, Any]) -> None:
    """Write the weights of a network, whole or not at all."""
    write_tensors(path, {name: value.half() for name, value in network.state_dict().items()}, kind, build=settings)


def read_weights(path: str | os.PathLike[str], *, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Settings and weights, in float32, of a file of this kind ("solver", "decoder").

    Raises WeightsError that says what was expected, for any other file.
    """
    stored, block = read_tensors(path, kind, f"the weights of a {kind} were expected")
    if not block.kind:
        raise WeightsError(f"{path} holds weights of something else, not of a {kind}")
    tensors = {name: value.float() for name, value in stored.items()}
    if not all(bool(value.isfinite().all()) for value in tensors.values()):
        raise WeightsError(f"{path} holds weights that are not finite numbers")
    return dict(block.build), tensors


LARGEST, MOST_STEPS = 4096, 64
"""Bounds of the numbers that a file says its network is built with: widths, and how often something is repeated."""


def check_bounds(settings: dict[str, Any]) -> None:
    """The numbers that a network is built with are sane, before anything is allocated. Raises ValueError."""
    for name, value in settings.items():
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, (list, dict)) or (
                isinstance(part, (int, float)) and not 0 <= part <= (MOST_STEPS if name in ("steps", "passes", "depths") else LARGEST)
            ):
                raise ValueError(f"{name} cannot be {value!r}")


def misfit(build: Callable[[], nn.Module], shapes: Mapping[str, tuple[int, ...]]) -> str:
    """The first tensor of a network that is not of these shapes, "" if all are; nothing is allocated for it."""
    with torch.device("meta"):
        expected = {name: tuple(value.shape) for name, value in build().state_dict().items()}
    wrong = [name for name, shape in expected.items() if shapes.get(name) != shape]
    return next(iter([*wrong, *(name for name in shapes if name not in expected)]), "")


def filled(build: Callable[[], Network], tensors: dict[str, Tensor], path: str | os.PathLike[str], *, kind: str) -> Network:
    """The network of a file, frozen, with its tensors in it. Raises WeightsError if they are not those that it has."""
    wrong = misfit(build, {name: tuple(value.shape) for name, value in tensors.items()})
    if wrong:
        raise WeightsError(f"{path} does not hold the whole {kind} that it names: {wrong} is missing, or of another shape")
    network = build()
    network.load_state_dict(tensors)
    return network.requires_grad_(False).eval()
