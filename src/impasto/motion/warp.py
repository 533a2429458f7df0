"""Warping: a frame resampled along an optical flow."""

import torch
import torch.nn.functional as F
from torch import Tensor


def warp(picture: Tensor, flow: Tensor, *, mode: str = "bilinear") -> tuple[Tensor, Tensor]:
    """W(y)(p) = y(p + flow(p)): the picture on the grid that the flow starts from.

    picture: (B, C, H, W). flow: (B or 1, 2, H, W), (dx, dy) in pixels, from the grid of the result to that of the picture. mode:
    "bilinear", or "bicubic", which blurs less over many frames. Returns the result, zero outside the picture, and
    (B or 1, 1, H, W), 1 where the whole 2x2 cell that is read lies inside. Computed in float32 or better.
    """
    batch, _, height, width = picture.shape
    precise = torch.float64 if picture.dtype == torch.float64 else torch.float32
    flow = flow.to(picture.device, precise)
    rows = torch.arange(height, device=picture.device, dtype=precise).view(1, -1, 1)
    columns = torch.arange(width, device=picture.device, dtype=precise).view(1, 1, -1)
    x, y = flow[:, 0] + columns, flow[:, 1] + rows
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    grid = torch.stack([2 * x / max(1, width - 1) - 1, 2 * y / max(1, height - 1) - 1], -1).expand(batch, -1, -1, -1)
    warped = F.grid_sample(picture.to(precise), grid, mode=mode, padding_mode="border", align_corners=True)
    mask = inside[:, None].to(precise)
    return warped * mask, mask


def compose(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """The flow a -> c of flows a -> b and b -> c, (B, 2, H, W), and the mask of places whose way stays inside."""
    further, inside = warp(second, first)
    return first + further, inside


def one_step_further(flow: Tensor, mask: Tensor, step: Tensor, traced: Tensor) -> tuple[Tensor, Tensor]:
    """A flow (1, 2, H, W) and where it can be traced, (1, 1, H, W), followed by a step (2, H, W) that can be traced at (1, H, W)."""
    longer, inside = compose(flow, step[None])
    landed, _ = warp(traced[None], flow)
    return longer, mask * inside * (landed > 0.99).to(mask)
