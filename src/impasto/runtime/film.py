"""A stylizer over a film: frame by frame, with its sound, in constant memory, going on where it was interrupted.

Frames are decoded ahead and encoded behind, each in a thread of its own, so that neither waits for the painting nor it for them.
"""

import hashlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from impasto.events import Event, Listener, silence
from impasto.media.color import KEEP_COLOR
from impasto.media.frames import FrameFolder, FrameWriter
from impasto.media.images import resize
from impasto.media.videos import FilmInfo, FilmReader, FilmWriter, Frame, as_bytes, check_sound, even
from impasto.runtime.device import Place
from impasto.runtime.size import working_size
from impasto.runtime.stylizer import Stylizer, VideoStylizer
from impasto.settings import Controls

_WAITING = 4
"""Frames that are decoded ahead, and that wait to be encoded."""


class Source(Protocol):
    """Where frames come from: a film, a folder, or a pipe."""

    @property
    def info(self) -> FilmInfo:
        """What is known beforehand."""

    @property
    def problem(self) -> str:
        """What was wrong at the end, if anything."""

    def __iter__(self) -> Iterator[Frame]: ...


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
    """Paint a film file, or a folder of frames; returns its size, and what was wrong with the source if something was ("" if not).

    Stylizers with a `stream` remember the frame before; others paint each frame for itself. output: a film, or for a folder of frames
    another folder. identity: of the style; an interrupted film goes on if it, the source and the controls are the same. Events count
    frames. Raises FilmError; an interrupt keeps what is done.
    """
    reader = FrameFolder(source) if source.is_dir() else FilmReader(source)
    size = film_size(reader.info, controls, str(source))
    stat = source.stat()
    told = f"{source.resolve()}|{stat.st_size}|{stat.st_mtime_ns}|{sorted(asdict(controls).items())}|{identity}"
    key = hashlib.sha256(told.encode()).hexdigest()
    writer: FilmWriter | FrameWriter
    if isinstance(reader, FrameFolder) and not output.suffix:
        writer = FrameWriter(output, reader, size, key)
    else:
        check_sound(output, reader.info, source)
        writer = FilmWriter(output, source, reader.info, size, key)
    begun, started = writer.done, time.monotonic()
    frames = ahead(reader)
    first = None
    if begun and writer.last is not None:
        last = None
        for _ in range(begun):
            last = next(frames)
        assert last is not None
        first = (resize(last.pixels, size), torch.from_numpy(writer.last).permute(2, 0, 1).float().div(255))
    behind = _Behind(writer.write)
    try:
        for number, (frame, picture) in enumerate(
            painted_frames(stylizer, frames, size, controls, place, masks=masks, first=first), begun + 1
        ):
            behind.write(picture, frame.time)
            listener(Event(number, max(number, reader.info.frames), time.monotonic() - started))
    except KeyboardInterrupt:
        behind.close()
        writer.pause()
        raise
    finally:
        behind.close()
    behind.check()
    writer.finish()
    return size, reader.problem


def painted_frames(
    stylizer: Stylizer,
    frames: Iterable[Frame],
    size: tuple[int, int],
    controls: Controls,
    place: Place,
    *,
    masks: Tensor | None = None,
    first: tuple[Tensor, Tensor] | None = None,
) -> Iterator[tuple[Frame, np.ndarray]]:
    """Every frame with its painting, bytes (H, W, 3), at this size. first: the frame before and how it was painted, to go on from there."""
    waiting: deque[tuple[Frame, Tensor]] = deque()  # a stylizer may read some frames ahead

    def photos() -> Iterator[Tensor]:
        for frame in frames:
            photo = resize(frame.pixels, size)
            waiting.append((frame, photo))
            yield photo

    def one_by_one() -> Iterator[Tensor]:
        for photo in photos():
            with torch.inference_mode():
                painted = stylizer(photo[None].to(place.device), masks=masks)[0].float().cpu()
            yield painted

    for pixels in stylizer.stream(photos(), masks=masks, first=first) if isinstance(stylizer, VideoStylizer) else one_by_one():
        frame, photo = waiting.popleft()
        if controls.keep_color is not None:
            pixels = KEEP_COLOR[controls.keep_color](pixels, photo)
        yield frame, as_bytes(pixels)


def ahead(source: Source) -> Iterator[Frame]:
    """The frames of a source, decoded in a thread of its own, a few ahead of where they are needed."""
    line: queue.Queue[Frame | BaseException | None] = queue.Queue(_WAITING)
    stopped = threading.Event()

    def put(item: Frame | BaseException | None) -> None:
        while not stopped.is_set():
            try:
                line.put(item, timeout=0.1)
                return
            except queue.Full:
                continue

    def decode() -> None:
        try:
            for frame in source:
                put(frame)
                if stopped.is_set():
                    return
            put(None)
        except BaseException as error:  # it belongs to whoever waits for the frames
            put(error)

    thread = threading.Thread(target=decode, daemon=True)
    thread.start()
    try:
        while (item := line.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stopped.set()
        thread.join()


class _Behind:
    """Writes frames in a thread of its own. An error there is raised at the next frame, or by `check`."""

    def __init__(self, write: Callable[[np.ndarray, int], None]):
        self._line: queue.Queue[tuple[np.ndarray, int] | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._encode, args=(write,), daemon=True)
        self._thread.start()

    def _encode(self, write: Callable[[np.ndarray, int], None]) -> None:
        while (item := self._line.get()) is not None:
            if self._error is None:
                try:
                    write(*item)
                except BaseException as error:
                    self._error = error

    def write(self, picture: np.ndarray, at: int) -> None:
        """Hand over a frame; waits if too many are waiting."""
        self.check()
        self._line.put((picture, at))

    def check(self) -> None:
        """Raise what went wrong."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Wait until everything is written."""
        if self._thread.is_alive():
            self._line.put(None)
            self._thread.join()
