"""A stylizer over a film: frame by frame, with its sound, in constant memory, resumed where it was interrupted or failed.

Frames are decoded ahead and encoded behind, each in a thread of its own, so that neither waits for the painting nor it for them.
"""

import hashlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from impasto import __version__
from impasto.events import Event, Listener, silence
from impasto.files import stamp
from impasto.media.animations import ANIMATIONS, AnimationReader, AnimationWriter, check_animation_output
from impasto.media.color import keep_color, laid_on
from impasto.media.film_writer import FilmWriter, check_film_output
from impasto.media.frames import FrameFolder, FrameWriter
from impasto.media.images import resize
from impasto.media.opening import is_film
from impasto.media.videos import FilmError, FilmInfo, FilmReader, Frame, as_bytes, even
from impasto.runtime.device import Place
from impasto.runtime.outputs import names_of
from impasto.runtime.size import usual_size, working_size
from impasto.runtime.stylizer import Stylizer, VideoStylizer
from impasto.settings import FILM_SIDE, Controls

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
    return even(working_size(info.size, usual_size(controls.size, FILM_SIDE), origin))


class Target(Protocol):
    """Where painted frames go: a film, an animation, or a folder."""

    alpha: bool
    """Whether frames are written as (H, W, 4)."""
    remarks: tuple[str, ...]
    """What is not carried over as it was."""

    @property
    def done(self) -> int:
        """How many frames are finished already."""

    @property
    def last(self) -> np.ndarray | None:
        """The last of them, bytes (H, W, C)."""

    def write(self, picture: np.ndarray, time: int) -> None:
        """Add a frame at a time in the source's time base."""

    def pause(self) -> None:
        """Keep what was written so far."""

    def finish(self) -> None:
        """Put it in its place."""


def check_moving_output(output: Path, source: Path) -> None:
    """Say before any long work whether a film could be written here. Raises InputError."""
    if output.exists() and source.exists() and source.samefile(output):
        raise FilmError(f"{output} is the input itself and is not overwritten; choose another output")
    if source.is_dir() and not output.suffix:
        return
    still = output.suffix.lower() == ".png" and is_film(source)
    (check_animation_output if output.suffix.lower() in ANIMATIONS and not still else check_film_output)(output)


def open_film(source: Path, controls: Controls) -> FrameFolder | FilmReader | AnimationReader:
    """A film, an animation or a folder of frames, to be read. Raises FilmError or PictureError."""
    limit = controls.max_megapixels * 1_000_000
    if source.is_dir():
        return FrameFolder(source, max_pixels=limit)
    return FilmReader(source) if is_film(source) else AnimationReader(source, max_pixels=limit)


def _target(reader: FrameFolder | FilmReader | AnimationReader, output: Path, size: tuple[int, int], key: str, background: str) -> Target:
    if isinstance(reader, FrameFolder) and not output.suffix:
        return FrameWriter(output, names_of(reader.files), size, key, alpha=reader.info.alpha)
    if output.suffix.lower() in ANIMATIONS:
        return AnimationWriter(output, reader.info, size, key, loop=reader.loop if isinstance(reader, AnimationReader) else 0)
    source = reader.path if isinstance(reader, FilmReader) else None
    return FilmWriter(output, source, reader.info, size, key, background=background)


def _made_with(reader: FrameFolder | FilmReader | AnimationReader, controls: Controls, masks: Tensor | None, identity: str) -> str:
    """A digest of everything that decides how a film is painted: its files, the style, the controls, the masks, the version."""
    files = reader.files if isinstance(reader, FrameFolder) else [reader.path]
    shape = "" if masks is None else f"{tuple(masks.shape)} {hashlib.sha256(masks.float().cpu().numpy().tobytes()).hexdigest()}"
    parts = [
        __version__,
        str(reader.path.resolve()),
        [(file.name, stamp(file)) for file in files],
        sorted(asdict(controls).items()),
        identity,
    ]
    return hashlib.sha256(repr([*parts, shape]).encode()).hexdigest()


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
    """Paint a film, an animation, or a folder of frames; returns its size, and what there is to say of it ("" if nothing).

    Stylizers with a `stream` remember the frame before; others paint each frame for itself. output: a film or an animation, or for a folder
    of frames another folder. identity: of the style; a film that was interrupted, or failed, is resumed if it, the source, the masks and
    the controls are the same. Events count frames. Raises FilmError; whatever ends the work, the frames that are painted are kept.
    """
    check_moving_output(output, source)
    reader = open_film(source, controls)
    size = film_size(reader.info, controls, str(source))
    writer = _target(reader, output, size, _made_with(reader, controls, masks, identity), controls.background)
    begun, started, length = writer.done, time.monotonic(), reader.info.length
    frames = ahead(reader)
    behind = _Behind(writer.write)
    try:
        first = None
        for number in range(begun):
            last = next(frames, None)
            if last is not None and number == begun - 1 and writer.last is not None:
                first = (resize(last.pixels, size), torch.from_numpy(writer.last[..., :3]).permute(2, 0, 1).float().div(255))
        for number, (frame, picture) in enumerate(
            painted_frames(stylizer, frames, size, controls, place, masks=masks, first=first, alpha=writer.alpha), begun + 1
        ):
            behind.write(picture, frame.time)
            listener(Event(number, max(number, length), time.monotonic() - started))
        behind.close()
        behind.check()
        writer.finish()
    except BaseException:
        behind.close()
        writer.pause()
        raise
    finally:
        frames.close()
    return size, "; ".join(part for part in (*reader.info.remarks, *writer.remarks, reader.problem) if part)


def painted_frames(
    stylizer: Stylizer,
    frames: Iterable[Frame],
    size: tuple[int, int],
    controls: Controls,
    place: Place,
    *,
    masks: Tensor | None = None,
    first: tuple[Tensor, Tensor] | None = None,
    alpha: bool = False,
) -> Iterator[tuple[Frame, np.ndarray]]:
    """Every frame with its painting, bytes (H, W, 3), at this size; with alpha (H, W, 4), without it what is transparent shows the
    background.

    first: the frame before and how it was painted, to continue from there.
    """
    waiting: deque[tuple[Frame, Tensor]] = deque()  # a stylizer may read some frames ahead

    def photos() -> Iterator[Tensor]:
        for frame in frames:
            photo = resize(frame.pixels, size)
            waiting.append((frame, photo))
            yield photo

    def one_by_one() -> Iterator[Tensor]:
        for photo in photos():
            yield stylizer(photo[None].to(place.device), masks=masks)[0].detach().float().cpu()  # some optimise: no inference mode here

    for pixels in stylizer.stream(photos(), masks=masks, first=first) if isinstance(stylizer, VideoStylizer) else one_by_one():
        frame, photo = waiting.popleft()
        if controls.keep_color is not None:
            pixels = keep_color(controls.keep_color, pixels, photo)
        opaque = None if frame.alpha is None else resize(frame.alpha, size)
        if opaque is not None:
            pixels = torch.cat([pixels, opaque]) if alpha else laid_on(controls.background, pixels, opaque)
        yield frame, as_bytes(pixels)


def ahead(source: Source) -> Generator[Frame]:
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
