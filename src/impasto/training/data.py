"""Pictures as an endless source of random crops, repeatable from a seed, in bounded memory."""

import copy
import hashlib
import os
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import InputError, PictureError
from impasto.files import names_and_sizes
from impasto.media.images import filled_pixels, list_pictures, read_picture, resize
from impasto.media.stills import fit_within


class Pictures:
    """Random crops of some pictures, each (3, H, W) float32 in [0, 1]; kept as bytes.

    Crops are drawn anew every time; all randomness comes from the generator handed to `draw`.
    """

    def __init__(self, pictures: Sequence[Tensor]):
        self._decoded = OrderedDict((index, picture.mul(255).round().byte()) for index, picture in enumerate(pictures))
        self.indices = list(self._decoded)

    @property
    def digest(self) -> str:
        """What tells these pictures from others: a checksum."""
        digest = hashlib.sha256(repr(self.indices).encode())
        for picture in self._decoded.values():
            digest.update(picture.numpy().tobytes())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.indices)

    def described(self, what: str) -> str:
        """How many there are, for the record of a training: `118 photographs`."""
        return f"{len(self)} {what}"

    def picture(self, index: int) -> Tensor:
        """The whole picture, (3, H, W) uint8."""
        return self._decoded[self.indices[index]]

    def sized(self, index: int, short_side: int) -> Tensor:
        """The whole picture as (1, 3, H, W) float32 in [0, 1] with the given shorter side."""
        pixels = self.picture(index).float().div(255)
        scale = short_side / min(pixels.shape[-2:])
        return resize(pixels, (round(pixels.shape[-2] * scale), round(pixels.shape[-1] * scale)))[None]

    def halves(self, seed: int) -> tuple["Pictures", "Pictures"]:
        """Two halves that share no picture. Raises InputError if there is only one."""
        if len(self) < 2:
            raise InputError("one picture cannot be split in two sets; give more pictures")
        half = len(self) // 2
        return self.part(half, seed), self._taken(self._order(seed)[half:])

    def part(self, count: int, seed: int) -> "Pictures":
        """`count` pictures (or all, if there are fewer), chosen by the seed."""
        return self._taken(self._order(seed)[:count])

    def every(self, count: int, first: int) -> "Pictures":
        """Every `count`-th picture from number `first` on: the share of one of `count` processes."""
        return self._taken(list(range(first, len(self), count)))

    def _order(self, seed: int) -> list[int]:
        return torch.randperm(len(self), generator=torch.Generator().manual_seed(seed)).tolist()

    def _taken(self, indices: list[int]) -> "Pictures":
        part = copy.copy(self)
        part.indices = [self.indices[index] for index in indices]
        return part

    def draw(self, count: int, size: int, generator: torch.Generator, *, zoom: tuple[float, float] = (1.0, 2.0)) -> Tensor:
        """(count, 3, size, size) float32 in [0, 1]: square crops of random pictures, half of them mirrored.

        A crop's side is drawn, evenly in its logarithm, between zoom[0] and zoom[1] times size (never more than the shorter
        side of the picture), then resized.
        """
        return torch.stack([self._crop(size, generator, zoom) for _ in range(count)])

    def state(self) -> Any:
        """What a checkpoint has to hold for the next draw to be the same, beside the generator."""
        return None

    def load(self, state: Any) -> None:
        """Continue from `state`."""

    def _next(self, generator: torch.Generator) -> Tensor:
        """The picture that the next crop is of."""
        return self.picture(int(torch.randint(len(self), (), generator=generator)))

    def _crop(self, size: int, generator: torch.Generator, zoom: tuple[float, float]) -> Tensor:
        pixels = self._next(generator)
        u, v, w, mirror = torch.rand(4, generator=generator).tolist()
        height, width = pixels.shape[-2:]
        side = min(height, width, round(size * zoom[0] * (zoom[1] / zoom[0]) ** u))
        top, left = int(v * (height - side + 1)), int(w * (width - side + 1))
        crop = pixels[:, top : top + side, left : left + side].float().div(255)
        if side != size:
            crop = F.interpolate(crop[None], size=(size, size), mode="bilinear", antialias=True, align_corners=False)[0]
        return crop.flip(-1) if mirror < 0.5 else crop


MEMORY = 2_000_000_000
"""Bytes of decoded pictures that a folder keeps: about 5,000 of the usual size. What was not used for longest is read again."""


class PictureFolder(Pictures):
    """The pictures of some folders, decoded when they are drawn and kept while there is room, longer side at most `keep` pixels.

    One that cannot be read is left out, and counted: the next one that can takes its place, so that a seed draws the same whenever that is
    noticed. memory: bytes of decoded pictures that are kept.
    """

    def __init__(self, folders: Sequence[str | os.PathLike[str]], *, keep: int = 512, memory: int = MEMORY):
        super().__init__([])
        self.files = [file for folder in folders for file in list_pictures(folder)]
        if not self.files:
            raise InputError(f"no pictures in {', '.join(str(f) for f in folders)}")
        self.indices, self.keep, self.memory = list(range(len(self.files))), keep, memory
        self.broken: set[int] = set()
        self._held = [0]

    @property
    def digest(self) -> str:
        """What tells these pictures from others: names and sizes of the files, whatever folder they lie in."""
        named = names_and_sizes(self.files[index] for index in self.indices)
        return hashlib.sha256(repr([named, self.keep]).encode()).hexdigest()

    def described(self, what: str) -> str:
        """How many there are, and how many of them could not be read."""
        return f"{len(self)} {what}" + (f" ({len(self.broken)} of them left out: they cannot be read)" if self.broken else "")

    def picture(self, index: int) -> Tensor:
        """The whole picture, (3, H, W) uint8, longer side at most `keep`. Raises InputError if none can be read."""
        for step in range(len(self)):
            which = self.indices[(index + step) % len(self)]
            if which in self.broken:
                continue
            if which in self._decoded:
                self._decoded.move_to_end(which)
                return self._decoded[which]
            try:
                return self._kept(which, self._read(which))
            except PictureError:
                self.broken.add(which)
        raise InputError(f"none of the {len(self)} pictures, such as {self.files[self.indices[0]]}, can be read")

    def _read(self, which: int) -> Tensor:
        return as_kept(filled_pixels(read_picture(self.files[which])), self.keep)

    def _kept(self, which: int, pixels: Tensor) -> Tensor:
        """Remember a picture; parts of a folder share what is remembered."""
        self._decoded[which] = pixels
        self._held[0] += pixels.numel()
        while self._held[0] > self.memory and len(self._decoded) > 1:
            self._held[0] -= self._decoded.popitem(last=False)[1].numel()
        return pixels


def as_kept(pixels: Tensor, keep: int) -> Tensor:
    """Pixels (3, H, W) in [0, 1] as bytes, longer side at most `keep`."""
    if max(pixels.shape[-2:]) > keep:
        pixels = resize(pixels, fit_within((pixels.shape[-2], pixels.shape[-1]), keep))
    return pixels.mul(255).round().byte()


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
