"""The engine: a stylizer over picture files. It reads, fits, paints, keeps colour and alpha, writes, and sums up."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor

from impasto.errors import ImpastoError, InputError, unknown
from impasto.events import Interrupted, Listener, silence
from impasto.interrupts import between_steps
from impasto.job.film import paint_film
from impasto.media.color import KEEP_COLOR, named_color
from impasto.media.film_writer import film_suffix
from impasto.media.folders import contents
from impasto.media.images import Picture, read_picture, resize, write_picture
from impasto.media.opening import is_animation
from impasto.media.stills import check_writable
from impasto.media.videos import is_film
from impasto.runtime.device import Place
from impasto.runtime.outputs import Outputs, PathLike, is_folder, names_of
from impasto.runtime.size import usual_size, working_size
from impasto.runtime.stylizer import Stylizer
from impasto.settings import PHOTO_SIDE, Controls


@dataclass(frozen=True)
class Outcome:
    """What became of one file: where the result lies, its size (height, width) and seconds; or the error.

    remark: what was wrong with a source that was painted all the same, such as a film that is cut off, or was changed on the way.
    """

    source: Path
    output: Path | None = None
    size: tuple[int, int] | None = None
    seconds: float = 0.0
    error: ImpastoError | None = None
    remark: str = ""


@dataclass(frozen=True)
class Summary:
    """All outcomes of one run, in order; interrupted if the user stopped it. left_out: sentences on what folders hold beside."""

    outcomes: list[Outcome]
    interrupted: bool = False
    left_out: tuple[str, ...] = ()

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
    """One picture or film to paint and where it goes. moving: whether it is a film: a file of one, an animation, or a folder of frames.

    shown: where its regions are shown, if they are.
    """

    source: Path
    output: Path
    moving: bool = False
    shown: Path | None = None


@dataclass(frozen=True)
class Plan:
    """What is to be painted, and sentences on what folders hold beside."""

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
) -> Plan:
    """Which file becomes which: folders are searched for photos and films; results are named PHOTO-STYLE.png, or FILM-STYLE.mp4 for films.

    output: a file (one photo only), a folder, or None for the current folder. frames: folders hold the frames of a film each, and become
    folders FOLDER-STYLE, or the output itself if there is one of them. regions: are shown beside each result. beside: other files that the
    job reads. No two outputs are the same, and none is an input. Raises InputError.
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
    return Plan([Job(*parts) for parts in zip(sources, targets, moving, shown, strict=True)], tuple(left_out))


def _searched(inputs: Sequence[PathLike], beside: Sequence[Path]) -> tuple[list[Path], list[str]]:
    sources: list[Path] = []
    left_out: list[str] = []
    empty: list[str] = []
    for entry in map(Path, inputs):
        if not entry.is_dir():
            sources.append(entry)
            continue
        found = contents(entry, beside=beside)
        sources += found.files
        if not found.files:
            empty.append(f"there is nothing to paint in {entry}" + (f" ({found.left_out})" if found.left_out else ""))
        elif found.left_out:
            left_out.append(found.left_out)
    if empty and not sources:
        raise InputError("; ".join(empty))
    return sources, left_out + empty


def _ending(source: Path, moving: bool) -> str:
    if not moving:
        return ".png"
    return film_suffix(source) if is_film(source) else source.suffix.lower()


def paint(
    stylizer: Stylizer, picture: Picture, controls: Controls, place: Place, *, masks: Tensor | None = None, origin: str = "the picture"
) -> tuple[Picture, bool]:
    """Paint one picture in memory: fitted, stylised, colours kept if asked, alpha and metadata carried through.

    Returns the picture and whether it was finished: False if the user stopped the stylizer on the way.
    """
    size = working_size(picture.size, usual_size(controls.size, PHOTO_SIDE), origin)
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
    """Paint all jobs. Whatever goes wrong with a file becomes an outcome with an error; the others go on.

    on_file is told index, count and source before each. An interrupt writes the picture as far as it came and ends; a film is resumed
    another time, if the style's `identity` is the same. listener: hears the frames of films.
    """
    if controls.keep_color is not None and controls.keep_color not in KEEP_COLOR:
        raise InputError(unknown("way to keep colours", controls.keep_color, KEEP_COLOR))
    named_color(controls.background)
    outcomes: list[Outcome] = []
    everything = tuple(job.source for job in jobs)
    for index, job in enumerate(jobs):
        started, finished = time.monotonic(), True
        try:
            with between_steps(listener) as noticed:
                on_file(index, len(jobs), job.source)
                if job.moving:
                    size, remark = paint_film(
                        stylizer, job.source, job.output, controls, place, masks=masks, identity=identity, listener=noticed
                    )
                else:
                    check_writable(job.output, inputs=everything)
                    picture = read_picture(job.source, max_pixels=controls.max_megapixels * 1_000_000)
                    result, finished = paint(stylizer, picture, controls, place, masks=masks, origin=str(job.source))
                    write_picture(result, job.output, exif=controls.keep_metadata, background=controls.background)
                    size, remark = result.size, _shrunk(picture, result, controls)
                outcomes.append(Outcome(job.source, job.output, size, time.monotonic() - started, remark=remark))
                noticed.take()
        except KeyboardInterrupt:
            finished = False
        except Exception as error:
            outcomes.append(Outcome(job.source, error=as_sentence(error, job.source)))
        if not finished:
            return Summary(outcomes, interrupted=True)
    return Summary(outcomes)


def _shrunk(picture: Picture, result: Picture, controls: Controls) -> str:
    """What is said of a photo that was painted smaller than it is, where nobody asked for it."""
    if controls.size is not None or result.size == picture.size:
        return ""
    height, width = picture.size
    return f"{width}x{height} pixels were painted at {result.size[1]}x{result.size[0]}; --size 0 paints all of them, --size 512 is faster"


def as_sentence(error: Exception, source: Path) -> ImpastoError:
    """Whatever went wrong with one file, as a sentence about that file."""
    if isinstance(error, ImpastoError):
        return error
    text = str(error)
    if isinstance(error, MemoryError) or "memory" in text.lower():
        sentence = f"{source} needs more memory than there is; a smaller --size needs less"
    elif isinstance(error, OSError):
        sentence = f"{source} could not be painted: {error.strerror or text}"
    else:
        sentence = f"{source} could not be painted ({type(error).__name__}: {text.splitlines()[0] if text else 'no reason was given'})"
    found = ImpastoError(sentence)
    found.__cause__ = error
    return found
