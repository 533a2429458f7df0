"""Photos and frames graded by a table of colours."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import InputError
from impasto.media.canvas import Box, Canvas
from impasto.media.graded import GradedFrames
from impasto.methods.lut.cube import DOMAIN, MOST, TABLE, write_cube
from impasto.settings import check_strength
from impasto.storage.style_file import StyleFile


@dataclass
class Look:
    """Grade photos (B, 3, H, W), RGB in [0, 1], by a table: each pixel by its own colour alone.

    table: (N, N, N, 3) of blue, green, red. domain: (2, 3), the colours that its ends stand for. strength: 0 is the photo, 1 the look.
    """

    table: Tensor
    domain: Tensor
    strength: float = 1.0

    def __post_init__(self) -> None:
        check_strength(self.strength)
        self._frames: GradedFrames | None = None
        self._volume = self.table.permute(3, 0, 1, 2)[None].float().contiguous()

    @torch.inference_mode()
    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Grade."""
        if masks is not None:
            raise InputError("a look grades whole pictures; for regions choose --method solver")
        low, high = self.domain.to(image)[:, :, None, None]
        at = ((image - low) / (high - low) * 2 - 1).permute(0, 2, 3, 1)[:, None]
        volume = self._volume.to(image).expand(len(image), -1, -1, -1, -1)
        graded = F.grid_sample(volume, at, mode="bilinear", padding_mode="border", align_corners=True)[:, :, 0]
        return torch.lerp(image, graded, self.strength).clamp(0, 1)

    def paint_bytes(self, frame: np.ndarray) -> np.ndarray:
        """Grade a frame, (H, W, 3) of bytes, with FFmpeg."""
        if self._frames is None:
            usual = torch.equal(self.domain.float(), torch.tensor([[0.0] * 3, [1.0] * 3]))
            shades = torch.linspace(0, 1, len(self.table) if usual else MOST)  # FFmpeg takes other domains for this one
            blue, green, red = torch.meshgrid(shades, shades, shades, indexing="ij")
            lattice = torch.stack([red, green, blue]).flatten(2)  # (3, N, N N), as a picture
            self._folder = tempfile.TemporaryDirectory(prefix="impasto-")
            cube = Path(self._folder.name) / "look.cube"
            write_cube(cube, self(lattice[None])[0].permute(1, 2, 0).reshape(*red.shape, 3), title="look")
            self._frames = GradedFrames(cube)
        return self._frames(frame)

    def local(self, photo: Canvas, masks: Tensor | None) -> Callable[[Tensor, Box], Tensor]:
        """What grades a rectangle of a large photo."""
        return lambda pixels, box: self(pixels, masks=masks)


def look_of(file: StyleFile, strength: float) -> Look:
    """The look of a style."""
    return Look(file.tensors[TABLE], file.tensors[DOMAIN], strength)
