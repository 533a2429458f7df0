"""A stylizer over a film: frame by frame, with its sound, in constant memory, resumed where it was interrupted or failed.

Frames are decoded ahead and encoded behind, each in a thread of its own, so that neither waits for the painting nor it for them.
"""

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from impasto.events import Event, Listener, silence
from impasto.job.moving import check_moving_output, made_with, open_film, seekable, target_of
from impasto.job.parts import Share
from impasto.media.color import keep_color, laid_on
from impasto.media.stills import resized_whole
from impasto.media.transparency import filled
from impasto.media.videos import FilmInfo, Frame, as_bytes, even
from impasto.motion.cuts import Cuts
from impasto.runtime.device import Place
from impasto.runtime.size import usual_size, working_size
from impasto.runtime.stylizer import ByteStylizer, Stylizer, VideoStylizer, remark_on
from impasto.settings import FILM_SIDE, Controls

PREVIEW_EVERY = 12
"""Frames between previews."""
_WAITING = 4
"""Frames that are decoded ahead, and that wait to be encoded."""


def film_size(info: FilmInfo, controls: Controls, origin: str) -> tuple[int, int]:
    """Height and width that a film is painted at: fitted to the size, and even. Raises PictureError if too thin."""
    return even(working_size(info.size, usual_size(controls.size, FILM_SIDE), origin))


def paint_film(
    stylizer: Stylizer,
    source: Path,
    output: Path,
    controls: Controls,
    place: Place,
    *,
    masks: Tensor | None = None,
    identity: str = "",
    share: Share | None = None,
    listener: Listener = silence,
) -> tuple[tuple[int, int], str]:
    """Paint a film, an animation, or a folder of frames; returns its size, and what there is to say of it ("" if nothing).

    Stylizers with a `stream` remember the frame before; others paint each frame for itself. output: a film or an animation, or for a folder
    of frames another folder. identity: of the style; a film that was interrupted, or failed, is resumed if it, the source, the masks and
    the controls are the same. share: what of it is painted, everything if None; what is painted already is left as it is. Events count
    frames. Raises FilmError; whatever ends the work, the frames that are painted are kept.
    """
    check_moving_output(output, source)
    reader = open_film(source, controls)
    size = film_size(reader.info, controls, str(source))
    key = made_with(reader, controls, masks, identity)
    writer = (target_of if share is None else share.target)(reader, output, size, key, controls)
    if share is not None and share.is_painted(writer):
        return size, f"part {share.part} was painted already"
    begun, started = writer.done, time.monotonic()
    length = reader.info.length if share is None else share.span.length(reader.info)
    frames = ahead(iter(reader) if share is None else share.read(seekable(reader), resumed=begun > 0))
    behind, cuts = _Behind(writer.write), Cuts()
    try:
        first, number = None, begun
        for index in range(begun):
            last = next(frames, None)
            if last is not None and index == begun - 1 and writer.last is not None:
                cuts(last.bytes)
                first = (_as_pixels(_fitted(last, size)[0]), _as_pixels(writer.last[..., :3]))
        for frame, picture in painted_frames(stylizer, frames, size, controls, place, masks=masks, first=first, alpha=writer.alpha):
            cut = cuts(frame.bytes)
            if share is not None and not share.holds(frame):
                continue  # for the stylizer's memory alone
            number += 1
            behind.write(picture, frame, cut)
            shown = _as_pixels(picture[..., :3]) if number % PREVIEW_EVERY == 0 else None
            listener(Event(number, max(number, length), time.monotonic() - started, preview=shown))
        behind.close()
        behind.check()
        writer.finish()
    except BaseException:
        behind.close()
        if share is None:
            writer.pause()  # a part is resumed at whole pieces alone, as if it had not been stopped
        raise
    finally:
        frames.close()
    return size, "; ".join(part for part in (remark_on(stylizer, size), *reader.remarks, *writer.remarks, reader.problem) if part)


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
    if isinstance(stylizer, ByteStylizer) and masks is None and controls.keep_color is None:
        yield from _by_bytes(stylizer, frames, size, controls, alpha)
        return
    waiting: deque[tuple[Frame, Tensor, Tensor | None]] = deque()  # a stylizer may read some frames ahead

    def photos() -> Iterator[Tensor]:
        for frame in frames:
            colors, opaque = _fitted(frame, size)
            photo = _as_pixels(colors)
            waiting.append((frame, photo, None if opaque is None else _as_pixels(opaque)))
            yield photo

    def one_by_one() -> Iterator[Tensor]:
        for photo in photos():
            yield stylizer(photo[None].to(place.device), masks=masks)[0].detach().float().cpu()  # some optimise: no inference mode here

    for pixels in stylizer.stream(photos(), masks=masks, first=first) if isinstance(stylizer, VideoStylizer) else one_by_one():
        frame, photo, opaque = waiting.popleft()
        if controls.keep_color is not None:
            pixels = keep_color(controls.keep_color, pixels, photo, opaque)
        if opaque is not None:
            pixels = torch.cat([pixels, opaque]) if alpha else laid_on(controls.background, pixels, opaque)
        yield frame, as_bytes(pixels)


def _by_bytes(
    stylizer: ByteStylizer, frames: Iterable[Frame], size: tuple[int, int], controls: Controls, alpha: bool
) -> Iterator[tuple[Frame, np.ndarray]]:
    """The same for stylizers that take bytes."""
    for frame in frames:
        plain, opaque = _fitted(frame, size)
        painted = stylizer.paint_bytes(plain)
        if opaque is not None:
            pixels, there = _as_pixels(painted), _as_pixels(opaque)
            painted = as_bytes(torch.cat([pixels, there]) if alpha else laid_on(controls.background, pixels, there))
        yield frame, painted


def _fitted(frame: Frame, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray | None]:
    """A frame at a size as it is painted, bytes (H, W, 3): hidden colours are made of visible ones; and its alpha (H, W), if it has any."""
    colors, alpha = resized_whole(frame.bytes[..., :3], frame.bytes[..., 3] if frame.bytes.shape[2] == 4 else None, size)
    return filled(colors, alpha), alpha


def _as_pixels(values: np.ndarray) -> Tensor:
    """Bytes (H, W, C) or (H, W) as (C, H, W), float32 in [0, 1]."""
    return torch.from_numpy(values if values.ndim == 3 else values[:, :, None]).permute(2, 0, 1).float().div(255)


def ahead(source: Iterable[Frame]) -> Generator[Frame]:
    """Frames, decoded in a thread of its own, a few ahead of where they are needed."""
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

    def __init__(self, write: Callable[..., None]):
        self._line: queue.Queue[tuple[np.ndarray, Frame, bool] | None] = queue.Queue(_WAITING)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._encode, args=(write,), daemon=True)
        self._thread.start()

    def _encode(self, write: Callable[..., None]) -> None:
        while (item := self._line.get()) is not None:
            if self._error is None:
                try:
                    picture, frame, cut = item
                    write(picture, frame.time, cut=cut, duration=frame.duration)
                except BaseException as error:
                    self._error = error

    def write(self, picture: np.ndarray, frame: Frame, cut: bool) -> None:
        """Hand over the painting of a frame; waits if too many are waiting."""
        self.check()
        self._line.put((picture, Frame(np.empty(0), frame.time, frame.number, frame.duration), cut))

    def check(self) -> None:
        """Raise what went wrong."""
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Wait until everything is written."""
        if self._thread.is_alive():
            self._line.put(None)
            self._thread.join()
