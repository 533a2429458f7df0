"""A stylizer over a film: frame by frame, with its sound, in constant memory, going on where it was interrupted."""

import hashlib
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from impasto.events import Event, Listener, silence
from impasto.media.color import KEEP_COLOR
from impasto.media.images import resize
from impasto.media.videos import FilmInfo, FilmReader, FilmWriter, Frame, check_sound, even
from impasto.runtime.device import Place
from impasto.runtime.size import working_size
from impasto.runtime.stylizer import Stylizer, VideoStylizer
from impasto.settings import Controls


def film_size(info: FilmInfo, controls: Controls, origin: str) -> tuple[int, int]:
    """Height and width that a film is painted at: fitted to the size, and even. Raises PictureError if too thin."""
    return even(working_size(info.size, controls.size, origin))


def paint_film(
    stylizer: Stylizer,
    source: Path,
    output: Path,
    controls: Controls,
    place: Place,
    *,
    masks: Tensor | None = None,
    identity: str = "",
    listener: Listener = silence,
) -> tuple[tuple[int, int], str]:
    """Paint a film file; returns its size, and what was wrong with the source if something was ("" if not).

    Stylizers with a `stream` remember the frame before; others paint each frame for itself. identity: of the style; an interrupted film
    goes on if it, the source and the controls are the same. Events count frames. Raises FilmError; an interrupt keeps the
    parts that are done.
    """
    reader = FilmReader(source)
    size = film_size(reader.info, controls, str(source))
    check_sound(output, reader.info, source)
    stat = source.stat()
    told = f"{source.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{sorted(asdict(controls).items())}|{identity}"
    writer = FilmWriter(output, source, reader.info, size, hashlib.sha256(told.encode()).hexdigest())
    begun, started = writer.done, time.monotonic()
    ahead = _Ahead(reader, size, begun)
    first = None
    if begun and writer.last is not None:
        first = (ahead.skip(), writer.last.float().div(255))
    painted = _stream(stylizer, place, masks)(ahead.frames(), first)
    number = begun
    try:
        for pixels in painted:
            frame, photo = ahead.taken()
            if controls.keep_color is not None:
                pixels = KEEP_COLOR[controls.keep_color](pixels, photo)
            writer.write(pixels, frame.time)
            number += 1
            listener(Event(number, max(number, reader.info.frames), time.monotonic() - started))
    except KeyboardInterrupt:
        writer.pause()
        raise
    writer.finish()
    return size, reader.problem


class _Ahead:
    """The frames of a film at their working size, remembered until they were written: a stylizer may read some ahead."""

    def __init__(self, reader: FilmReader, size: tuple[int, int], begun: int):
        self._source, self._size, self._begun = iter(reader), size, begun
        self._waiting: list[tuple[Frame, Tensor]] = []

    def skip(self) -> Tensor:
        """Pass over the frames that are done; the last of them."""
        frame = None
        for _ in range(self._begun):
            frame = next(self._source)
        assert frame is not None
        return resize(frame.pixels, self._size)

    def frames(self) -> Iterator[Tensor]:
        """The frames, (3, H, W)."""
        for frame in self._source:
            photo = resize(frame.pixels, self._size)
            self._waiting.append((frame, photo))
            yield photo

    def taken(self) -> tuple[Frame, Tensor]:
        """The oldest frame that is not written yet."""
        return self._waiting.pop(0)


def _stream(
    stylizer: Stylizer, place: Place, masks: Tensor | None
) -> Callable[[Iterator[Tensor], tuple[Tensor, Tensor] | None], Iterator[Tensor]]:
    def paint(frames: Iterator[Tensor], first: tuple[Tensor, Tensor] | None) -> Iterator[Tensor]:
        if isinstance(stylizer, VideoStylizer):
            yield from stylizer.stream(frames, masks=masks, first=first)
            return
        for frame in frames:
            with torch.inference_mode():
                yield stylizer(frame[None].to(place.device), masks=masks)[0].float().cpu()

    return paint
