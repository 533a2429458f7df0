"""The engine: a stylizer over picture files. It reads, fits, paints, keeps colour and alpha, writes, and sums up."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from impasto.errors import ImpastoError, InputError, unknown
from impasto.events import Interrupted, Listener, silence
from impasto.interrupts import between_steps
from impasto.job.large import cut, paint_large
from impasto.job.outcome import Outcome, Summary
from impasto.job.plan import Job
from impasto.job.request import PathLike
from impasto.media.color import KEEP_COLOR, keep_color, named_color
from impasto.media.image_writer import check_writable
from impasto.media.images import Picture, fitted, read_picture, resize, write_result
from impasto.media.masks import load_shares
from impasto.runtime.device import Place
from impasto.runtime.size import usual_size, working_size
from impasto.runtime.stylizer import Stylizer, memory_of, remark_on
from impasto.settings import PHOTO_SIDE, Controls

OnDone = Callable[[Job, Outcome], None]
"""Is told of a job and its outcome."""


def paint(
    stylizer: Stylizer,
    picture: Picture,
    controls: Controls,
    place: Place,
    *,
    masks: Tensor | None = None,
    selection: PathLike | None = None,
    origin: str = "the picture",
) -> tuple[Picture, bool]:
    """Paint one picture in memory: fitted, stylised, colours kept if asked, alpha and metadata carried through.

    selection: the photo stays outside of it, see `impasto.job.request.Request`.
    Returns the picture and whether it was finished: False if the user stopped the stylizer on the way.
    """
    size = working_size(picture.size, usual_size(controls.size, PHOTO_SIDE), origin)
    photo = fitted(picture, size)
    finished = True
    try:
        painted = stylizer(photo.pixels[None].to(place.device), masks=masks)
    except Interrupted as stop:
        painted, finished = stop.picture, False
    pixels = resize(painted[0].float().cpu(), size, bits=picture.bits)
    if controls.keep_color is not None:
        pixels = keep_color(controls.keep_color, pixels, photo.pixels, photo.alpha)
    if selection is not None:
        share = load_shares([selection], 1, size, max_pixels=controls.max_megapixels * 1_000_000)[0]
        pixels = photo.pixels.lerp(pixels, share)
    return replace(photo, pixels=pixels), finished


def run(
    stylizer: Stylizer,
    jobs: Sequence[Job],
    controls: Controls,
    place: Place,
    *,
    masks: Tensor | None = None,
    selection: PathLike | None = None,
    identity: str = "",
    bytes_a_pixel: int = 0,
    on_file: Callable[[int, int, Path], None] = lambda index, count, source: None,
    on_done: OnDone = lambda job, outcome: None,
    listener: Listener = silence,
) -> Summary:
    """Paint all jobs. Whatever goes wrong with a file becomes an outcome with an error; the others go on.

    on_file is told index, count and source before each, on_done of each job whose result is whole. An interrupt writes the picture as far
    as it came and ends; a film, and a photo that is painted by tiles, is resumed another time, if the style's `identity` is the same.
    bytes_a_pixel: what the stylizer takes to paint a photo in one piece; those that do not fit into memory are painted by tiles. listener:
    hears the frames of films, and tiles.
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
                output, share = job.output, None
                if job.moving:  # what films need takes 60 MB, and photos need nothing of it
                    from impasto.job.film import paint_film
                    from impasto.job.parts import share_of
                if job.part is not None:
                    found_share = share_of(job.source, job.output, job.part, memory_of(stylizer))
                    if found_share is None:
                        continue
                    output, share = found_share
                if job.moving:
                    size, remark = paint_film(
                        stylizer, job.source, output, controls, place, masks=masks, identity=identity, share=share, listener=noticed
                    )
                elif (found := cut(job, controls, bytes_a_pixel)) is not None:
                    check_writable(job.output, inputs=everything)
                    said = paint_large(
                        stylizer, job, found, controls, place, masks=masks, selection=selection, identity=identity, listener=noticed
                    )
                    size, remark = (
                        found.size,
                        _joined(said, remark_on(stylizer, found.size), _shrunk(found.header.size, found.size, controls)),
                    )
                else:
                    check_writable(job.output, inputs=everything)
                    picture = read_picture(job.source, max_pixels=controls.max_megapixels * 1_000_000)
                    size = working_size(picture.size, usual_size(controls.size, PHOTO_SIDE), str(job.source))
                    check_writable(job.output, size=size)
                    result, finished = paint(stylizer, picture, controls, place, masks=masks, selection=selection, origin=str(job.source))
                    left_out = write_result(result, job.output, exif=controls.keep_metadata, background=controls.background)
                    remark = _joined(*picture.messages, *left_out, remark_on(stylizer, size), _shrunk(picture.size, size, controls))
                outcomes.append(Outcome(job.source, output, size, time.monotonic() - started, remark=remark))
                if finished:
                    on_done(job, outcomes[-1])
                noticed.take()
        except KeyboardInterrupt:
            finished = False
        except Exception as error:
            outcomes.append(Outcome(job.source, error=as_sentence(error, job.source)))
        if not finished:
            return Summary(outcomes, interrupted=True)
    return Summary(outcomes)


def _joined(*remarks: str) -> str:
    return "; ".join(filter(None, remarks))


def _shrunk(own: tuple[int, int], painted: tuple[int, int], controls: Controls) -> str:
    """What is said of a photo that was painted smaller than it is, where nobody asked for it."""
    if controls.size is not None or own == painted:
        return ""
    return f"{own[1]}x{own[0]} pixels were painted at {painted[1]}x{painted[0]}; --size 0 paints all of them, --size 512 is faster"


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
