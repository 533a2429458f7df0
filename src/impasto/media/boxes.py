"""Rectangles of pictures; free of heavy imports."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True)
class Box:
    """A rectangle of a picture, in pixels: rows from `top` to before `bottom`, columns from `left` to before `right`."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    def grown(self, by: int, size: Size) -> "Box":
        """With so many pixels more on every side, as far as a picture of this size goes."""
        return Box(max(0, self.top - by), max(0, self.left - by), min(size[0], self.bottom + by), min(size[1], self.right + by))

    def within(self, outer: "Box") -> "Box":
        """The same place, counted from the corner of a rectangle that holds it."""
        return Box(self.top - outer.top, self.left - outer.left, self.bottom - outer.top, self.right - outer.left)

    @property
    def rows(self) -> slice:
        """Its rows."""
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        """Its columns."""
        return slice(self.left, self.right)

    def of(self, pixels: "Tensor") -> "Tensor":
        """This part of pictures (B, C, H, W)."""
        return pixels[..., self.rows, self.columns]
