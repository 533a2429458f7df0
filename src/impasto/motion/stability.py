"""How stable a film is: e_stab, the warping error of consecutive frames, and its companions (Chen et al. 2020, section 4.2)."""

from collections.abc import Iterable
from dataclasses import dataclass

from torch import Tensor

from impasto.motion.warp import warp


@dataclass(frozen=True)
class Stability:
    """e_stab, the same divided by the deviation of the film's colours (which blur and low contrast cannot buy), and the pairs of frames."""

    e_stab: float
    relative: float
    pairs: int


class StabilityMeter:
    """Adds up sqrt( 1/T sum_t 1/(H W) sum_(p, c) M_t(p) (y_t - W(y_(t-1)))(p, c)^2 ): summed over channels, divided by all pixels.

    Masked places count as no error.
    """

    def __init__(self) -> None:
        self._error = self._deviation = 0.0
        self._pairs = 0

    def add(self, frame: Tensor, other: Tensor, flow: Tensor, mask: Tensor) -> Tensor:
        """A pair of frames (3, H, W) in [0, 1], the flow (2, H, W) from the first to the other, and the mask (1, H, W), 1 where it can be
        traced. Returns the masked difference, (3, H, W)."""
        warped, inside = warp(other[None], flow[None])
        difference: Tensor = (mask[None] * inside * (frame[None] - warped))[0]
        self._error += float(difference.square().sum() / frame[0].numel())
        self._deviation += float(frame.var(unbiased=False))
        self._pairs += 1
        return difference

    @property
    def result(self) -> Stability:
        """What the pairs so far come to; zeros without any."""
        count = max(1, self._pairs)
        e_stab = (self._error / count) ** 0.5
        return Stability(e_stab, e_stab / max(1e-12, (self._deviation / count) ** 0.5), self._pairs)


def stability(pairs: Iterable[tuple[Tensor, Tensor, Tensor, Tensor]]) -> Stability:
    """The stability of pairs as `StabilityMeter.add` takes them: this frame, the other, the flow from this to the other, and the mask."""
    meter = StabilityMeter()
    for pair in pairs:
        meter.add(*pair)
    return meter.result
