"""What the painter's process does: one function for each kind of job, all of them calls of the library."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from impasto import api
from impasto.errors import ImpastoError
from impasto.events import Listener
from impasto.interrupts import between_steps
from impasto.job.perform import perform
from impasto.job.request import Request
from impasto.settings import Controls

PREVIEWS = 3
"""Frames of a film that are shown before it is painted."""


@dataclass(frozen=True)
class Made:
    """A file that was made. size: height and width of a picture or a film. note: what is said of it, "" if nothing."""

    path: Path
    size: tuple[int, int] | None = None
    note: str = ""


def warm(listener: Listener) -> None:
    """Load what painting needs, so that the first picture does not wait for it."""
    from impasto.runtime.device import choose_place
    from impasto.runtime.encoders import load_encoder

    load_encoder(Controls.encoder, choose_place(Controls.device, Controls.precision, painting=True))


def paint(request: Request, listener: Listener) -> Made:
    """Paint the one photo or film of a request. Raises ImpastoError, and KeyboardInterrupt when it was stopped."""
    with between_steps(listener) as noticed:
        summary = perform(request, noticed, recorded=False)  # every job has a place of its own
    if summary.interrupted:
        raise KeyboardInterrupt
    (outcome,) = summary.outcomes
    if outcome.error is not None:
        raise outcome.error
    assert outcome.output is not None
    return Made(outcome.output, outcome.size, "; ".join(filter(None, (*summary.left_out, outcome.remark))))


def learn(painting: Path, target: Path, name: str, licence: str, source: str, controls: Controls, listener: Listener) -> Made:
    """Learn a painting, and put a small picture of it beside the style file."""
    from impasto.media.images import Picture, fitted, read_picture, write_picture
    from impasto.media.stills import fit_within

    with between_steps(listener) as noticed:
        written = api.adapt(painting, target, name=name, licence=licence, source=source, controls=controls, listener=noticed)
    picture = read_picture(painting)
    small = fitted(picture, fit_within(picture.size, min(320, max(picture.size))))
    write_picture(Picture(small.pixels, small.alpha), written.with_suffix(".jpg"))
    return Made(written)


def find_regions(request: Request, folder: Path, listener: Listener) -> list[Path]:
    """Label maps of matching regions, of the photo first, then of each style picture, as PNG files in a folder."""
    from impasto.job.regions import found_regions
    from impasto.media.images import write_picture
    from impasto.media.masks import label_picture

    regions = found_regions(request)
    written = []
    for number, masks in enumerate([regions.content, *regions.styles]):
        written.append(write_picture(label_picture(masks), folder / f"regions-{number}.png"))
    return written


def preview_film(request: Request, folder: Path, listener: Listener) -> list[Path]:
    """Some frames of a film as they would be painted, in a folder: each before it as FRAME.png, and as FRAME-painted.png after."""
    from impasto.job.moving import open_film
    from impasto.media.animations import AnimationReader
    from impasto.media.images import Picture, write_picture

    film = open_film(Path(request.inputs[0]), request.controls)
    assert not isinstance(film, AnimationReader)  # it is chosen by its ending
    info = film.info
    length = info.length / (info.rate * info.time_base) if info.length else 0
    frames, request_name = folder / "frames", Path(request.inputs[0]).name
    for number in range(PREVIEWS):
        begin = info.start + round(length * (2 * number + 1) / (2 * PREVIEWS))
        frame = next(iter(film.span(begin)), None)
        if frame is not None:
            write_picture(Picture(frame.pixels), frames / f"frame-{number}.png")
    painted = replace(request, inputs=[frames], output=folder / "painted", frames=True)
    try:
        paint(painted, listener)
    except ImpastoError as error:  # the frames are files of ours: the film is the user's
        raise type(error)(re.sub(rf"{re.escape(str(frames))}/frame-\d\.png", request_name, str(error))) from error
    return [path for source in sorted(frames.glob("*.png")) for path in (source, folder / "painted" / source.name)]
