"""What was asked for: nothing is decided here, and nothing is opened."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from impasto.errors import InputError
from impasto.files import check_name, fitting
from impasto.settings import AUTO, Controls

PathLike = str | os.PathLike[str]


@dataclass(frozen=True)
class RegionRequest:
    """Which regions: masks of the photo and of the styles, a number of regions to find, or nothing of it.

    masks: of the photo: one label map, or a grey picture for each style.
    style_masks: label maps, one for each style.
    count: how many regions are found by themselves.
    show: whether the regions are written too.
    """

    masks: Sequence[PathLike] = ()
    style_masks: Sequence[PathLike] = ()
    count: int | None = None
    show: bool = False

    def __post_init__(self) -> None:
        if self.count is not None and (self.masks or self.style_masks):
            raise InputError("regions are found by themselves or given as masks, not both")
        if self.style_masks and not self.masks:
            raise InputError("masks of style pictures need a mask of the photo too")
        if self.style_masks and len(self.masks) != 1:
            raise InputError("with masks of the style pictures there is one mask of the photo, a label map")
        if self.show and self.kind != "regions":
            raise InputError("there are no regions to show: give masks of photo and style, or regions auto:4")

    @property
    def kind(self) -> Literal["pictures", "regions", "shares"]:
        """Whether whole pictures are painted, regions of the photo meet regions of the styles, or each style has its share of the photo."""
        if self.style_masks or self.count is not None:
            return "regions"
        return "shares" if self.masks else "pictures"


@dataclass(frozen=True)
class Part:
    """One share of a job that several machines do: every `count`-th photo from `number` on, and of each film a stretch."""

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise InputError(f"a part is one of all, as 3/8, the third of eight, not {self}")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def named(self, output: Path) -> Path:
        """Where this part of a film lies until it is joined."""
        return fitting(output.with_name(f"{output.stem}.part-{self.number}-of-{self.count}{output.suffix}"))


def part_of(text: str) -> Part:
    """The third part of eight of "3/8". Raises InputError."""
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal()):
        raise InputError(f"a part is one of all, as 3/8, the third of eight, not {text!r}")
    return Part(int(number), int(count))


def count_of(regions: str) -> int:
    """4 of "auto:4", or of "auto". Raises InputError."""
    kind, _, count = regions.partition(":")
    if kind != AUTO or not (count or "4").isdigit():
        raise InputError(f"regions are auto:4, for four of them, not {regions!r}")
    return int(count or 4)


@dataclass(frozen=True)
class Request:
    """A job as it was asked for.

    inputs: photos, films, or folders of them.
    styles: pictures, style files, or bundled names, with `weights`, equal by default.
    output: a file, a folder, or None for names of ours in the current folder.
    frames: whether folders hold the frames of a film each.
    part: which part of it, for one machine of several; everything if None.
    selection: a grey image of the photo's shape: white is painted, black stays the photo, grey is between; all of it if None.
    cluster: "auto", or the address of a Ray cluster that paints; this process does if None.
    again: whether results are painted that are there already, made from the same with the same settings.

    Raises InputError for names that no file can have, and for what excludes each other.
    """

    inputs: Sequence[PathLike]
    styles: Sequence[PathLike]
    output: PathLike | None = None
    weights: Sequence[float] | None = None
    regions: RegionRequest = field(default_factory=RegionRequest)
    frames: bool = False
    part: Part | None = None
    cluster: str | None = None
    controls: Controls = field(default_factory=Controls)
    again: bool = False
    selection: PathLike | None = None

    def __post_init__(self) -> None:
        output = [] if self.output is None else [self.output]
        for path in (*self.inputs, *self.styles, *output, *self.regions.masks, *self.regions.style_masks):
            check_name(Path(path))
        if self.part is not None and self.cluster is not None:
            raise InputError("a cluster cuts a job into parts by itself: give --part or --cluster")
        if self.selection is not None and self.cluster is not None:
            raise InputError("a cluster does not paint selections")
