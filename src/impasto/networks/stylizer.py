"""The stylizer: an adapted network that paints small pictures in one pass, and large ones coarse to fine.

A network learns strokes of some pixels. So that strokes belong to the picture, a large one is painted small first; brought up, with the
detail that the photo has at the next size, and mixed with the photo there, it is what is painted next.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from impasto.errors import InputError
from impasto.media.canvas import Box, Canvas, Size, tiles
from impasto.media.images import finer_detail, rescale
from impasto.networks import grain, tiled
from impasto.networks.layers import FIRST
from impasto.networks.style_network import StyleNetwork
from impasto.runtime.cuda_graphs import RepeatedShapes
from impasto.runtime.device import Place, settle
from impasto.runtime.large import Plan
from impasto.runtime.size import pyramid
from impasto.settings import check_strength

KEPT = 0.5
"""Share of the smaller picture in what is painted at the next size: with all of it, thin contours are painted over."""
COARSEST = 80
"""Shorter side, in pixels, that it is painted at first at least."""


class NetworkStylizer:
    """Paint photos (B, 3, H, W), RGB in [0, 1], with an adapted network; same size out.

    strength: 0 is the photo, 1 what the network paints; between them every pixel moves evenly from one to the other.
    stroke: how large strokes are, times the usual: larger ones are painted at a smaller size first.
    grain: whether the photo is given its grain. In films it would stand still while everything moves, and networks that learned films do
        without.
    affine: (B, P) scales and shifts, one row for each picture of a batch: as many styles in one pass, on one network.
    engine: what paints (B, 3, H, W) with its grain instead of PyTorch.
    """

    def __init__(
        self,
        network: StyleNetwork,
        place: Place,
        *,
        strength: float = 1.0,
        stroke: float = 1.0,
        grain: bool = True,
        affine: Tensor | None = None,
        engine: Callable[[Tensor], Tensor] | None = None,
    ):
        check_strength(strength)
        self.grain = grain and network.grain > 0
        self.network, self.place, self.strength = settle(network, place).requires_grad_(False), place, strength
        self.stroke, self.first = stroke, FIRST / stroke
        self._grains: dict[tuple[int, int], Tensor] = {}
        self.affine = None if affine is None else affine.to(place.device, place.dtype)
        self._paint = engine or (lambda seen: self.network(seen, self.affine))
        if engine is None and place.device.type == "cuda":
            self._paint = RepeatedShapes(self._paint)

    @torch.inference_mode()
    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint; regions are not for this method."""
        if masks is not None:
            raise InputError("metastyle paints whole pictures; for regions choose --method solver")
        if self.strength == 0:
            return image.clone()
        photo = image.to(self.place.device)
        painted = self.coarse_to_fine(partial(rescale, photo), self.sizes((photo.shape[-2], photo.shape[-1])))
        return torch.lerp(photo.float(), painted, self.strength) if self.strength < 1 else painted

    @torch.inference_mode()
    def coarse_to_fine(self, photo_at: Callable[[Size], Tensor], sizes: Sequence[Size]) -> Tensor:
        """Paint at full strength. photo_at: the photo (B, 3, h, w) at a size. sizes: from the coarsest to that of the picture."""
        if sizes[-1] not in self._grains:
            self._grains.clear()
        painted = self._painted(photo_at(sizes[0]).to(self.place.device))
        for before, size in pairwise(sizes):
            there = photo_at(size).to(self.place.device)
            larger = (rescale(painted, size) + finer_detail(there, before)).clamp(0, 1)
            painted = self._painted(torch.lerp(there, larger, KEPT))
        return painted

    @property
    def passes(self) -> int:
        """Passes over all tiles that exact statistics take."""
        return sum(1 for _ in self.network.norms())

    def level(self, photo: Canvas, before: Canvas | None, size: Size, folder: Path) -> "TiledLevel":
        """What paints a size by tiles, the next one after `before` if there is one. folder: for files that it needs."""
        return TiledLevel(self, photo, before, size, folder)

    def sizes(self, size: tuple[int, int]) -> list[tuple[int, int]]:
        """Height and width of what is painted, from coarse to fine."""
        return _sizes(size, self.first)

    def remark(self, size: tuple[int, int]) -> str:
        """That a stroke changes nothing at a size, which is painted in the same passes as with the usual one."""
        if self.stroke == 1 or self.strength == 0 or self.sizes(size) != _sizes(size, FIRST):
            return ""
        return f"--stroke {self.stroke:g} changes nothing in a draft of {size[1]}x{size[0]} pixels; --quality fine follows it at any size"

    def _painted(self, photo: Tensor) -> Tensor:
        photo = photo.contiguous(memory_format=torch.channels_last)
        seen = photo + self._grain(photo) if self.grain else photo
        return self._paint(seen).float().clamp(0, 1)

    def _grain(self, photo: Tensor) -> Tensor:
        """The grain of this size, always the same, so that frames of a film and the same photo twice are painted alike."""
        size = (photo.shape[-2], photo.shape[-1])
        if size not in self._grains:
            self._grains[size] = self.network.grain * torch.from_numpy(grain.painted(size, smooth=self.network.smooth)).to(photo)
        return self._grains[size]


def _sizes(size: Size, first: float) -> list[Size]:
    """Sizes from coarse to fine; the coarsest is the largest whose longer side is at most `first`, if there is one."""
    sizes = pyramid(size, 16, least=COARSEST)
    small = [number for number, one in enumerate(sizes) if max(one) <= first]
    return sizes[small[-1] if small else 0 :]


class TiledLevel:
    """One size of a picture that is painted by tiles: what the network is given there, and what it paints."""

    def __init__(self, stylizer: NetworkStylizer, photo: Canvas, before: Canvas | None, size: Size, folder: Path):
        self._stylizer, self._before, self._size, self._network = stylizer, before, size, stylizer.network
        self._photo = photo if size == photo.size else photo.copied(folder / "photo-here.raw", size)
        self._coarse = None if before is None else self._photo.copied(folder / "photo-before.raw", before.size)
        self._grain = grain.Grain(size, folder / "grain.raw", smooth=self._network.smooth) if stylizer.grain else None

    def read(self, box: Box) -> Tensor:
        """A rectangle of what the network is given, with the photo's detail and the grain."""
        seen = self._photo.read(box)
        if self._before is not None and self._coarse is not None:
            detail = seen - self._coarse.resized(self._size, box)
            seen = torch.lerp(seen, (self._before.resized(self._size, box) + detail).clamp(0, 1), KEPT)
        if self._grain is not None:
            seen += self._network.grain * torch.from_numpy(self._grain.rectangle(box.top, box.left, box.bottom, box.right))
        return seen.to(self._stylizer.place.device).contiguous(memory_format=torch.channels_last)

    @torch.inference_mode()
    def measured(self, plan: Plan, known: Sequence[tiled.Moments], done: Callable[[], None]) -> Iterator[tiled.Moments]:
        """The moments of the norms that all tiles share, after those that are known."""
        if plan.exact:
            yield from tiled.exact(self._network, self.read, self._size, tiles(self._size, plan.side), known, done)
        else:
            yield from tiled.frozen(self._network, self.read, self._size, plan.whole)[len(known) :]

    @torch.inference_mode()
    def paint(self, tile: Box, statistics: list[tiled.Moments]) -> Tensor:
        """One tile."""
        device = self._stylizer.place.device
        moments = [(mean.to(device), variance.to(device)) for mean, variance in statistics]
        return tiled.painted(self._network, self.read, self._size, tile, moments).float().clamp(0, 1)
