"""Pictures of any size in bounded memory: painted in one piece as large as memory allows, then coarse to fine by tiles.

What is painted in one piece says what the picture looks like. A stylizer that paints by tiles (`Tiling`) repaints each finer size; of any
other the change that it made to the smaller photo is brought up and added to the photo, which has the detail.

Everything is kept in files of a folder, and what is finished is noted after every tile, so that a picture that was interrupted is resumed.
"""

import ctypes
import json
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from impasto.events import Event, Listener, silence
from impasto.files import atomic_file
from impasto.media.canvas import Box, Canvas, Size, brought_up, tiles
from impasto.media.images import rescale
from impasto.runtime.size import pyramid
from impasto.runtime.stylizer import Stylizer

Moments = tuple[Tensor, Tensor]
"""Mean and variance of the channels of a layer, (C) each."""
Keep = Callable[[Tensor, Tensor], Tensor]
"""What gives a painted tile the colours of the photo's."""
KeepFor = Callable[[Tensor, Tensor], Keep]
"""Makes that of a small copy of the painted picture and of the photo."""
SMALL = 512
"""Longer side, in pixels, of copies that colours are measured on."""


class Level(Protocol):
    """One size of a picture that is painted by tiles."""

    def measured(self, plan: "Plan", known: Sequence[Moments], done: Callable[[], None]) -> Iterator[Moments]:
        """The statistics that all tiles share, after those that are known.

        Exact ones are of all of the picture, in a pass for each; `done` is told of each tile.
        """
        ...

    def paint(self, tile: Box, statistics: Sequence[Moments]) -> Tensor:
        """One tile, (1, 3, h, w)."""
        ...


@runtime_checkable
class Tiling(Protocol):
    """A stylizer that repaints finer sizes by tiles."""

    strength: float
    passes: int
    """Passes over all tiles that exact statistics take, the last one, which paints, left out."""

    def coarse_to_fine(self, photo_at: Callable[[Size], Tensor], sizes: Sequence[Size]) -> Tensor:
        """Paint in one piece at full strength. photo_at: the photo at a size. sizes: from the coarsest to that of the picture."""
        ...

    def sizes(self, size: Size) -> list[Size]:
        """What a picture of a size is painted at, from coarse to fine."""
        ...

    def level(self, photo: Canvas, before: Canvas | None, size: Size, folder: Path) -> Level:
        """What paints a size, the next one after `before` if there is one. folder: for files that it needs."""
        ...


@runtime_checkable
class Local(Protocol):
    """A stylizer that paints every rectangle of a photo by itself, once it knows the photo."""

    def local(self, photo: Canvas, masks: Tensor | None) -> Callable[[Tensor, Box], Tensor]:
        """What paints a rectangle, (1, 3, h, w), of a photo."""
        ...


@dataclass
class Work:
    """The folder of a picture that is painted by tiles, and what is finished there.

    key: what has to be the same for it to be resumed; what belongs to another is started anew.
    """

    folder: Path
    key: str
    state: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            found = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
            if found["key"] == self.key:
                self.state = {str(name): int(done) for name, done in found["done"].items()}
                return
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            pass
        self.begin_anew()

    def begin_anew(self) -> None:
        """Nothing is finished, and nothing is kept."""
        self.state = {}
        for path in self.folder.glob("*") if self.folder.is_dir() else ():
            path.unlink()

    def done(self, name: str) -> int:
        """How much of a step is finished."""
        return self.state.get(name, 0)

    def note(self, name: str, done: int) -> None:
        """Write down how much of a step is finished."""
        self.state[name] = done
        with atomic_file(self.folder / "state.json") as part:
            part.write_text(json.dumps({"key": self.key, "done": self.state}), encoding="utf-8")


def give_back() -> None:
    """Hand memory that is free back to the system, where the C library keeps it: between tiles that is half of what they take."""
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)


@dataclass
class Progress:
    """Tells a listener of tiles."""

    total: int
    listener: Listener
    done: int = 0
    started: float = field(default_factory=time.monotonic)

    def step(self, count: int = 1) -> None:
        """So many more are finished."""
        give_back()
        self.done += count
        self.listener(Event(self.done, max(self.done, self.total), time.monotonic() - self.started))


@dataclass(frozen=True)
class Plan:
    """How a picture is cut. whole: pixels that are painted in one piece at most. side: of tiles, in pixels. exact: see `Level.measured`."""

    whole: float
    side: int
    exact: bool = False

    def kept(self, work: Work) -> "Plan":
        """This plan, or the one that a picture was begun with, if its tiles are not larger; otherwise the picture is begun anew."""
        if work.done("side") > self.side:
            work.begin_anew()
        if not work.done("side"):
            work.note("whole", int(self.whole))
            work.note("side", self.side)
        return Plan(work.done("whole"), work.done("side"), self.exact)

    def parted(self, sizes: Sequence[Size]) -> tuple[list[Size], list[Size]]:
        """Sizes from coarse to fine as those that are painted in one piece, and those that are painted by tiles."""
        count = sum(math.prod(one) <= self.whole for one in sizes)
        return list(sizes[:count]), list(sizes[count:])


def paint_by_tiles(
    stylizer: Stylizer,
    photo: Canvas,
    work: Work,
    plan: Plan,
    *,
    device: torch.device,
    masks: Tensor | None = None,
    keep: KeepFor | None = None,
    listener: Listener = silence,
) -> Canvas:
    """Paint a picture; returns the painted one, in a file of the folder.

    masks: as the stylizer takes them, (1, K, h, w) at any size. keep: what keeps the photo's colours. Events count tiles.
    """
    tiling = stylizer if isinstance(stylizer, Tiling) and masks is None and stylizer.strength > 0 else None
    whole, levels = plan.parted(pyramid(photo.size, 16, least=1) if tiling is None else tiling.sizes(photo.size))
    levels = levels if tiling is not None else levels[-1:]
    passes = tiling.passes if tiling is not None and plan.exact else 0
    cuts = [len(tiles(size, plan.side)) for size in levels]
    progress = Progress(1 + (1 + passes) * sum(cuts) + len(tiles(photo.size, plan.side)), listener)

    canvas = None
    if isinstance(stylizer, Local):
        canvas = _each(stylizer.local(photo, masks), photo, work, plan, progress)
        levels = []
    elif whole:
        canvas = Canvas(work.folder / "0.raw", whole[-1], deep=True)
        if not work.done("0"):
            if tiling is not None:
                painted = tiling.coarse_to_fine(photo.whole, whole)
            else:
                there = masks if masks is None else rescale(masks, canvas.size)
                painted = stylizer(photo.whole(canvas.size).to(device), masks=there)
            canvas.write(Box(0, 0, *canvas.size), painted)
            work.note("0", 1)
    progress.step()
    if tiling is not None:
        canvas = _repainted(tiling, photo, canvas, levels, work, plan, progress)
    assert canvas is not None, "something fits"
    if tiling is None and levels:
        canvas = _with_detail(photo, canvas, work, plan, progress)
    strength = 1.0 if tiling is None else tiling.strength
    return _finished(photo, canvas, work, plan, strength, keep, progress)


def _repainted(
    tiling: Tiling, photo: Canvas, canvas: Canvas | None, sizes: Sequence[Size], work: Work, plan: Plan, progress: Progress
) -> Canvas | None:
    """Each finer size, painted by tiles that share their statistics."""
    for number, size in enumerate(sizes, 1):
        there = Canvas(work.folder / f"{number}.raw", size, deep=True)
        cut = tiles(size, plan.side)
        begun = work.done(str(number))
        if begun < len(cut):
            level = tiling.level(photo, canvas, size, work.folder)
            statistics = _measured(level, work, str(number), plan, progress)
            for place, tile in enumerate(cut[begun:], begun + 1):
                there.write(tile, level.paint(tile, statistics))
                work.note(str(number), place)
                progress.step()
        if canvas is not None:
            canvas.path.unlink(missing_ok=True)
        canvas = there
    return canvas


def _measured(level: Level, work: Work, name: str, plan: Plan, progress: Progress) -> list[Moments]:
    """The statistics of a level; those that were measured before are taken from the folder."""
    path, known = work.folder / f"{name}.npz", list[Moments]()
    whole = f"{name} measured"
    if path.is_file():
        with np.load(path) as found:
            known = [(torch.from_numpy(found[f"mean {n}"]), torch.from_numpy(found[f"variance {n}"])) for n in range(len(found) // 2)]
    if not work.done(whole):
        for moments in level.measured(plan, tuple(known), progress.step):
            known.append(moments)
            arrays: dict[str, Any] = {f"mean {n}": mean.cpu().numpy() for n, (mean, _) in enumerate(known)}
            arrays |= {f"variance {n}": variance.cpu().numpy() for n, (_, variance) in enumerate(known)}
            with atomic_file(path) as part, part.open("wb") as stream:
                np.savez(stream, **arrays)
        work.note(whole, 1)
    return known


def _each(paint: Callable[[Tensor, Box], Tensor], photo: Canvas, work: Work, plan: Plan, progress: Progress) -> Canvas:
    """Every rectangle by itself."""
    there = Canvas(work.folder / "each.raw", photo.size, deep=True)
    for place, tile in enumerate(tiles(photo.size, plan.side), 1):
        if place > work.done("each"):
            there.write(tile, paint(photo.read(tile), tile))
            work.note("each", place)
            progress.step()
    return there


def _with_detail(photo: Canvas, small: Canvas, work: Work, plan: Plan, progress: Progress) -> Canvas:
    """The photo, and what was changed in its small copy."""
    there = Canvas(work.folder / "detailed.raw", photo.size, deep=True)
    changed = small.read(Box(0, 0, *small.size)) - photo.whole(small.size)
    for place, tile in enumerate(tiles(photo.size, plan.side), 1):
        if place > work.done("detailed"):
            there.write(tile, photo.read(tile) + brought_up(changed, photo.size, tile))
            work.note("detailed", place)
            progress.step()
    return there


def _finished(photo: Canvas, canvas: Canvas, work: Work, plan: Plan, strength: float, keep: KeepFor | None, progress: Progress) -> Canvas:
    """Mixed with the photo, in its colours if they are kept: as bytes, or as floats where the photo is."""
    there, keeps = Canvas(work.folder / "painted.raw", photo.size, deep=photo.deep), None
    if keep is not None:
        size = next(size for size in reversed(pyramid(photo.size, 16, least=1)) if max(size) <= SMALL or min(size) <= 64)
        small = photo.whole(size)
        keeps = keep(torch.lerp(small, canvas.whole(size), strength), small)
    for place, tile in enumerate(tiles(photo.size, plan.side), 1):
        if place > work.done("painted"):
            seen = photo.read(tile)
            pixels = torch.lerp(seen, canvas.read(tile), strength)
            there.write(tile, pixels if keeps is None else keeps(pixels, seen))
            work.note("painted", place)
            progress.step()
    return there
