"""Parts of a film: painted each by itself, on several machines or one after the other, and joined."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from impasto.errors import InputError
from impasto.files import fitting
from impasto.job.moving import Film, MovingPicture, Target, check_moving_output, content_of, holds_parts, open_film, seekable
from impasto.job.request import Part
from impasto.job.spans import Span, stretch_of
from impasto.media.film_joining import join
from impasto.media.film_writer import FilmWriter, holds_film_alpha
from impasto.media.frames import JOURNAL, FrameFolder, FrameWriter
from impasto.media.opening import MADE_BY
from impasto.media.tracks import plan_tracks
from impasto.media.videos import FilmReader, Frame, comment_of
from impasto.runtime.outputs import names_of
from impasto.settings import Controls

_KEEPING = " keeping metadata"
_SAID = re.compile(re.escape(MADE_BY) + r" part (\d+)/(\d+) of ([0-9a-f]+) made with ([0-9a-f]+)(" + _KEEPING + ")?")
"""What a part says of itself: its number, how many there are, of what, made with what, and whether metadata are kept."""


@dataclass(frozen=True)
class Share:
    """A part of a film, the stretch that it is, and how many frames before it a stylizer paints for nothing but its memory."""

    part: Part
    span: Span
    memory: int = 0

    def holds(self, frame: Frame) -> bool:
        """Whether a frame belongs to it; those before are for the memory of stylizers."""
        return self.span.begin is None or frame.time >= self.span.begin

    def read(self, film: MovingPicture, *, resumed: bool = False) -> Iterator[Frame]:
        """Its frames, and if it is not resumed those before them that are for the memory alone."""
        before = 0 if resumed else round(self.memory / (film.info.rate * film.info.time_base))
        return film.span(None if self.span.begin is None else self.span.begin - before, self.span.end)

    def target(self, film: Film, output: Path, size: tuple[int, int], key: str, controls: Controls) -> Target:
        """Where its frames go. Raises InputError."""
        if isinstance(film, FrameFolder) and not output.suffix:
            names = names_of(film.files)[slice(self.span.begin, self.span.end)]
            journal = f"{JOURNAL}-{self.part.number}-of-{self.part.count}"
            return FrameWriter(output, names, size, key, alpha=film.info.alpha, journal=journal)
        said = f"{MADE_BY} part {self.part} of {content_of(film)} made with {key}{_KEEPING if controls.keep_metadata else ''}"
        info = replace(film.info, origin=Fraction(0))  # the whole of it begins at 0 when it is joined
        return FilmWriter(output, None, info, size, key, background=controls.background, comment=said)

    def is_painted(self, target: Target) -> bool:
        """Whether it lies in its place already, made with the same."""
        if isinstance(target, FrameWriter):
            return target.done == len(target.names)
        return isinstance(target, FilmWriter) and target.output.is_file() and comment_of(target.output) == target.comment


def share_of(source: Path, output: Path, part: Part, memory: int | None) -> tuple[Path, Share] | None:
    """What a part of a job paints of a film, and where it goes; None where there is nothing left for it, because the film is short.

    memory: of the stylizer, in frames. Where it has no end, parts begin with shots alone, and there may be fewer of them. Raises FilmError.
    """
    film = seekable(open_film(source, Controls()))
    found = stretch_of(film, part.number, part.count, shots=memory is None)
    if found is None:
        return None
    part = Part(part.number, found[1])
    return output if holds_parts(source, output) else part.named(output), Share(part, found[0], memory or 0)


def join_parts(source: Path, output: Path, *, beside: Path | None = None) -> str:
    """Put the parts that lie beside a film, or in a folder of frames, together; returns what there is to say of it ("" if nothing).

    source: the film, or folder of frames, that they were painted from; of a film the sound and the subtitles are carried over. output: as
    it was given when the parts were painted. beside: the folder of the parts, if it is not that of the output. The parts stay. Raises
    InputError if one is missing, or was painted otherwise than the others.
    """
    check_moving_output(output, source)
    film = open_film(source, Controls())
    if isinstance(film, FrameFolder) and not output.suffix:
        return _joined_frames(film, output)
    folder = beside or output.parent
    parts = _complete(output, {part: path for path in sorted(folder.iterdir()) if (part := _part_of(path, output))}, folder)
    said = {part: _SAID.fullmatch(comment_of(path)) for part, path in parts.items()}
    for part, path in parts.items():
        if said[part] is None:
            raise InputError(f"{path} is not a part that Impasto painted, or it is damaged: paint it again with --part {part}")
    _check_same({part: found[4] for part, found in said.items() if found})
    first = next(iter(said.values()))
    if first is not None and first[3] != content_of(film):
        raise InputError(f"the parts of {output} were painted from another film than {source}")
    keeping = first is not None and first[5] is not None
    tracks = plan_tracks(source, output.suffix, metadata=keeping) if isinstance(film, FilmReader) else None
    alpha = film.info.alpha and holds_film_alpha(output)
    remarks = join(list(parts.values()), output, film.info, None if tracks is None else source, tracks, alpha=alpha)
    return "; ".join((*(tracks.remarks if tracks else ()), *remarks))


def _part_of(path: Path, output: Path) -> Part | None:
    """Which part of a film a file is, by its name."""
    found = re.search(r"\.part-(\d+)-of-(\d+)" + re.escape(output.suffix) + "$", path.name)
    part = Part(int(found[1]), int(found[2])) if found and 1 <= int(found[1]) <= int(found[2]) else None
    return part if part is not None and part.named(output).name == path.name else None


def _complete(output: Path, found: dict[Part, Path], folder: Path) -> dict[Part, Path]:
    """The parts in order, all of them. Raises InputError."""
    counts = sorted({part.count for part in found})
    if not counts:
        raise InputError(f"there is no part of {output} in {folder}: impasto stylize paints them with --part 1/8 to --part 8/8")
    whole = [count for count in counts if all(Part(number, count) in found for number in range(1, count + 1))]
    if len(whole) > 1 or (not whole and len(counts) > 1):
        raise InputError(f"{output} has parts of {' and of '.join(map(str, counts))}: leave those of one number in {folder}")
    count = (whole or counts)[0]
    missing = [str(number) for number in range(1, count + 1) if Part(number, count) not in found]
    if missing:
        raise InputError(f"of the {count} parts of {output} these are missing in {folder}: {', '.join(missing)}")
    return {Part(number, count): found[Part(number, count)] for number in range(1, count + 1)}


def _check_same(keys: dict[Part, str]) -> None:
    """All were painted in one way. Raises InputError."""
    (first, key), *rest = keys.items()
    for part, other in rest:
        if other != key:
            why = "with another style, other options, another version, or from another film"
            raise InputError(f"part {part} was painted otherwise than part {first}: {why}")


def _joined_frames(film: FrameFolder, output: Path) -> str:
    """All frames lie there already: whether they are all there, and of one kind."""
    found = {}
    for path in sorted(output.iterdir()) if output.is_dir() else []:
        if named := re.fullmatch(re.escape(JOURNAL) + r"-(\d+)-of-(\d+)", path.name):
            found[Part(int(named[1]), int(named[2]))] = path
    journals = _complete(output, found, output)
    lines = {part: path.read_text(encoding="utf-8").split("\n")[:-1] for part, path in journals.items()}
    _check_same({part: said[0] for part, said in lines.items()})
    done = {name for said in lines.values() for name in said[1:]}
    lacking = [name for name in names_of(film.files) if name not in done or not fitting(output / f"{name}.png").is_file()]
    if lacking:
        raise InputError(f"{len(lacking)} frames are not painted yet, {lacking[0]} is the first: paint their parts to their ends")
    for path in journals.values():
        path.unlink()
    return ""
