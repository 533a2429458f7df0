"""The one contract that every method keeps, and its extension for films."""

from collections.abc import Iterable, Iterator
from typing import Protocol, runtime_checkable

import numpy as np
from torch import Tensor


class Stylizer(Protocol):
    """Whatever paints: pictures (B, 3, H, W), float32 RGB in [0, 1], to pictures of the same size and range.

    masks: (1, K, H, W) for stylizers made with regions, otherwise None.
    """

    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint."""
        ...


@runtime_checkable
class VideoStylizer(Stylizer, Protocol):
    """A stylizer that remembers: what it paints depends on the frame before.

    It says with `memory` for how many frames, 0 if it does not say it: see `memory_of`.
    """

    def stream(
        self, frames: Iterable[Tensor], *, masks: Tensor | None = None, first: tuple[Tensor, Tensor] | None = None
    ) -> Iterator[Tensor]:
        """Paint frames (3, H, W) in order. first: the frame before them and how it was painted, to continue from there."""
        ...


@runtime_checkable
class ByteStylizer(Stylizer, Protocol):
    """A stylizer for which frames need not become floats, and that does not look beyond a frame."""

    def paint_bytes(self, frame: np.ndarray) -> np.ndarray:
        """Paint a frame, bytes (H, W, 3)."""
        ...


def memory_of(stylizer: Stylizer) -> int | None:
    """How many frames it takes until what a stylizer paints does not depend any more on where a shot began; None if it always does."""
    found: int | None = getattr(stylizer, "memory", 0)
    return found


@runtime_checkable
class Remarking(Stylizer, Protocol):
    """A stylizer that has something to say of some sizes."""

    def remark(self, size: tuple[int, int]) -> str:
        """What there is to say of a height and width, "" if nothing."""
        ...


def remark_on(stylizer: Stylizer, size: tuple[int, int]) -> str:
    """What a stylizer has to say of a height and width that it paints, "" if nothing."""
    return stylizer.remark(size) if isinstance(stylizer, Remarking) else ""
