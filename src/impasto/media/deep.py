"""Pictures of more than eight bits: integers of 10, 12 or 16, floats of any range, HDR; decoded by OpenCV where Pillow cannot."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from impasto.errors import PictureError

_GAMMA = 2.2


def _opencv() -> Any:
    """OpenCV, which few pictures need; what is wrong with a file is said in a sentence of ours."""
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


def decoded(path: Path) -> np.ndarray:
    """All channels as they are stored, (H, W) or (H, W, C) in the order red, green, blue, alpha. Raises PictureError."""
    stored = path.read_bytes()
    # OpenCV reserves what a chunk of a PNG says of its length before it looks whether the file has that much.
    if stored.startswith(b"\x89PNG") and not _chunks_fit(stored):
        raise PictureError(f"{path} is damaged: it ends in the middle of a picture")
    cv2 = _opencv()
    values = cv2.imdecode(np.frombuffer(stored, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION)
    if values is None:
        raise PictureError(f"{path} is not a picture in any format that can be read")
    if values.ndim == 3 and values.shape[2] >= 3:
        values = values[..., [2, 1, 0, *range(3, values.shape[2])]]
    return np.ascontiguousarray(values)


def _chunks_fit(png: bytes) -> bool:
    """Whether the chunks of a PNG, up to the one that ends it, lie within the file."""
    at = 8
    while at + 8 <= len(png):
        length, kind = struct.unpack(">I4s", png[at : at + 8])
        at += length + 12
        if kind == b"IEND":
            break
    return at <= len(png)


def as_channels(values: np.ndarray, *, transparent: float | None = None) -> tuple[Tensor, Tensor | None]:
    """Stored values (H, W) or (H, W, C) as RGB (3, H, W) and, if there is any, alpha (1, H, W), float32 in [0, 1].

    transparent: a grey value that stands for nothing.
    """
    if values.ndim == 2:
        values = values[..., None]
    grey, channels = values.shape[2] < 3, values.shape[2]
    colors, alpha = values[..., : 1 if grey else 3], values[..., channels - 1 :] if channels in (2, 4) else None
    shown = torch.from_numpy(_shown(colors)).permute(2, 0, 1)
    opaque: Tensor | None = None
    if alpha is not None:
        full = float(np.iinfo(alpha.dtype).max) if np.issubdtype(alpha.dtype, np.integer) else max(1.0, float(np.nan_to_num(alpha).max()))
        opaque = torch.from_numpy(np.nan_to_num(alpha.astype(np.float32) / full).clip(0, 1)).permute(2, 0, 1)
    elif transparent is not None:
        opaque = torch.from_numpy((colors != transparent).any(-1).astype(np.float32))[None]
    return shown.expand(3, -1, -1).contiguous(), None if opaque is None else opaque.contiguous()


def _shown(values: np.ndarray) -> np.ndarray:
    """Values (H, W, 1 or 3) as float32 in [0, 1]."""
    if np.issubdtype(values.dtype, np.floating):
        return _of_floats(values.astype(np.float32))
    return (values.astype(np.float32) / _white(values)).clip(0, 1)


def _white(values: np.ndarray) -> float:
    """What white is in integers: sensors of 10 and 12 bits are stored in 16, and their largest value tells."""
    if values.dtype == np.uint8:
        return 255.0
    largest = int(values.max(initial=0))
    return float(next(white for white in (1023, 4095, 65535, 2**32 - 1) if white >= largest))


def _of_floats(values: np.ndarray) -> np.ndarray:
    """Floats have no fixed white: 1, 255 and 65535 are told apart by the largest value.

    Where it is above 1 and half of the picture below, it is light itself (HDR), and is brought to the range of a screen by Reinhard's
    tone mapping. What is no number is black.
    """
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0).clip(0, None)
    largest = float(values.max(initial=0.0))
    if largest <= 1.0:
        return values
    if float(np.median(values)) > 1.0 and largest <= 65535.0:
        return values / (255.0 if largest <= 255.0 else 65535.0)
    mapped = _opencv().createTonemapReinhard(_GAMMA).process(np.repeat(values, 3 // values.shape[2], 2))
    shown: np.ndarray = np.nan_to_num(mapped, nan=0.0).clip(0, 1)
    return shown[..., : values.shape[2]]
