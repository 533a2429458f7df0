"""The engine: a stylizer over picture files. It reads, fits, paints, keeps colour and alpha, writes, and sums up."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from impasto.errors import ImpastoError, InputError
from impasto.events import Interrupted, Listener, silence
from impasto.media.color import KEEP_COLOR
from impasto.media.images import Picture, check_writable, list_pictures, read_picture, resize, write_picture
from impasto.media.videos import check_film_output, is_film
from impasto.runtime.device import Place
from impasto.runtime.film import paint_film
from impasto.runtime.size import working_size
from impasto.runtime.stylizer import Stylizer
from impasto.settings import Controls


@dataclass(frozen=True)
class Outcome:
    """What became of one file: where the result lies, its size (height, width) and seconds; or the error.

    remark: what was wrong with a source that was painted all the same, such as a film that is cut off.
    """

    source: Path
    output: Path | None = None
    size: tuple[int, int] | None = None
    seconds: float = 0.0
    error: ImpastoError | None = None
    remark: str = ""


@dataclass(frozen=True)
class Summary:
    """All outcomes of one run, in order; interrupted if the user stopped it."""

    outcomes: list[Outcome]
    interrupted: bool = False

    @property
    def painted(self) -> list[Outcome]:
        """Those that were written."""
        return [outcome for outcome in self.outcomes if outcome.error is None]

    @property
    def failed(self) -> list[Outcome]:
        """Those that were not."""
        return [outcome for outcome in self.outcomes if outcome.error is not None]


@dataclass(frozen=True)
class Job:
    """One picture to paint and where it goes."""

    source: Path
    output: Path


def plan(
    inputs: Sequence[str | os.PathLike[str]], output: str | os.PathLike[str] | None, style_name: str, *, frames: bool = False
) -> list[Job]:
    """Which file becomes which: folders are searched for pictures, results are named PHOTO-STYLE.png, or FILM-STYLE.mp4 for films.

    output: a file (one photo only), a folder, or None for the current folder. frames: folders hold the frames of a film each, and become
    folders FOLDER-STYLE, or the output itself if there is one of them. Raises InputError.
    """
    if frames:
        return _plan_frames([Path(entry) for entry in inputs], None if output is None else Path(output), style_name)
    sources: list[Path] = []
    for entry in map(Path, inputs):
        found = list_pictures(entry) if entry.is_dir() else [entry]
        if not found:
            raise InputError(f"there are no pictures in {entry}")
        sources += found
    if not sources:
        raise InputError("no photo was given")
    single = len(sources) == 1 and not Path(inputs[0]).is_dir()
    target = None if output is None else Path(output)
    if target is not None and target.suffix and not target.is_dir():
        if not single:
            raise InputError(f"{target} is one file and there are {len(sources)} photos; give a folder as output")
        return [Job(sources[0], target)]
    folder = target or Path()
    stems = [source.stem for source in sources]
    names = [stem if stems.count(stem) == 1 else source.name.replace(".", "-") for stem, source in zip(stems, sources, strict=True)]
    return [
        Job(source, folder / f"{name}-{style_name}{'.mp4' if is_film(source) else '.png'}")
        for source, name in zip(sources, names, strict=True)
    ]


def _plan_frames(folders: list[Path], output: Path | None, style_name: str) -> list[Job]:
    wrong = [folder for folder in folders if not folder.is_dir()]
    if wrong:
        raise InputError(f"{wrong[0]} is no folder of frames")
    if len(folders) == 1 and output is not None:
        return [Job(folders[0], output)]
    if output is not None and output.suffix:
        raise InputError(f"{output} is one film and there are {len(folders)} folders of frames; give a folder as output")
    return [Job(folder, (output or Path()) / f"{folder.resolve().name}-{style_name}") for folder in folders]


def is_moving(job: Job) -> bool:
    """Whether a job is a film: a file of one, or a folder of frames."""
    return job.source.is_dir() or is_film(job.source)


def paint(
    stylizer: Stylizer, picture: Picture, controls: Controls, place: Place, *, masks: Tensor | None = None, origin: str = "the picture"
) -> tuple[Picture, bool]:
    """Paint one picture in memory: fitted, stylised, colours kept if asked, alpha and metadata carried through.

    Returns the picture and whether it was finished: False if the user stopped the stylizer on the way.
    """
    size = working_size(picture.size, controls.size, origin)
    photo = resize(picture.pixels, size)
    alpha = None if picture.alpha is None else resize(picture.alpha, size)
    finished = True
    try:
        painted = stylizer(photo[None].to(place.device), masks=masks)
    except Interrupted as stop:
        painted, finished = stop.picture, False
    pixels = resize(painted[0].float().cpu(), size)
    if controls.keep_color is not None:
        pixels = KEEP_COLOR[controls.keep_color](pixels, photo)
    return Picture(pixels, alpha, picture.exif), finished


def run(
    stylizer: Stylizer,
    jobs: Sequence[Job],
    controls: Controls,
    place: Place,
    *,
    masks: Tensor | None = None,
    identity: str = "",
    on_file: Callable[[int, int, Path], None] = lambda index, count, source: None,
    listener: Listener = silence,
) -> Summary:
    """Paint all jobs. A file that cannot be painted becomes an outcome with an error; the others go on.

    on_file is told index, count and source before each. An interrupt writes the picture as far as it came and ends; a film goes on
    another time, if the style's `identity` is the same. listener: hears the frames of films.
    """
    if controls.keep_color is not None and controls.keep_color not in KEEP_COLOR:
        raise InputError(f"colours can be kept by {' or '.join(KEEP_COLOR)}, not by {controls.keep_color!r}")
    outcomes: list[Outcome] = []
    everything = tuple(job.source for job in jobs)
    for index, job in enumerate(jobs):
        on_file(index, len(jobs), job.source)
        started = time.monotonic()
        try:
            if is_moving(job):
                if job.output.suffix or not job.source.is_dir():
                    check_film_output(job.output, job.source)
                size, remark = paint_film(
                    stylizer, job.source, job.output, controls, place, masks=masks, identity=identity, listener=listener
                )
                outcomes.append(Outcome(job.source, job.output, size, time.monotonic() - started, remark=remark))
                continue
            check_writable(job.output, inputs=everything)
            picture = read_picture(job.source, max_pixels=controls.max_megapixels * 1_000_000)
            result, finished = paint(stylizer, picture, controls, place, masks=masks, origin=str(job.source))
            write_picture(result, job.output, exif=controls.keep_metadata)
            outcomes.append(Outcome(job.source, job.output, result.size, time.monotonic() - started))
            if not finished:
                return Summary(outcomes, interrupted=True)
        except ImpastoError as error:
            outcomes.append(Outcome(job.source, error=error))
        except KeyboardInterrupt:
            return Summary(outcomes, interrupted=True)
        except (MemoryError, RuntimeError) as error:
            text = str(error)
            if "memory" not in text.lower() and not isinstance(error, MemoryError):
                raise
            outcomes.append(
                Outcome(job.source, error=ImpastoError(f"{job.source} needs more memory than there is; a smaller --size needs less"))
            )
    return Summary(outcomes)
