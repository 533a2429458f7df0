"""What `impasto info` says of a style file, a file of weights or a registered name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from impasto.errors import StyleError, WeightsError
from impasto.files import sha256_of
from impasto.methods.solver.network import SolverNetwork
from impasto.methods.solver.solver_file import read_solver
from impasto.networks.decoder import Decoder
from impasto.networks.decoder_file import read_decoder
from impasto.perception.weights import read_encoder
from impasto.storage.registry import Record, bundled, fetchable
from impasto.storage.style_file import read_style


def describe(target: str) -> dict[str, Any]:
    """Key and value of everything known. Raises StyleError if it is nothing that Impasto knows."""
    for kind in ("style", "encoder", "network", "solver", "decoder"):
        for record in (bundled(kind) | fetchable(kind)).values():
            if record.name == target:
                return _of_record(record)
    path = Path(target)
    if path.suffix != ".safetensors":
        raise StyleError(f"{target!r} is neither a registered name nor a .safetensors file")
    try:
        style = read_style(path)
    except StyleError as error:
        if "has no record" not in str(error):
            raise
        return _of_weights(path, error)
    shapes = {name: "x".join(map(str, tensor.shape)) for name, tensor in style.tensors.items()}
    return {key: value for key, value in vars(style.record).items() if value not in ("", 0, None, {})} | {
        "tensors": shapes,
        "bytes": path.stat().st_size,
    }


def _of_record(record: Record) -> dict[str, Any]:
    return {key: value for key, value in vars(record).items() if value}


def _of_weights(path: Path, error: StyleError) -> dict[str, Any]:
    readers: dict[str, Callable[[Path], SolverNetwork | Decoder]] = {"solver": read_solver, "decoder": lambda file: read_decoder(file)[0]}
    for kind, read in readers.items():
        try:
            network = read(path)
        except WeightsError:
            continue
        count = sum(parameter.numel() for parameter in network.parameters())
        return {"kind": kind, **network.settings(), "parameters": f"{count:,}", "bytes": path.stat().st_size, "sha256": sha256_of(path)}
    try:
        encoder = read_encoder(path)
    except WeightsError:
        raise error from None
    return {
        "kind": "encoder",
        "channels": encoder.channels,
        "width": f"{encoder.width:g} of VGG",
        "convolutions per block": encoder.depths,
        "deepest layer": encoder.layers[-1],
        "parameters": f"{sum(parameter.numel() for parameter in encoder.parameters()):,}",
        "bytes": path.stat().st_size,
        "sha256": sha256_of(path),
    }
