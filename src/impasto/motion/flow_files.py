"""Optical flow in files: the .flo format of Middlebury and MPI Sintel (Baker et al. 2011; Butler et al. 2012)."""

import os
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from impasto.errors import InputError

_TAG = 202021.25
_MOST = 100_000_000
UNKNOWN = 1e9
"""A component larger than this marks a place whose flow is not known."""


def read_flow(path: str | os.PathLike[str], *, size: tuple[int, int] | None = None) -> tuple[Tensor, Tensor]:
    """The flow (2, H, W), (dx, dy) in pixels, and (1, H, W), 1 where it is known; it is zero elsewhere.

    size: height and width that it has to have. Raises InputError for any other file or size.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    if len(data) < 12 or np.frombuffer(data, "<f4", 1)[0] != _TAG:
        raise InputError(f"{path} is no .flo file: it does not begin with the mark of one")
    width, height = (int(side) for side in np.frombuffer(data, "<i4", 2, 4))
    if width < 1 or height < 1 or width * height > _MOST:
        raise InputError(f"{path} says that it holds {width}x{height} places, which cannot be")
    if len(data) != 12 + 8 * width * height:
        raise InputError(
            f"{path} says that it holds {width}x{height} places, and holds {(len(data) - 12) // 8} instead of {width * height}"
        )
    if size is not None and size != (height, width):
        raise InputError(f"{path} has {width}x{height} places and the frames {size[1]}x{size[0]} pixels")
    values = torch.from_numpy(np.frombuffer(data, "<f4", offset=12).astype(np.float32)).view(height, width, 2).permute(2, 0, 1)
    known = (values.abs() < UNKNOWN).all(0, keepdim=True)
    return torch.where(known, values, 0.0).contiguous(), known.float()
