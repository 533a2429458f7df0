"""Which places of a frame can be traced to another (Ruder et al. 2016, section 4): 1 where they can, 0 elsewhere."""

import torch
from torch import Tensor

from impasto.motion.warp import warp


def disoccluded(backward: Tensor, forward: Tensor) -> Tensor:
    """Places that there and back do not end where they began, or that left the picture: (B, 1, H, W) of bool.

    backward: flow from this frame to the other, forward: from the other to this one, (B, 2, H, W).
    |f(p + b) + b|^2 >= 0.01 (|f(p + b)|^2 + |b|^2) + 0.5.
    """
    returned, inside = warp(forward, backward)
    gap = (returned + backward).square().sum(1, keepdim=True)
    length = returned.square().sum(1, keepdim=True) + backward.square().sum(1, keepdim=True)
    return (gap >= 0.01 * length + 0.5) | (inside == 0)


def motion_edges(backward: Tensor) -> Tensor:
    """Places where the flow (B, 2, H, W) changes fast, so that it cannot be exact: |grad u|^2 + |grad v|^2 > 0.01 |b|^2 + 0.002."""
    down, across = (torch.gradient(backward, dim=dim)[0] for dim in (2, 3))
    steep = (down.square() + across.square()).sum(1, keepdim=True)
    return steep > 0.01 * backward.square().sum(1, keepdim=True) + 0.002


def reliability(backward: Tensor, forward: Tensor, *, edges: bool = True) -> Tensor:
    """The mask of the places of this frame that can be traced back, (B, 1, H, W) in {0, 1}; without motion edges if `edges`."""
    lost = disoccluded(backward, forward)
    if edges:
        lost = lost | motion_edges(backward)
    return (~lost).to(backward.dtype)


def alike(frame: Tensor, before: Tensor, backward: Tensor, *, limit: float = 0.1) -> Tensor:
    """1 where a frame (3, H, W) looks the same as the one before along the flow (1, 2, H, W): repeated warping would blur the rest.

    (1, 1, H, W).
    """
    warped, _ = warp(before[None], backward)
    return ((warped - frame[None]).abs().amax(1, keepdim=True) <= limit).float()


def trusted_warp(painted: Tensor, frame: Tensor, before: Tensor, backward: Tensor, forward: Tensor) -> tuple[Tensor, Tensor]:
    """What was painted of the frame before, brought to a frame, (1, 3, H, W), and where it can be trusted, (1, 1, H, W).

    painted: (3, H, W), of `before`.
    frame, before: (3, H, W), as they are in the film.
    backward, forward: flow from this frame to the one before, and back, (1, 2, H, W).
    """
    warped, inside = warp(painted[None], backward, mode="bicubic")
    return warped, reliability(backward, forward) * inside * alike(frame, before, backward)
