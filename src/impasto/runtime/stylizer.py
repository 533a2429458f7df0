"""The one contract that every method keeps."""

from typing import Protocol

from torch import Tensor


class Stylizer(Protocol):
    """Whatever paints: pictures (B, 3, H, W), float32 RGB in [0, 1], to pictures of the same size and range.

    masks: (1, K, H, W) for stylizers made with regions, otherwise None.
    """

    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint."""
        ...
