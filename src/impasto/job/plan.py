"""Which file becomes which, planned before the first is painted; free of heavy imports where there is neither a folder nor a film."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from impasto.errors import InputError
from impasto.job.request import Part
from impasto.media.opening import is_animation, is_film
from impasto.runtime.outputs import Outputs, PathLike, is_folder, names_of


@dataclass(frozen=True)
class Job:
    """One picture or film to paint and where it goes. moving: whether it is a film: a file of one, an animation, or a folder of frames.

    shown: where its regions are shown, if they are. part: which part of a film is painted, into a file of its own; all of it if None.
    """

    source: Path
    output: Path
    moving: bool = False
    shown: Path | None = None
    part: Part | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be painted, and messages on what folders hold beside, and on names that were shortened."""

    jobs: list[Job]
    left_out: tuple[str, ...] = field(default=())


def plan(
    inputs: Sequence[PathLike],
    output: PathLike | None,
    style_name: str,
    *,
    frames: bool = False,
    regions: bool = False,
    beside: Sequence[PathLike] = (),
    part: Part | None = None,
) -> Plan:
    """Which file becomes which: folders are searched for photos and films; results are named PHOTO-STYLE.png, or FILM-STYLE.mp4 for films.

    output: a file (one photo only), a folder, or None for the current folder. frames: folders hold the frames of a film each, and become
    folders FOLDER-STYLE, or the output itself if there is one of them. regions: are shown beside each result. beside: other files that the
    job reads. part: what one machine of several paints. No two outputs are the same, and none is an input. Raises InputError.
    """
    if frames:
        sources, left_out = [Path(entry) for entry in inputs], list[str]()
        wrong = [folder for folder in sources if not folder.is_dir()]
        if wrong:
            raise InputError(f"{wrong[0]} is no folder of frames")
    else:
        sources, left_out = _searched(inputs, [Path(path) for path in beside])
    if not sources:
        raise InputError("no photo was given")
    outputs = Outputs([*inputs, *sources, *beside])
    moving = [frames or is_film(source) or is_animation(source) for source in sources]
    searched = not frames and Path(inputs[0]).is_dir()
    single = output is not None and (frames or not is_folder(output)) and len(sources) == 1 and not searched
    if output is not None and not single and not is_folder(output):
        what = "folders of frames" if frames else "photos"
        raise InputError(f"{output} is one file and there are {len(sources)} {what}; give a folder as output")
    if single and output is not None:
        targets = [outputs.asked(output)]
    else:
        folder = Path() if output is None else Path(output)
        names = [source.resolve().name for source in sources] if frames else names_of(sources)
        endings = ["" if frames else _ending(source, moves) for source, moves in zip(sources, moving, strict=True)]
        targets = [outputs.chosen(folder / f"{name}-{style_name}{end}") for name, end in zip(names, endings, strict=True)]
    shown = [outputs.chosen(target.with_name(f"{target.stem}-regions.png")) if regions else None for target in targets]
    jobs = [Job(*parts) for parts in zip(sources, targets, moving, shown, strict=True)]
    said = (*left_out, *outputs.messages)
    return Plan(jobs if part is None else _of_part(jobs, part, frames), said)


def _of_part(jobs: Sequence[Job], part: Part, frames: bool) -> list[Job]:
    """What of the jobs belongs to a part: every n-th of the photos and animations, and something of each film."""
    whole = [job for job in jobs if not (job.moving and (frames or is_film(job.source)))]
    own = [*whole[part.number - 1 :: part.count], *(replace(job, part=part) for job in jobs if job not in whole)]
    return [job for source in jobs for job in own if job.source == source.source and job.output == source.output]


def _searched(inputs: Sequence[PathLike], beside: Sequence[Path]) -> tuple[list[Path], list[str]]:
    sources: list[Path] = []
    left_out: list[str] = []
    empty: list[str] = []
    for entry in map(Path, inputs):
        if not entry.is_dir():
            sources.append(entry)
            continue
        from impasto.media.folders import contents

        found = contents(entry, beside=beside)
        sources += found.files
        if not found.files:
            empty.append(f"there is nothing to paint in {entry}" + (f" ({found.left_out})" if found.left_out else ""))
        elif found.left_out:
            left_out.append(found.left_out)
    if empty and not sources:
        raise InputError("; ".join(empty))
    return sources, left_out + empty


_ANIMATED = {".avif": ".webp", ".avifs": ".webp"}
"""What animations become that are read and not written."""


def _ending(source: Path, moving: bool) -> str:
    if not moving:
        return ".png"
    from impasto.media.film_writer import film_suffix

    return film_suffix(source) if is_film(source) else _ANIMATED.get(source.suffix.lower(), source.suffix.lower())
