"""The one reader and the one writer of safetensors files: tensors, and a note of text beside them. A pickle is never loaded."""

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from impasto.errors import InputError, WeightsError
from impasto.files import atomic_file, looks_like_pickle


def write_tensors(path: Path, tensors: Mapping[str, Tensor], note: Mapping[str, str] | None = None) -> None:
    """Write tensors, on any device, and a note; the file appears whole or not at all."""
    with atomic_file(path) as temporary:
        save_file(
            {name: value.detach().contiguous().cpu() for name, value in tensors.items()}, temporary, metadata=dict(note or {}) or None
        )


def read_tensors(
    path: str | os.PathLike[str],
    expected: str = "a safetensors file of weights was expected",
    error: type[InputError] = WeightsError,
) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a file, on the CPU, and its note, empty if there is none.

    expected: what errors say should have been there. error: their class. Raises it for anything that is no whole safetensors file.
    """
    path = Path(path)
    if not path.is_file():
        raise error(f"{path} does not exist; {expected}")
    if looks_like_pickle(path):
        raise error(f"{path} is a pickle (.pt, .pth), which can run code when loaded; {expected}, and Impasto takes safetensors files only")
    try:
        with safe_open(path, framework="pt") as stored:
            return {name: stored.get_tensor(name) for name in stored.keys()}, dict(stored.metadata() or {})  # noqa: SIM118  (not a dict)
    except (SafetensorError, OSError, ValueError, RuntimeError) as problem:
        raise error(f"{path} is not a whole safetensors file: {expected} ({problem})") from None
