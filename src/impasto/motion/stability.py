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


def stability(pairs: Iterable[tuple[Tensor, Tensor, Tensor, Tensor]]) -> Stability:
    """sqrt( 1/T sum_t 1/(H W) sum_(p, c) M_t(p) (y_t - W(y_(t-1)))(p, c)^2 ): summed over channels, divided by all pixels.

    pairs: for each pair of frames this frame and the other, (3, H, W) in [0, 1], the flow (2, H, W) from this frame to the other, and
    the mask (1, H, W), 1 where this frame can be traced to the other. Masked places count as no error.
    """
    error = deviation = 0.0
    count = 0
    for frame, other, flow, mask in pairs:
        warped, inside = warp(other[None], flow[None])
        trusted = mask[None] * inside
        error += float((trusted * (frame[None] - warped).square()).sum() / frame[0].numel())
        deviation += float(frame.var(unbiased=False))
        count += 1
    if not count:
        return Stability(0.0, 0.0, 0)
    e_stab = (error / count) ** 0.5
    return Stability(e_stab, e_stab / max(1e-12, (deviation / count) ** 0.5), count)
