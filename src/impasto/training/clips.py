"""Moving pictures for training: short runs of frames with the motion between them, from films or made of stills."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import InputError
from impasto.files import in_order, names_and_sizes
from impasto.media.images import filled_pixels, list_pictures, read_picture, resize
from impasto.media.opening import is_film
from impasto.media.stills import fit_within
from impasto.media.videos import FilmReader
from impasto.motion.flow import DenseInverseSearch, Flow
from impasto.motion.occlusion import reliability
from impasto.motion.synthetic import Course, moving_scene
from impasto.motion.warp import one_step_further
from impasto.training.data import Pictures


@dataclass(frozen=True)
class Clip:
    """K frames (K, 3, H, W), RGB in [0, 1], and the motion between neighbours.

    backward: (K-1, 2, H, W), flow from each frame but the first to the one before; forward: from each but the last to the one after.
    backward_traced, forward_traced: (K-1, 1, H, W), 1 where those flows can be trusted.
    """

    frames: Tensor
    backward: Tensor
    backward_traced: Tensor
    forward: Tensor
    forward_traced: Tensor

    def to(self, device: torch.device) -> "Clip":
        """The same on a device."""
        return Clip(*(part.to(device) for part in (self.frames, self.backward, self.backward_traced, self.forward, self.forward_traced)))

    def from_frame(self, start: int) -> tuple[Tensor, Tensor]:
        """Flows from one frame to every frame, (K, 2, H, W), and where all steps on the way can be traced, (K, 1, H, W).

        Flows of more than one step are composed, F_ac(p) = F_ab(p) + F_bc(p + F_ab(p)), and the masks are multiplied.
        """
        flows = [torch.zeros_like(self.frames[:1, :2])] * len(self.frames)
        masks = [torch.ones_like(self.frames[:1, :1])] * len(self.frames)
        for end in range(start + 1, len(self.frames)):
            flows[end], masks[end] = one_step_further(flows[end - 1], masks[end - 1], self.forward[end - 1], self.forward_traced[end - 1])
        for end in range(start - 1, -1, -1):
            flows[end], masks[end] = one_step_further(flows[end + 1], masks[end + 1], self.backward[end], self.backward_traced[end])
        return torch.cat(flows), torch.cat(masks)


class Clips(Protocol):
    """An endless source of clips."""

    @property
    def digest(self) -> str:
        """What tells this source from others: a checksum."""

    def draw(self, length: int, size: int, generator: torch.Generator) -> Clip:
        """A clip of `length` square frames of `size` pixels; all randomness comes from the generator, and from `state`."""
        ...

    def state(self) -> Any:
        """What a checkpoint has to hold for the next draw to be the same, beside the generator."""

    def load(self, state: Any) -> None:
        """Continue from `state`."""


class MovingPictures:
    """Scenes made of stills, with exact motion: a ground and up to `pieces` pieces before it. course: how much moves per frame."""

    def __init__(self, pictures: Pictures, *, course: Course | None = None, pieces: int = 2):
        self.pictures, self.course, self.pieces = pictures, course or Course(), pieces

    @property
    def digest(self) -> str:
        """What tells this source from others."""
        return f"{self.pictures.digest} {self.pieces} {self.course}"

    def state(self) -> Any:
        """That of the pictures."""
        return self.pictures.state()

    def load(self, state: Any) -> None:
        """Continue from `state`."""
        self.pictures.load(state)

    def draw(self, length: int, size: int, generator: torch.Generator) -> Clip:
        """A scene of pictures drawn at random."""
        count = int(torch.randint(self.pieces + 1, (), generator=generator))
        chosen = self.pictures.draw(1 + count, size, generator, zoom=(0.8, 1.6))
        scene = moving_scene(list(chosen), (size, size), length, generator, course=self.course)
        pairs = range(length - 1)
        return Clip(
            scene.frames,
            torch.stack([scene.flow(t + 1, t) for t in pairs]) if length > 1 else torch.zeros(0, 2, size, size),
            torch.stack([scene.traced(t + 1, t) for t in pairs]) if length > 1 else torch.zeros(0, 1, size, size),
            torch.stack([scene.flow(t, t + 1) for t in pairs]) if length > 1 else torch.zeros(0, 2, size, size),
            torch.stack([scene.traced(t, t + 1) for t in pairs]) if length > 1 else torch.zeros(0, 1, size, size),
        )


MEMORY = 4_000_000_000
"""Bytes of frames that are kept of all films together."""


class Films:
    """Clips out of films and folders of frames, with estimated flow; kept in memory as bytes.

    keep: longer side of the frames. most: frames that are read of one film, fewer where all together would need more than `memory` bytes.
    flow: any callable from two frames to their flow. A film that cannot be read is left out, and counted in `broken`. Runs are ranked by
    how much they move; the upper 5 % are left out, as there are cuts among them, and so is the lower half, as little happens.
    """

    def __init__(
        self,
        sources: Sequence[str | os.PathLike[str]],
        *,
        keep: int = 448,
        most: int = 600,
        memory: int = MEMORY,
        moving: float = 0.5,
        flow: Flow | None = None,
    ):
        self.flow = flow or DenseInverseSearch()
        self.moving, self.broken = moving, 0
        found = [film for source in sources for film in _films_at(Path(source))]
        each = memory // max(1, len(found))
        self._films: list[Tensor] = []
        for film in found:
            try:
                frames = _frames_of(film, keep, most, each)
            except InputError:
                if film in map(Path, sources):
                    raise
                self.broken += 1
                continue
            if frames is not None:
                self._films.append(frames)
        if not self._films:
            raise InputError(f"no films and no folders of frames in {', '.join(str(source) for source in sources)}")
        named = [names_and_sizes(list_pictures(film) if film.is_dir() else [film]) for film in found]
        self.digest = hashlib.sha256(repr([named, keep, most, each]).encode()).hexdigest()
        self._runs: dict[int, list[tuple[int, int]]] = {}

    def state(self) -> None:
        """The generator says it all."""

    def load(self, state: Any) -> None:
        """There is nothing to continue from."""

    def __len__(self) -> int:
        return len(self._films)

    def draw(self, length: int, size: int, generator: torch.Generator) -> Clip:
        """A square of consecutive frames of a film, as large as fits between `size` and 1.6 times that, resized, half of them mirrored."""
        runs = self._ranked(length)
        film, begin = runs[int(torch.randint(len(runs), (), generator=generator))]
        u, v, w, mirror = torch.rand(4, generator=generator).tolist()
        frames = self._films[film][begin : begin + length]
        height, width = frames.shape[-2:]
        side = min(height, width, round(size * 1.6**u))
        top, left = int(v * (height - side + 1)), int(w * (width - side + 1))
        cut = frames[..., top : top + side, left : left + side].float().div(255)
        if side != size:
            cut = F.interpolate(cut, size=(size, size), mode="bilinear", antialias=True, align_corners=False).clamp(0, 1)
        return clip_of(cut.flip(-1) if mirror < 0.5 else cut, self.flow)

    def _ranked(self, length: int) -> list[tuple[int, int]]:
        """Film and first frame of the runs of this length that are used."""
        if length not in self._runs:
            found = []
            for number, film in enumerate(self._films):
                small = F.adaptive_avg_pool2d(film.float(), 48)
                steps = (small[1:] - small[:-1]).abs().mean((1, 2, 3)).tolist()
                for begin in range(len(film) - length + 1):
                    found.append((max(steps[begin : begin + length - 1], default=0.0), number, begin))
            if not found:
                raise InputError(f"no film has {length} frames in a row")
            found.sort()
            kept = found[int(len(found) * self.moving) : max(1, int(len(found) * 0.95))] or found
            self._runs[length] = [(number, begin) for _, number, begin in kept]
        return self._runs[length]


def clip_of(frames: Tensor, flow: Flow) -> Clip:
    """Frames (K, 3, H, W) with estimated motion; motion edges count as not traced."""
    pairs = list(pairwise(frames))
    if not pairs:
        nothing = frames.new_zeros(0, 2, *frames.shape[-2:])
        return Clip(frames, nothing, nothing[:, :1], nothing, nothing[:, :1])
    forward = torch.stack([flow(before, after) for before, after in pairs])
    backward = torch.stack([flow(after, before) for before, after in pairs])
    return Clip(frames, backward, reliability(backward, forward), forward, reliability(forward, backward))


def _films_at(source: Path) -> list[Path]:
    """The film files and folders of frames at a place, in order: itself, or what is in it. Raises InputError if it can be neither."""
    if is_film(source):
        return [source]
    if not source.is_dir():
        raise InputError(f"{source} is no film and no folder of frames")
    inner = sorted((entry for entry in source.iterdir() if entry.is_dir() or is_film(entry)), key=in_order)
    return [film for entry in inner for film in _films_at(entry)] if inner else [source]


def _frames_of(source: Path, keep: int, most: int, memory: int) -> Tensor | None:
    """The first frames of a film or a folder of frames, (T, 3, H, W) of bytes, as many as go into the memory; None for fewer than two."""
    if source.is_dir():
        pictures: Iterable[Tensor] = (filled_pixels(read_picture(picture)) for picture in list_pictures(source)[:most])
    else:
        pictures = (frame.pixels for frame in FilmReader(source))
    frames: list[Tensor] = []
    for pixels in pictures:
        frame = _as_bytes(pixels, keep)
        if frames and frame.shape != frames[0].shape:
            if source.is_dir():
                raise InputError(f"the frames in {source} are not of one size")
            continue
        frames.append(frame)
        if len(frames) >= min(most, max(2, memory // frame.numel())):
            break
    return torch.stack(frames) if len(frames) > 1 else None


def _as_bytes(pixels: Tensor, keep: int) -> Tensor:
    if max(pixels.shape[-2:]) > keep:
        pixels = resize(pixels, fit_within((pixels.shape[-2], pixels.shape[-1]), keep))
    return pixels.mul(255).round().byte()


class Mixed:
    """Clips of several sources, drawn with weights."""

    def __init__(self, sources: Sequence[Clips], weights: Sequence[float]):
        self.sources, self.weights = list(sources), torch.tensor(weights, dtype=torch.float64)
        self.digest = " ".join(source.digest for source in self.sources)

    def state(self) -> Any:
        """Those of all sources."""
        return [source.state() for source in self.sources]

    def load(self, state: Any) -> None:
        """Continue from `state`."""
        for source, own in zip(self.sources, state, strict=True):
            source.load(own)

    def draw(self, length: int, size: int, generator: torch.Generator) -> Clip:
        """A clip of one of them."""
        return self.sources[int(torch.multinomial(self.weights, 1, generator=generator))].draw(length, size, generator)
