"""From folders to a file, once for all trainings: output, processes, place, checkpoint, record, a file that appears whole."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from impasto.errors import InputError, unknown
from impasto.files import check_folder
from impasto.runtime.device import Place, choose_place
from impasto.runtime.outputs import Outputs
from impasto.storage.registry import Record, write_record
from impasto.storage.tensors import write_tensors
from impasto.training.processes import joined, rank, workers

Settings = TypeVar("Settings")
Writer = Callable[[], None]
"""Writes the result of a training and its record."""


@dataclass(frozen=True)
class Work:
    """What a training works with: its place, where its checkpoint lies, and when it began or was resumed."""

    place: Place
    checkpoint: Path
    began: float

    @property
    def spent(self) -> str:
        """How long it took, and how many processes took part, for the record."""
        return f"{round(time.monotonic() - self.began)} s since it was last resumed, {workers()} process(es)"


def train_to_file(output: Path, train: Callable[[Work], Writer], *, device: str = "auto", precision: str = "auto") -> Path | None:
    """Run a training whose result goes to `output`, which `check_output` or `settings_of` has looked at before.

    train: from a place and a checkpoint, which lies beside the output while it lasts, to what writes the result.
    Under torchrun every process calls this; the first one writes, and None comes back from the others.
    """
    with joined(device) as own_device:
        checkpoint = output.with_suffix(".checkpoint")
        write = train(Work(choose_place(own_device, precision), checkpoint, time.monotonic()))
        if rank() > 0:
            return None
        write()
        checkpoint.unlink(missing_ok=True)
        return output


def write_half(network: nn.Module, output: Path) -> None:
    """A network's weights in half precision; the file appears whole."""
    write_tensors(output, {name: value.half() for name, value in network.state_dict().items()})


def write_own_record(output: Path, kind: str, title: str, source: str, paper: str = "") -> None:
    """The registry's record beside a file that was trained here."""
    write_record(Record(output.stem, kind, output.name, "Apache-2.0", title, source, paper), output.parent)


def settings_of(
    presets: Mapping[str, Settings],
    preset: str,
    changes: Mapping[str, Any] | None,
    output: Path,
    inputs: Iterable[Path | str | None] = (),
) -> Settings:
    """A preset's settings with changes, by name, once it is certain that the weights can be written and are no input. Raises InputError."""
    if preset not in presets:
        raise InputError(unknown("preset", preset, presets))
    check_output(output, inputs)
    changed: Settings = replace(presets[preset], **(changes or {}))  # type: ignore[type-var]
    return changed


def check_output(output: Path, inputs: Iterable[Path | str | None]) -> None:
    """Say before a training whether its weights can be written, and are none of the files that it reads. Raises InputError."""
    if output.suffix != ".safetensors":
        raise InputError(f"cannot write {output}: the name of a file of weights ends in .safetensors")
    if output.is_dir():
        raise InputError(f"cannot write {output}: it is a folder")
    Outputs(path for path in inputs if path is not None).asked(output)
    check_folder(output)
