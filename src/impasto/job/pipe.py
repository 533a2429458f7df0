"""Raw frames from one stream to another, each as soon as it is painted."""

from collections.abc import Callable, Sequence
from typing import BinaryIO

from impasto.events import Listener
from impasto.job.build import for_films
from impasto.job.film import film_size, painted_frames
from impasto.job.request import PathLike
from impasto.job.resolve import resolve
from impasto.job.styles import facts_of, gather_styles
from impasto.media.raw import RawReader, write_raw
from impasto.methods.table import methods
from impasto.runtime.device import choose_place
from impasto.settings import Controls


def paint_pipe(
    incoming: BinaryIO,
    outgoing: BinaryIO,
    size: tuple[int, int],
    styles: Sequence[PathLike],
    weights: Sequence[float] | None,
    controls: Controls,
    on_size: Callable[[tuple[int, int]], None],
    listener: Listener,
) -> tuple[int, str]:
    """Paint until the stream ends: how many frames, and what was wrong with it ("" if nothing was). See `impasto.api.stylize_pipe`."""
    source = gather_styles(styles, weights, controls)
    decision = resolve(controls, facts_of(source), methods(), moving=True, photos=False)
    place, reader = choose_place(controls.device, controls.precision, painting=True), RawReader(incoming, size)
    painted_size = film_size(reader.info, decision.controls, "the pipe")
    stylizer = for_films(decision, source, place, listener)
    on_size(painted_size)
    number = 0
    for number, (_, picture) in enumerate(painted_frames(stylizer, reader, painted_size, decision.controls, place), 1):
        try:
            write_raw(outgoing, picture)
        except BrokenPipeError:
            return number, "whoever read the frames is gone"
    return number, reader.problem
