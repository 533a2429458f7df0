"""Any stylizer, stabilised by optical flow: where the motion can be traced, a share of the frame before is kept.

y_t = N(x_t) + share M (W(y_(t-1)) - N(x_t)), W the warp along the flow, M where it can be trusted and the film itself looks the same
there. It is one step of the consistency that the solver takes at every iteration (Puy and Perez 2019, section 4.4).
"""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from impasto.motion.cuts import is_cut
from impasto.motion.flow import DenseInverseSearch, Flow
from impasto.motion.occlusion import trusted_warp
from impasto.runtime.device import Place
from impasto.runtime.stylizer import Stylizer, remark_on

SHARE = 0.6
"""How much of the frame before is kept: more is steadier, and softer."""


class Steadied:
    """A stylizer for films out of one for pictures. flow: any callable from two frames to their flow, OpenCV's by default."""

    memory = 24
    """0.6 to its power is less than what a byte holds."""

    def __init__(self, stylizer: Stylizer, place: Place, *, flow: Flow | None = None, share: float = SHARE):
        self.stylizer, self.place, self.flow, self.share = stylizer, place, flow or DenseInverseSearch(), share

    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint pictures, each for itself."""
        return self.stylizer(image, masks=masks)

    def remark(self, size: tuple[int, int]) -> str:
        """What the stylizer has to say."""
        return remark_on(self.stylizer, size)

    def stream(
        self, frames: Iterable[Tensor], *, masks: Tensor | None = None, first: tuple[Tensor, Tensor] | None = None
    ) -> Iterator[Tensor]:
        """Paint frames (3, H, W) in order; a new shot begins anew. first: the frame before them and how it was painted."""
        before = first
        for frame in frames:
            painted = self.stylizer(frame[None].to(self.place.device), masks=masks)[0].detach().float().cpu()
            with torch.inference_mode():
                if before is not None and not is_cut(before[0], frame):
                    backward, forward = self.flow(frame, before[0])[None], self.flow(before[0], frame)[None]
                    warped, trusted = trusted_warp(before[1], frame, before[0], backward, forward)
                    painted = torch.lerp(painted, warped[0], self.share * trusted[0]).clamp(0, 1)
            before = (frame, painted)
            yield painted


class EachFrame:
    """A stylizer without its memory: every frame of a film for itself."""

    def __init__(self, stylizer: Stylizer):
        self._stylizer = stylizer

    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint."""
        return self._stylizer(image, masks=masks)

    def remark(self, size: tuple[int, int]) -> str:
        """What the stylizer has to say."""
        return remark_on(self._stylizer, size)
