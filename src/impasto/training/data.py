"""Folders of pictures as an endless source of random crops, repeatable from a seed."""

import os

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import InputError
from impasto.media.images import fit_within, list_pictures, read_picture, resize


class PictureFolder:
    """Random crops of the pictures of some folders.

    Pictures are decoded once, kept as bytes with a longer side of at most `keep` pixels, and cropped, flipped and
    recoloured anew at every draw. All randomness comes from the generator handed to `draw`.
    """

    def __init__(self, folders: list[str | os.PathLike[str]], *, keep: int = 512):
        self.files = [file for folder in folders for file in list_pictures(folder)]
        if not self.files:
            raise InputError(f"no pictures in {', '.join(str(f) for f in folders)}")
        self.keep = keep
        self._decoded: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self.files)

    def picture(self, index: int) -> Tensor:
        """The whole picture, (3, H, W) uint8, longer side at most `keep`."""
        if index not in self._decoded:
            pixels = read_picture(self.files[index]).pixels
            if max(pixels.shape[-2:]) > self.keep:
                pixels = resize(pixels, fit_within((pixels.shape[-2], pixels.shape[-1]), self.keep))
            self._decoded[index] = pixels.mul(255).round().byte()
        return self._decoded[index]

    def draw(self, count: int, size: int, generator: torch.Generator, *, zoom: float = 2.0) -> Tensor:
        """(count, 3, size, size) float32 in [0, 1]: square crops of random pictures, half of them mirrored.

        A crop's side is drawn, evenly in its logarithm, between size (or the shorter side of the picture, if that is
        less) and zoom times size (again at most the shorter side), then resized.
        """
        return torch.stack([self._crop(size, generator, zoom) for _ in range(count)])

    def _crop(self, size: int, generator: torch.Generator, zoom: float) -> Tensor:
        index = int(torch.randint(len(self.files), (), generator=generator))
        u, v, w, mirror = torch.rand(4, generator=generator).tolist()
        pixels = self.picture(index)
        height, width = pixels.shape[-2:]
        side = min(height, width, round(size * zoom**u))
        top, left = int(v * (height - side + 1)), int(w * (width - side + 1))
        crop = pixels[:, top : top + side, left : left + side].float().div(255)
        if side != size:
            crop = F.interpolate(crop[None], size=(size, size), mode="bilinear", antialias=True, align_corners=False)[0]
        return crop.flip(-1) if mirror < 0.5 else crop


def jitter_color(batch: Tensor, generator: torch.Generator, *, amount: float = 0.3) -> Tensor:
    """Change brightness, contrast and saturation, and tint, of each picture of (B, 3, H, W) by a random factor.

    Each factor is drawn from [1 - amount, 1 + amount]; the tint scales the three channels by a third of that.
    """
    factors = 1 + amount * (2 * torch.rand(len(batch), 6, 1, 1, generator=generator) - 1)
    brightness, contrast, saturation, tint = factors[:, :1], factors[:, 1:2], factors[:, 2:3], factors[:, 3:]
    luma = batch.mean(1, keepdim=True)
    batch = luma + (batch - luma) * saturation
    mean = batch.mean((1, 2, 3), keepdim=True)
    return ((mean + (batch - mean) * contrast) * brightness * (1 + (tint - 1) / 3)).clamp(0, 1)
