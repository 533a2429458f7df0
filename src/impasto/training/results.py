"""What a training writes: weights in half precision, and the registry's record beside them."""

from pathlib import Path

from torch import nn

from impasto.storage.registry import Record, write_record
from impasto.storage.tensors import write_tensors


def write_half(network: nn.Module, output: Path, kind: str) -> None:
    """A network's weights in half precision; the file appears whole."""
    write_tensors(output, {name: value.half() for name, value in network.state_dict().items()}, kind)


def write_record_beside(output: Path, kind: str, title: str, source: str, paper: str = "") -> None:
    """The registry's record of a file that was trained here."""
    write_record(Record(output.stem, kind, output.name, "Apache-2.0", title, source, paper), output.parent)
