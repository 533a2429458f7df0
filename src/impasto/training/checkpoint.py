"""Checkpoints: everything a training needs to be resumed as if it had never stopped, written whole or not at all."""

from pathlib import Path
from typing import Any

import torch

from impasto.errors import ImpastoError, WeightsError
from impasto.files import atomic_file

CHECKPOINT_SECONDS = 180.0
"""Between two checkpoints of a training: what a machine that is lost costs at most."""


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write tensors, numbers, strings and containers of them; the file appears whole or not at all."""
    try:
        with atomic_file(path) as temporary:
            torch.save(state, temporary)
    except (OSError, RuntimeError) as error:  # torch has an error of its own for a full disk
        raise ImpastoError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read what save_checkpoint wrote; only plain data is taken, never code. Raises WeightsError for anything else."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise WeightsError(f"{path} is not a checkpoint of a training ({type(error).__name__})") from None
    if not isinstance(state, dict) or "step" not in state:
        raise WeightsError(f"{path} is not a checkpoint of a training")
    return state
