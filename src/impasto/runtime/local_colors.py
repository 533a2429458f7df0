"""Photographs at full size from a small painted copy: colours that change slowly over the picture, and follow the edges of the photo.

Chen, Adams, Wadhwa and Hasinoff, Bilateral Guided Upsampling, ACM Transactions on Graphics 2016: an affine map of colours for each cell of
a grid over rows, columns and luma, fitted to the small photo and its painting, then interpolated at every pixel of the large photo. Here
each cell is fitted by itself to the pixels around it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.media.canvas import Box, Canvas, Size, tiles
from impasto.media.color import luma
from impasto.media.images import rescale
from impasto.media.stills import fit_within
from impasto.runtime.stylizer import Stylizer

SIDE = 512
"""Longer side, in pixels, of the copy that is painted."""
CELL, SHADES = 16, 12
"""Pixels of the copy that a cell is wide, and cells from black to white."""
_HELD = 1e-3
"""Weight of the picture's own affine map in each cell, in pixels by colour variance."""
_TILE = 1024


@dataclass(frozen=True)
class ColorGrid:
    """Affine maps of colours, (1, 12, shades, rows, columns): the rows of 3 x 4 matrices."""

    maps: Tensor

    @classmethod
    def fitted(cls, photo: Tensor, painted: Tensor) -> "ColorGrid":
        """For a photo and its painting, (1, 3, h, w) each."""
        height, width = photo.shape[-2:]
        rows, columns = (max(2, round(side / CELL) + 1) for side in (height, width))
        source = torch.cat([photo[0], torch.ones_like(photo[0, :1])]).flatten(1).double()
        target = painted[0].flatten(1).double()
        moments = torch.cat([(source[:, None] * source).flatten(0, 1), (target[:, None] * source).flatten(0, 1)])
        shade = (luma(photo)[0].flatten().clamp(0, 1) * (SHADES - 1)).round().long()
        down = (torch.linspace(0, rows - 1, height)).round().long().repeat_interleave(width)
        across = torch.linspace(0, columns - 1, width).round().long().repeat(height)
        grid = torch.zeros(len(moments), SHADES * rows * columns, dtype=torch.float64)
        grid.index_add_(1, (shade * rows + down) * columns + across, moments)
        blurred = _blurred(grid.view(len(moments), SHADES, rows, columns)).flatten(1).T
        whole = moments.sum(1)
        held = torch.linalg.solve(whole[:16].view(4, 4) + 1e-6 * torch.eye(4, dtype=torch.float64), whole[16:].view(3, 4).T)
        weight = _HELD * whole[:16].view(4, 4) / source.shape[1]
        left = blurred[:, :16].view(-1, 4, 4) + weight + 1e-9 * torch.eye(4, dtype=torch.float64)
        right = blurred[:, 16:].view(-1, 3, 4).mT + weight @ held
        maps = torch.linalg.solve(left, right).mT.reshape(-1, 12).T
        return cls(maps.reshape(1, 12, SHADES, rows, columns).float())

    def __call__(self, pixels: Tensor, box: Box, size: Size) -> Tensor:
        """The rectangle (1, 3, h, w) of a photo of this size, in the colours of the painting."""
        down = (torch.arange(box.top, box.bottom) + 0.5) / size[0] * 2 - 1
        across = (torch.arange(box.left, box.right) + 0.5) / size[1] * 2 - 1
        rows, columns = torch.meshgrid(down, across, indexing="ij")
        at = torch.stack([columns, rows, luma(pixels)[0, 0].clamp(0, 1) * 2 - 1], -1)[None, None]
        found = F.grid_sample(self.maps, at, padding_mode="border", align_corners=True)[0, :, 0].view(3, 4, *box.size)
        colors: Tensor = found[:, 3] + (found[:, :3] * pixels).sum(1)
        return colors[None].clamp(0, 1)


def _blurred(grid: Tensor) -> Tensor:
    """(M, S, R, C), each axis by 1, 2, 1, ends repeated."""
    for axis in (1, 2, 3):
        first, last = grid.narrow(axis, 0, 1), grid.narrow(axis, grid.shape[axis] - 1, 1)
        wide = torch.cat([first, grid, last], axis)
        count = grid.shape[axis]
        grid = (wide.narrow(axis, 0, count) + 2 * grid + wide.narrow(axis, 2, count)) / 4
    return grid


@dataclass
class LocalColors:
    """A stylizer of photographs that are larger than `SIDE`: a small copy is painted, and its colours are brought to the photo.

    draft: paints the copy; it keeps the contract of stylizers, and what it paints stays a photograph.
    """

    draft: Stylizer

    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint photos (B, 3, H, W) in [0, 1]."""
        size = (image.shape[-2], image.shape[-1])
        if max(size) <= SIDE:
            return self.draft(image, masks=masks)
        painted = []
        for photo in torch.split(image, 1):
            small = rescale(photo, fit_within(size, SIDE))
            paint = self._of(small, masks, size)
            whole = torch.empty_like(photo, device="cpu")
            for box in tiles(size, _TILE):
                box.of(whole).copy_(paint(box.of(photo), box))
            painted.append(whole)
        return torch.cat(painted).to(image)

    def local(self, photo: Canvas, masks: Tensor | None) -> Callable[[Tensor, Box], Tensor]:
        """What paints a rectangle of a large photo."""
        return self._of(photo.whole(fit_within(photo.size, SIDE)), masks, photo.size)

    def _of(self, small: Tensor, masks: Tensor | None, size: Size) -> Callable[[Tensor, Box], Tensor]:
        there = None if masks is None else rescale(masks, (small.shape[-2], small.shape[-1]))
        grid = ColorGrid.fitted(small.float().cpu(), self.draft(small, masks=there).float().cpu())
        return lambda pixels, box: grid(pixels.float().cpu(), box, size)
