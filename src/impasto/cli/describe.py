"""What `impasto info` says of a style file, a file of weights or a registered name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from impasto.errors import StyleError, WeightsError
from impasto.files import sha256_of
from impasto.methods.solver.solver_file import read_solver
from impasto.networks.decoder_file import read_decoder
from impasto.networks.style_network_file import read_network
from impasto.perception.weights import read_encoder
from impasto.storage.library import Library
from impasto.storage.registry import Record, bundled, fetchable
from impasto.storage.style_file import read_style
from impasto.storage.tensors import read_tensors


def describe(target: str) -> dict[str, Any]:
    """Key and value of everything known. Raises StyleError if it is nothing that Impasto knows."""
    for kind in ("style", "encoder", "network", "solver", "decoder"):
        for record in (bundled(kind) | fetchable(kind)).values():
            if record.name == target:
                return _of_record(record)
    path = Library().file(target) if target in Library() else Path(target)
    if path.suffix != ".safetensors":
        raise StyleError(f"{target!r} is neither a registered name nor a .safetensors file")
    kind = read_tensors(path, None, "a style file or weights were expected", StyleError)[1].kind or "encoder"
    shown = _READERS.get(kind, _encoder)(path)
    return {"kind": kind, **shown, "bytes": path.stat().st_size, "sha256": sha256_of(path)}


def _of_record(record: Record) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if value}


def _style(path: Path) -> dict[str, Any]:
    style = read_style(path)
    said = {key: value for key, value in vars(style.record).items() if value not in ("", 0, None, {})}
    return said | {"tensors": {name: "x".join(map(str, tensor.shape)) for name, tensor in style.tensors.items()}}


def _solver(path: Path) -> dict[str, Any]:
    network = read_solver(path)
    return network.settings() | _parameters(network)


def _decoder(path: Path) -> dict[str, Any]:
    network = read_decoder(path)[0]
    return network.settings() | _parameters(network)


def _network(path: Path) -> dict[str, Any]:
    network = read_network(path)
    return {"width": network.width, "blocks": network.blocks} | _parameters(network)


def _encoder(path: Path) -> dict[str, Any]:
    try:
        encoder = read_encoder(path)
    except WeightsError:
        raise StyleError(f"{path} has no record of Impasto: it holds weights of something else, not a style") from None
    return {
        "channels": encoder.channels,
        "width": f"{encoder.width:g} of VGG",
        "convolutions per block": encoder.depths,
        "deepest layer": encoder.layers[-1],
    } | _parameters(encoder)


def _parameters(network: nn.Module) -> dict[str, Any]:
    return {"parameters": f"{sum(parameter.numel() for parameter in network.parameters()):,}"}


_READERS: dict[str, Callable[[Path], dict[str, Any]]] = {"style": _style, "solver": _solver, "decoder": _decoder, "network": _network}
"""What is said of files by their kind; all others are taken for encoders."""
