"""The teacher at work: it paints a film with optical flow, each frame from the one before (Ruder et al. 2018)."""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.methods.distillation.networks import TeacherNetwork
from impasto.motion.cuts import is_cut
from impasto.motion.flow import DenseInverseSearch, Flow
from impasto.motion.occlusion import reliability
from impasto.motion.warp import warp
from impasto.runtime.device import Place, settle
from impasto.settings import check_strength


def shrunk(mask: Tensor, *, size: int = 7) -> Tensor:
    """The minimum of a mask (B, 1, H, W) over size x size: what lies near an untraced place is not trusted either."""
    return -F.max_pool2d(-mask, size, stride=1, padding=size // 2)


def prior_of(before: Tensor, backward: Tensor, traced: Tensor) -> tuple[Tensor, Tensor]:
    """What the teacher is given of the frame before: its output (B, 3, H, W) on the grid of this frame, and the shrunk mask."""
    warped, inside = warp(before, backward)
    return warped, shrunk(traced.to(warped) * inside)


class Teacher:
    """Paint films with a trained teacher and optical flow; single pictures without either.

    flow: any callable from two frames to their flow, OpenCV's by default. strength: 0 is the film, 1 what the network paints.
    """

    memory = None
    """A network may keep what it saw for as long as a shot lasts."""

    def __init__(self, network: TeacherNetwork, place: Place, *, flow: Flow | None = None, strength: float = 1.0):
        check_strength(strength)
        self.network, self.place, self.strength = settle(network, place).requires_grad_(False), place, strength
        self.flow = flow or DenseInverseSearch()

    @torch.inference_mode()
    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint pictures (B, 3, H, W) as first frames of films: the vanilla teacher."""
        return self._mixed(image, self.network(image.to(self.place.device)))

    @torch.inference_mode()
    def stream(
        self, frames: Iterable[Tensor], *, masks: Tensor | None = None, first: tuple[Tensor, Tensor] | None = None
    ) -> Iterator[Tensor]:
        """Paint frames (3, H, W) in order, each with the one before in sight; a new shot begins anew.

        first: the frame before these and how it was painted, to continue from there.
        """
        before = first
        for frame in frames:
            prior = mask = None
            if before is not None and not is_cut(before[0], frame):
                backward, forward = self.flow(frame, before[0])[None], self.flow(before[0], frame)[None]
                prior, mask = (part.to(self.place.device) for part in prior_of(before[1][None], backward, reliability(backward, forward)))
            painted = self.network(frame[None].to(self.place.device), prior, mask).clamp(0, 1)[0].cpu()
            before = (frame, painted)
            yield self._mixed(frame[None], painted[None])[0]

    def _mixed(self, image: Tensor, painted: Tensor) -> Tensor:
        painted = painted.clamp(0, 1)
        return torch.lerp(image.to(painted), painted, self.strength) if self.strength < 1 else painted
