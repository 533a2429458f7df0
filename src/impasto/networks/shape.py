"""What a style network is built with, read of a style's record and checked; free of heavy imports."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from impasto.errors import StyleError
from impasto.networks.layers import GRAIN
from impasto.storage.style_file import StyleRecord, is_number

NETWORK = "transformer"
"""What the record of a style calls this network."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Per-channel mean and deviation of photographs, RGB in [0, 1]."""
PATCHES = {1: 9, 2: 5, 4: 3}
"""Sides of the squares of pixels that a network can take as one, with the filters of its first and last layer."""
WIDEST, MOST_BLOCKS = 512, 64
"""Bounds of what is built after a file's record."""
SCALE = ".scale"
"""What the name of a filter's scales ends with in a file."""


@dataclass(frozen=True)
class Shape:
    """What a style network is built with; see `impasto.networks.style_network.StyleNetwork`."""

    width: int = 32
    blocks: int = 5
    patch: int = 1
    inputs: Literal["centred", "bytes"] = "centred"
    outputs: Literal["sigmoid", "tanh"] = "sigmoid"
    grain: float = GRAIN
    smooth: bool = False

    @property
    def strides(self) -> int:
        """Layers of stride 2 on the way down, and up again."""
        return 2 - self.patch // 2

    @property
    def colours(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """What is taken away from the colours of a photo, RGB in [0, 1], and what they are divided by after."""
        return (IMAGENET_MEAN, IMAGENET_STD) if self.inputs == "centred" else ((0.0,) * 3, (1 / 255,) * 3)


def shape_of(record: StyleRecord) -> Shape:
    """What the network of a style was built with, checked before anything is allocated. Raises StyleError."""
    width, blocks, patch = built(record)
    known, origin = record.settings, f"the style {record.name!r}"
    inputs, outputs = known.get("inputs", "centred"), known.get("outputs", "sigmoid")
    if inputs not in ("centred", "bytes") or outputs not in ("sigmoid", "tanh"):
        raise StyleError(f"{origin} names network inputs {inputs!r} and outputs {outputs!r}, which this version does not know")
    grain = known.get("grain", 0.0)
    if not is_number(grain) or not 0 <= grain <= 1:
        raise StyleError(f"{origin} names a grain of {grain!r}, which is no number from 0 to 1")
    return Shape(width, blocks, patch, inputs, outputs, grain, known.get("smooth", False) is True)


def built(record: StyleRecord) -> tuple[int, int, int]:
    """Width, number of blocks and side of the patches of a record's network, checked before anything is allocated. Raises StyleError."""
    width, blocks, patch = record.width, record.settings.get("blocks", 5), record.settings.get("patch", 1)
    if not is_number(width) or width != int(width) or not 1 <= width <= WIDEST:
        raise StyleError(f"the style {record.name!r} names a network of width {width!r}, which there cannot be")
    if not is_number(blocks) or not isinstance(blocks, int) or not 1 <= blocks <= MOST_BLOCKS:
        raise StyleError(f"the style {record.name!r} names a network of {blocks!r} blocks, which there cannot be")
    if not isinstance(patch, int) or isinstance(patch, bool) or patch not in PATCHES:
        raise StyleError(f"the style {record.name!r} names a network with patches of side {patch!r}, which there cannot be")
    return int(width), blocks, patch


def unpacked(stored: Mapping[str, np.ndarray], origin: str) -> dict[str, np.ndarray]:
    """Weights in float32 of those that a file stores, filters in eight bits with their scales. Raises StyleError that names `origin`."""
    weights = {}
    for name, value in stored.items():
        if name.endswith(SCALE):
            continue
        weights[name] = value.astype(np.float32)
        if value.dtype == np.int8:
            scale = stored.get(name + SCALE)
            if scale is None or scale.shape != value.shape[:1]:
                raise StyleError(f"{origin} has filters {name} without their scale: it is not whole")
            weights[name] *= scale.astype(np.float32).reshape(-1, *[1] * (value.ndim - 1))
    if not all(bool(np.isfinite(value).all()) for value in weights.values()):
        raise StyleError(f"{origin} holds weights that are not finite numbers")
    return weights
