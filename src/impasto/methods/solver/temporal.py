"""Consistency in time: where the flow can be trusted, the output stays near the previous output (Puy and Perez 2019, section 4.4).

R(X) = |M (w(X_prev) - X)|^2, w the warp by the optical flow, M the mask of places that can be traced. Published weight: 0.37,
so that each iteration blends 42.5 % of the warped previous output.
"""

from torch import Tensor


class Consistency:
    """The regulariser of one frame.

    warped: the previous output on the grid of this frame, (B, 3, H, W). mask: (B or 1, 1, H, W) in [0, 1], 1 where it can be trusted.
    """

    def __init__(self, warped: Tensor, mask: Tensor):
        self.warped, self.trust = warped, mask.square()

    def apply(self, x: Tensor) -> Tensor:
        """M^2 x."""
        return self.trust * x

    @property
    def target(self) -> Tensor:
        """M^2 w(X_prev)."""
        return self.trust * self.warped

    def prox(self, y: Tensor, weight: float) -> Tensor:
        """(y + 2 weight M^2 w(X_prev)) / (1 + 2 weight M^2), at each pixel."""
        return (y + 2 * weight * self.target) / (1 + 2 * weight * self.trust)
