"""Photos and frames graded by a LUT."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import InputError
from impasto.media.canvas import Box, Canvas
from impasto.media.lut_filter import FrameGrader
from impasto.methods.lut.cube import DOMAIN, SHAPER, SHAPER_DOMAIN, TABLE
from impasto.settings import check_strength
from impasto.storage.style_file import StyleFile


@dataclass
class ColorLUT:
    """Grade photos (B, 3, H, W), RGB in [0, 1], by a LUT: each pixel by its own colour alone.

    table: (N, N, N, 3), indexed blue, green, red; interpolated trilinearly.
    domain: (2, 3), the colours that its ends stand for; beyond them the table is constant.
    strength: 0 is the photo, 1 the graded one.
    shaper: (N, 3), a 1D table for each channel, applied before the other; None for none.
    shaper_domain: (2, 3), of that.
    """

    table: Tensor
    domain: Tensor
    strength: float = 1.0
    shaper: Tensor | None = None
    shaper_domain: Tensor | None = None

    def __post_init__(self) -> None:
        check_strength(self.strength)
        self._frames: FrameGrader | None = None
        self._volume = self.table.permute(3, 0, 1, 2)[None].float().contiguous()

    @torch.inference_mode()
    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Grade."""
        if masks is not None:
            raise InputError("a LUT grades whole images; for regions choose --method solver")
        at = (self.positions(image) * 2 - 1).permute(0, 2, 3, 1)[:, None]
        volume = self._volume.to(image).expand(len(image), -1, -1, -1, -1)
        graded = F.grid_sample(volume, at, mode="bilinear", padding_mode="border", align_corners=True)[:, :, 0]
        return torch.lerp(image, graded.clamp(0, 1), self.strength)

    def positions(self, image: Tensor) -> Tensor:
        """Where in the 3D table colours lie: (B, 3, H, W) in [0, 1] for images (B, 3, H, W)."""
        if self.shaper is not None and self.shaper_domain is not None:
            image = _interpolated(self.shaper.to(image), _within(image, self.shaper_domain))
        return _within(image, self.domain)

    def paint_bytes(self, frame: np.ndarray) -> np.ndarray:
        """Grade a frame, (H, W, 3) of bytes, with FFmpeg."""
        if self._frames is None:
            levels = torch.arange(256.0).div(255).expand(1, 3, 1, 256)
            positions = self.positions(levels)[0, :, 0].numpy()
            self._frames = FrameGrader(self.table.numpy(), positions, self.strength)
        return self._frames(frame)

    def local(self, photo: Canvas, masks: Tensor | None) -> Callable[[Tensor, Box], Tensor]:
        """What grades a rectangle of a large photo."""
        return lambda pixels, box: self(pixels, masks=masks)


def _within(image: Tensor, domain: Tensor) -> Tensor:
    """Values (B, 3, H, W) as positions in [0, 1] between the ends of a domain (2, 3)."""
    low, high = domain.to(image)[:, :, None, None]
    at: Tensor = (image - low) / (high - low)
    return at.clamp(0, 1)


def _interpolated(curves: Tensor, at: Tensor) -> Tensor:
    """Curves (N, 3), one a channel, at positions (B, 3, H, W) in [0, 1]."""
    last = len(curves) - 1
    place = at * last
    below = place.floor().clamp(0, last - 1).long()
    channel = torch.arange(3, device=at.device)[:, None, None]
    values: Tensor = torch.lerp(curves[below, channel], curves[below + 1, channel], place - below)
    return values


def color_lut_of(file: StyleFile, strength: float) -> ColorLUT:
    """The LUT of a style."""
    tensors = file.tensors
    return ColorLUT(tensors[TABLE], tensors[DOMAIN], strength, tensors.get(SHAPER), tensors.get(SHAPER_DOMAIN))
