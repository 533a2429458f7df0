"""Photos and frames graded by a table of colours."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import InputError
from impasto.media.canvas import Box, Canvas
from impasto.methods.lut.cube import DOMAIN, TABLE
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

    def stream(
        self, frames: Iterable[Tensor], *, masks: Tensor | None = None, first: tuple[Tensor, Tensor] | None = None
    ) -> Iterator[Tensor]:
        """Grade the frames of a film, (3, H, W), as bytes: each colour there can be is graded once, before."""
        if masks is not None:
            raise InputError("a look grades whole pictures; for regions choose --method solver")
        graded = self._every_color()
        for frame in frames:
            red, green, blue = frame.mul(255).add_(0.5).int()
            found = graded[(red * 65536 + green * 256 + blue).flatten()]
            yield found.view(torch.uint8).view(*frame.shape[1:], 4)[..., :3].permute(2, 0, 1).float().div_(255)

    def _every_color(self) -> Tensor:
        """What becomes of all colours of three bytes, each as the bytes of one integer."""
        line = torch.arange(256) / 255
        graded = torch.zeros(256, 256, 256, 4, dtype=torch.uint8)
        for number, red in enumerate(line):
            plane = torch.stack([red.expand(256, 256), line[:, None].expand(256, 256), line.expand(256, 256)])
            graded[number, ..., :3] = self(plane[None])[0].mul(255).round().byte().permute(1, 2, 0)
        return graded.view(torch.int32).flatten()

    def local(self, photo: Canvas, masks: Tensor | None) -> Callable[[Tensor, Box], Tensor]:
        """What grades a rectangle of a large photo."""
        return lambda pixels, box: self(pixels, masks=masks)


def look_of(file: StyleFile, strength: float) -> Look:
    """The look of a style."""
    return Look(file.tensors[TABLE], file.tensors[DOMAIN], strength)
