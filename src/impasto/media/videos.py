"""Films in and out, frame by frame: the only place where films are opened, decoded, encoded or written.

Reading gives upright RGB frames with their times. Writing goes by parts, each a small file of its own, that are joined with the untouched
sound of the input at the end; what was finished before an interrupt is not done again.
"""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from torch import Tensor

from impasto.errors import InputError
from impasto.files import atomic_file, check_folder

av.logging.set_level(av.logging.PANIC)

READABLE_FILMS = frozenset(
    {".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".flv", ".ts", ".mts", ".3gp", ".ogv"}
)
"""Suffixes by which a file is taken for a film."""

_CODECS = {".mp4": "libx264", ".mov": "libx264", ".m4v": "libx264", ".mkv": "libx264", ".webm": "libvpx-vp9"}
_OPTIONS: dict[str, dict[str, str]] = {
    "libx264": {"crf": "18", "preset": "medium", "bf": "0"},
    "libvpx-vp9": {"crf": "28", "b": "0", "row-mt": "1", "deadline": "good", "cpu-used": "4"},
}


class FilmError(InputError):
    """A file that should be a film is not one, or cannot be read or written as one."""


@dataclass(frozen=True)
class FilmInfo:
    """What a film's header says. size: height and width, upright. rate: mean frames per second. frames: their number, 0 if unknown.

    duration: seconds, 0 if unknown. time_base: seconds per unit of the frames' times.
    """

    size: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    frames: int
    duration: float
    sound: str = ""


@dataclass(frozen=True)
class Frame:
    """One frame, upright: RGB as bytes (H, W, 3); its time in units of the film's time base; its number from 0."""

    bytes: np.ndarray
    time: int
    number: int

    @property
    def pixels(self) -> Tensor:
        """(3, H, W) float32, RGB in [0, 1]."""
        return torch.from_numpy(self.bytes).permute(2, 0, 1).float().div_(255)


def is_film(path: str | os.PathLike[str]) -> bool:
    """True for a file that its suffix says is a film."""
    return Path(path).suffix.lower() in READABLE_FILMS


class FilmReader:
    """A film, frame by frame; memory does not grow with its length.

    `info` is known at once; iterating gives the frames. `problem` says afterwards what was wrong, if anything was: a truncated file gives
    the frames that could be read, broken packets are passed over, and frames may change their size on the way, which is left to whoever
    uses them. Raises FilmError for what is no film or has no pictures.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path, self.problem = Path(path), ""
        if self.path.is_dir():
            raise FilmError(f"{path} is a folder, not a film")
        if not self.path.exists():
            raise FilmError(f"{path} does not exist")
        try:
            with av.open(str(self.path)) as container:
                if not container.streams.video:
                    raise FilmError(f"{path} has no pictures: there is no video stream in it")
                stream = container.streams.video[0]
                sound = container.streams.audio[0].codec_context.name if container.streams.audio else ""
                first = next(iter(container.decode(stream)), None)
                if first is None:
                    raise FilmError(f"{path} holds not a single frame that can be read")
                height, width = (first.height, first.width) if first.rotation % 180 == 0 else (first.width, first.height)
                rate = stream.average_rate or stream.guessed_rate or Fraction(25)
                time_base = Fraction(stream.time_base or Fraction(1, 90_000))
                duration = float(stream.duration * time_base) if stream.duration else (container.duration or 0) / 1e6
                self.info = FilmInfo((height, width), Fraction(rate), time_base, stream.frames, duration, sound)
        except av.FFmpegError as error:
            raise FilmError(f"{path} is not a film that can be read ({error.strerror or error})") from None

    def __iter__(self) -> Iterator[Frame]:
        number, last, broken, resized = 0, None, 0, 0
        with av.open(str(self.path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            step = max(1, round(1 / (self.info.rate * self.info.time_base)))
            try:
                for packet in container.demux(stream):
                    try:
                        frames = packet.decode()
                    except av.FFmpegError:
                        broken += 1
                        continue
                    for decoded in frames:
                        time = decoded.pts if decoded.pts is not None else (0 if last is None else last + step)
                        if last is not None and time <= last:
                            time = last + 1
                        last = time
                        picture = _upright(decoded)
                        resized += picture.shape[:2] != self.info.size
                        yield Frame(picture, time, number)
                        number += 1
            except av.FFmpegError as error:
                self.problem = f"{self.path} is damaged after frame {number} ({error.strerror or error}); what comes before it was kept"
        self.problem = self.problem or self._missing(number, 0.0 if last is None else float(last * self.info.time_base))
        if broken and not self.problem:
            self.problem = f"{broken} packets of {self.path} are broken: their frames are missing, and what there is was kept"
        if resized and not self.problem:
            self.problem = f"{resized} frames of {self.path} are not of the size of the first, and were fitted to it"

    def _missing(self, frames: int, end: float) -> str:
        """What the header promised and the file does not hold, as a sentence."""
        cut = "it is cut off, and what there is was kept"
        if self.info.frames and frames < 0.98 * self.info.frames - 1:
            return f"{self.path} ends after {frames} of {self.info.frames} frames: {cut}"
        if not self.info.frames and end < 0.97 * self.info.duration - 1:
            return f"{self.path} ends after {end:.1f} of {self.info.duration:.1f} seconds: {cut}"
        return ""


def _upright(decoded: Any) -> np.ndarray:
    """A decoded frame as bytes (H, W, 3), turned as the film says."""
    array = decoded.to_ndarray(format="rgb24")
    turns = round(decoded.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(array, turns) if turns else array)


def as_bytes(pixels: Tensor) -> np.ndarray:
    """Pixels (3, H, W), RGB in [0, 1], as bytes (H, W, 3)."""
    array: np.ndarray = pixels.mul(255).round().clamp(0, 255).byte().permute(1, 2, 0).contiguous().numpy()
    return array


def even(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width without their last pixel where they are odd: the usual way to store films has one colour for 2x2 pixels."""
    return max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2)


def check_film_output(path: Path, source: Path) -> None:
    """Say before any long work whether a film could be written here. Raises FilmError or InputError."""
    if path.suffix.lower() not in _CODECS:
        raise FilmError(f"cannot write {path}: the name of a film has to end in {', '.join(_CODECS)}")
    if path.exists() and source.exists() and path.samefile(source):
        raise FilmError(f"{path} is the input itself and is not overwritten; choose another output")
    if path.is_dir():
        raise FilmError(f"cannot write {path}: it is a folder")
    check_folder(path)


def check_sound(path: Path, info: FilmInfo, source: Path) -> None:
    """Say before any long work if the sound cannot go into a file of this suffix: .webm holds Opus and Vorbis. Raises FilmError."""
    if path.suffix.lower() == ".webm" and info.sound and info.sound not in ("opus", "vorbis"):
        raise FilmError(f"the sound of {source} ({info.sound}) does not fit into .webm; give a name that ends in .mkv")


class FilmWriter:
    """Writes a film in parts of `part` frames beside the output, and joins them with the sound of the source.

    key: what has to be the same for an interrupted film to go on: source, style and controls in one string. `done` frames are finished
    already; `last` is the last of them as it was written, bytes (H, W, 3) without loss, or None.

        writer = FilmWriter(output, source, info, size, key)
        writer.write(picture, time)    for every frame from number writer.done on
        writer.finish()
    """

    def __init__(self, output: Path, source: Path, info: FilmInfo, size: tuple[int, int], key: str, *, part: int = 50):
        self.output, self.source, self.info, self.size, self.part = output, source, info, even(size), part
        self.folder = output.with_name(f".{output.name}.parts")
        self.codec = _CODECS[output.suffix.lower()]
        self.done = 0
        self.last: np.ndarray | None = None
        self._container: Any = None
        self._stream: Any = None
        self._in_part, self._picture = 0, np.empty(0)
        self._parts: list[str] = []
        self._key = f"{key}|{self.size}|{self.codec}"
        self._take_up()

    def _take_up(self) -> None:
        """Go on where an earlier run with the same key stopped."""
        note = self.folder / "state.json"
        try:
            state = json.loads(note.read_text(encoding="utf-8"))
            if state["key"] == self._key and all((self.folder / name).is_file() for name in state["parts"]):
                self._parts, self.done = state["parts"], state["done"]
                self.last = np.load(self.folder / "last.npy")
                return
        except (OSError, ValueError, KeyError, TypeError):
            pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, picture: np.ndarray, time: int) -> None:
        """Add a frame, bytes (H, W, 3) of the writer's size, at a time in the source's time base."""
        if self._container is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            name = f"{len(self._parts):06d}.mp4"
            self._container = av.open(str(self.folder / name), "w", options={"video_track_timescale": str(self.info.time_base.denominator)})
            self._stream = self._container.add_stream(self.codec, rate=self.info.rate)
            self._stream.height, self._stream.width = self.size
            self._stream.pix_fmt = "yuv420p"
            self._stream.time_base = self._stream.codec_context.time_base = self.info.time_base
            self._stream.codec_context.framerate = self.info.rate
            self._stream.options = _OPTIONS[self.codec]
            self._parts.append(name)
            self._in_part = 0
        self._picture = picture
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        frame.pts, frame.time_base = time, self.info.time_base
        self._container.mux(self._stream.encode(frame))
        self._in_part += 1
        if self._in_part >= self.part:
            self._close_part()

    def _close_part(self) -> None:
        if self._container is None:
            return
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._container = None
        self.done += self._in_part
        with atomic_file(self.folder / "last.npy") as temporary, temporary.open("wb") as stream:
            np.save(stream, self._picture)
        with atomic_file(self.folder / "state.json") as temporary:
            temporary.write_text(json.dumps({"key": self._key, "parts": self._parts, "done": self.done}), encoding="utf-8")

    def pause(self) -> None:
        """Keep what was written so far, to go on another time."""
        self._close_part()

    def finish(self) -> None:
        """Join the parts and the sound into the output, which appears whole or not at all. Raises FilmError."""
        self._close_part()
        if not self._parts:
            raise FilmError(f"{self.source} gave no frame that could be painted")
        with atomic_file(self.output) as temporary:
            self._join(temporary)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _join(self, target: Path) -> None:
        kind = {".mkv": "matroska", ".webm": "webm", ".mov": "mov"}.get(self.output.suffix.lower(), "mp4")
        options = {"video_track_timescale": str(self.info.time_base.denominator)} if kind in ("mp4", "mov") else {}
        end = 0.0
        with ExitStack() as opened:
            joined = opened.enter_context(av.open(str(target), "w", format=kind, options=options))
            source = opened.enter_context(av.open(str(self.source))) if self.info.sound else None
            with av.open(str(self.folder / self._parts[0])) as first:
                pictures = joined.add_stream_from_template(first.streams.video[0])
                pictures.time_base = self.info.time_base
            sound = None
            if source is not None:
                try:
                    sound = joined.add_stream_from_template(source.streams.audio[0])
                    joined.start_encoding()
                except (ValueError, av.FFmpegError):
                    misfit = f"the sound of {self.source} ({self.info.sound}) does not fit into {self.output.suffix}"
                    raise FilmError(f"{misfit}; give a name that ends in .mkv") from None
            heard = iter(()) if source is None else self._sound(source)
            waiting = next(heard, None)
            for packet in chain.from_iterable(self._packets(name) for name in self._parts):
                packet.stream = pictures
                end = float(packet.pts * packet.time_base)
                while waiting is not None and waiting.pts is not None and float(waiting.pts * waiting.time_base) <= end:
                    waiting.stream = sound
                    joined.mux(waiting)
                    waiting = next(heard, None)
                joined.mux(packet)
            limit = end + 1 / float(self.info.rate)
            while waiting is not None:
                if waiting.pts is None or float(waiting.pts * waiting.time_base) <= limit:
                    waiting.stream = sound
                    joined.mux(waiting)
                waiting = next(heard, None)

    def _packets(self, name: str) -> Iterator[Any]:
        with av.open(str(self.folder / name)) as part:
            for packet in part.demux(part.streams.video[0]):
                if packet.dts is not None:
                    yield packet

    @staticmethod
    def _sound(source: Any) -> Iterator[Any]:
        """The packets of the sound, as far as they can be read."""
        try:
            for packet in source.demux(source.streams.audio[0]):
                if packet.dts is not None:
                    yield packet
        except av.FFmpegError:
            return
