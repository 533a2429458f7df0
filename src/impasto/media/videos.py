"""Films in, frame by frame, upright, in square pixels, as RGB; see `film_writer` for films out."""

import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from av.sidedata.sidedata import Type
from av.stream import Disposition
from torch import Tensor

from impasto.errors import InputError
from impasto.media.film_color import FilmColor, ToRGB, color_of
from impasto.media.opening import MADE_BY, open_video
from impasto.media.time_jumps import Continued, recordings_of

MOST_FILM_PIXELS = 100_000_000
"""Largest frames that are decoded, width times height."""

_ALPHA_DECODERS = {"vp9": "libvpx-vp9", "vp8": "libvpx"}
"""FFmpeg's own decoders of these pass over the alpha that WebM stores beside the pictures."""

_WITHOUT_ORDER = frozenset({"avi"})
"""Containers whose packets have one time, so that FFmpeg has to guess in which order frames are shown; decoders know it."""
_RUN_UP = Fraction(1, 2)
"""Seconds before the first frame of a span from which it is decoded: filters look at the frames before."""


class _SeekError(Exception):
    """A film that has to be decoded from its beginning."""


class FilmError(InputError):
    """A file that should be a film is not one, or cannot be read or written as one."""


@dataclass(frozen=True)
class FilmInfo:
    """What a film's header says. size: height and width, upright, in square pixels. rate: mean frames per second.

    frames: their number, 0 if unknown. duration: seconds, 0 if unknown. time_base: seconds per unit of the frames' times. color: how its
    colours are stored. alpha: whether it has any. remarks: messages on what is changed by reading it. start: time of the first frame, in
    units of the time base. origin: seconds of its times that are the beginning of all its streams. offsets: see
    `impasto.media.time_jumps.Recordings`.
    """

    size: tuple[int, int]
    rate: Fraction
    time_base: Fraction
    frames: int
    duration: float
    color: FilmColor = field(default_factory=lambda: FilmColor(1, 1, 1))
    alpha: bool = False
    remarks: tuple[str, ...] = ()
    start: int = 0
    origin: Fraction = Fraction(0)
    offsets: tuple[Fraction, ...] = (Fraction(0),)

    @property
    def length(self) -> int:
        """Frames, by their number and by the duration, whichever are fewer: headers may lie; 0 if nothing is known."""
        return min((count for count in (self.frames, round(self.duration * self.rate)) if count > 0), default=0)


@dataclass(frozen=True)
class Frame:
    """One frame, upright: RGB or RGBA as bytes (H, W, 3 or 4); its time in units of the film's time base; its number from 0.

    duration: in units of the time base, 0 if unknown.
    """

    bytes: np.ndarray
    time: int
    number: int
    duration: int = 0

    @property
    def pixels(self) -> Tensor:
        """(3, H, W) float32, RGB in [0, 1]."""
        return torch.from_numpy(self.bytes[..., :3]).permute(2, 0, 1).float().div_(255)

    @property
    def alpha(self) -> Tensor | None:
        """(1, H, W) float32 in [0, 1], None where the film has none."""
        return torch.from_numpy(self.bytes[..., 3:]).permute(2, 0, 1).float().div_(255) if self.bytes.shape[2] == 4 else None


def comment_of(path: Path) -> str:
    """What a film says of itself; "" for what says nothing, or cannot be opened."""
    try:
        with open_video(path) as film:
            return next((value for key, value in film.metadata.items() if key.lower() == "comment"), "")
    except (av.FFmpegError, ValueError, OSError):
        return ""


def film_made_here(path: Path) -> bool:
    """Whether a film says that Impasto painted it. False for what cannot be opened."""
    return comment_of(path).startswith(MADE_BY)


class FilmReader:
    """A film, frame by frame; memory does not grow with its length.

    `info` is known at once; iterating gives the frames, all of the size of the first. `remarks` says what is changed by reading it,
    afterwards also what was found on the way. `problem` says afterwards what was wrong, if anything was: a truncated file gives the frames
    that could be read, and broken packets are passed over. Raises FilmError for what is no film or has no pictures.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path, self.problem = Path(path), ""
        if self.path.is_dir():
            raise FilmError(f"{path} is a folder, not a film")
        if not self.path.exists():
            raise FilmError(f"{path} does not exist")
        try:
            with open_video(self.path) as container:
                stream = _main_stream(path, container)
                _check_size(path, stream.codec_context)
                self._index = stream.index
                decoder = _decoder(stream)
                first = self._first(container, stream, decoder)
                self._info(container, stream, first)
        except FilmError:
            raise
        except MemoryError:
            raise FilmError(f"{path} needs more memory than there is") from None
        except Exception as error:  # decoders raise whatever they stumble over
            raise FilmError(f"{path} is not a film that can be read ({getattr(error, 'strerror', None) or error})") from None

    def _first(self, container: Any, stream: Any, decoder: Any) -> Any:
        """The first frame. Raises FilmError."""
        begin = None
        for packet in container.demux(stream):
            begin = packet.dts if begin is None else begin
            for frame in _decoded(decoder, packet):
                known = container.format.name in _WITHOUT_ORDER and frame.dts is not None and begin is not None
                self._delay = frame.dts - begin if known else None
                return self._stamped(frame)
        raise FilmError(f"{self.path} holds not a single frame that can be read")

    def _stamped(self, frame: Any) -> Any:
        """A frame with the time at which it is shown."""
        if self._delay is not None:
            frame.pts = None if frame.dts is None else frame.dts - self._delay
        return frame

    def _info(self, container: Any, stream: Any, first: Any) -> None:
        self._matrix, stretch = _turned(first), _pixel_shape(stream)
        width, height = round(first.width * stretch), first.height
        size = (height, width) if self._matrix[0, 0] else (width, height)
        color, alpha = color_of(first, first.height), _has_alpha(first)
        stated = (Fraction(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate)
        rate = next((rate for rate in stated if Fraction(1, 100) <= rate <= 1000), Fraction(25))
        time_base = Fraction(stream.time_base or Fraction(1, 90_000))
        recordings, origin = recordings_of(self.path, stream.index), _origin(container)
        begin = (first.pts or 0) * time_base
        shift = max(-origin, -begin) if begin < 0 else Fraction(0)  # a clock that runs over soon: pieces cannot begin before 0
        self._convert = (color, alpha)
        remarks = _streams_left_out(self.path, container, stream)
        if color.message:
            remarks.append(f"{self.path} {color.message}")
        if stretch != 1:
            shape = f"{stretch.numerator}:{stretch.denominator}"
            remarks.append(f"{self.path} has pixels that are not square ({shape}) and is brought to square ones")
        beside = _side_data(first)
        if Type.SPHERICAL in beside:
            remarks.append(f"{self.path} is a 360-degree video; the result does not say so: players show it flat until this is set again")
        if beside & {Type.DOVI_METADATA, Type.DOVI_RPU_BUFFER} and not color.hdr:
            remarks.append(f"{self.path} is in Dolby Vision without a base that other players show: its colours will be wrong")
        self.remarks = tuple(remarks)
        self.info = FilmInfo(
            size,
            rate,
            time_base,
            stream.frames,
            float(recordings.duration) or _duration(container, stream),
            color,
            alpha,
            self.remarks,
            round((begin + shift) / time_base),
            origin + shift,
            tuple(offset + shift for offset in recordings.offsets),
        )

    def __iter__(self) -> Iterator[Frame]:
        return self.span()

    def span(self, begin: int | None = None, end: int | None = None) -> Iterator[Frame]:
        """The frames whose times are from `begin` on and before `end`, in units of the film's time base; they are numbered from 0.

        Only what is needed is decoded, where the film can be sought in.
        """
        if begin is None or any(self.info.offsets):
            yield from self._decoded_from(None, begin, end)
            return
        early = begin - round(_RUN_UP / self.info.time_base)
        frames = self._decoded_from(early, begin, end)
        try:
            first = next(frames, None)
        except _SeekError:
            yield from self._decoded_from(None, begin, end)
            return
        if first is not None:
            yield first
            yield from frames

    def _decoded_from(self, start: int | None, begin: int | None, end: int | None) -> Iterator[Frame]:
        """Frames from `begin` on, decoded from the key frame before `start` or from the first frame on. Raises _SeekError."""
        self.problem = ""
        number, last, broken, fitted = 0, None, 0, 0
        color, alpha = self._convert
        convert, base = ToRGB(color, alpha=alpha), self.info.time_base
        goes_on = Continued(self.info.offsets)
        with open_video(self.path) as container:
            stream = container.streams[self._index]
            stream.thread_type = "AUTO"
            decoder = _decoder(stream)
            shapes: deque[Fraction] = deque(maxlen=1 + int(stream.codec_context.has_b_frames))  # frames come out so many packets later
            waiting: deque[Fraction] = deque()
            step = max(1, round(1 / (self.info.rate * base)))
            duration = step
            sought = start is not None
            if start is not None:
                _seek(container, stream, start)
            try:
                for packet in container.demux(stream):
                    try:
                        ready = []
                        for frame in _decoded(decoder, packet):
                            shapes.append(_pixel_shape(stream))
                            waiting.append(shapes[0])
                            ready += convert(self._stamped(frame), base)
                        if packet.dts is None:
                            ready += convert(None, base)
                    except av.FFmpegError:
                        broken += 1
                        continue
                    for array, seconds, lasts in ready:
                        shape = waiting.popleft() if waiting else _pixel_shape(stream)
                        if sought and (seconds is None or (last is None and begin is not None and seconds > begin * base)):
                            raise _SeekError
                        if seconds is None:
                            time = 0 if last is None else last + step
                        else:
                            time = round(goes_on(seconds, lasts or step * base) / base)
                        if last is not None and time <= last:
                            time = last + 1
                        last, duration = time, round(lasts / base) or step
                        if begin is not None and time < begin:
                            continue
                        if end is not None and time >= end:
                            return
                        picture = self._upright(array, shape)
                        if picture.shape[:2] != self.info.size:
                            picture, fitted = with_bars(picture, self.info.size), fitted + 1
                        yield Frame(picture, time, number, duration)
                        number += 1
            except av.FFmpegError as error:
                self.problem = f"{self.path} is damaged after frame {number} ({error.strerror or error}); what comes before it was kept"
        if sought and last is None:
            raise _SeekError
        if begin is None:
            self.problem = self.problem or self._missing(number, 0.0 if last is None else float((last + duration - self.info.start) * base))
        if broken and not self.problem:
            self.problem = f"{broken} packets of {self.path} are broken: their frames are missing, and what there is was kept"
        self.remarks = self.info.remarks
        if convert.deinterlaced:
            self.remarks += (f"{self.path} is interlaced and is deinterlaced",)
        if fitted:
            self.remarks += (f"{fitted} frames of {self.path} are not of the size or pixel shape of the first: bars surround them",)

    def _upright(self, array: np.ndarray, stretch: Fraction) -> np.ndarray:
        """A decoded frame turned and mirrored as the film says, in square pixels."""
        if stretch != 1:
            size = (max(1, round(array.shape[1] * stretch)), array.shape[0])
            array = cv2.resize(array, size, interpolation=cv2.INTER_AREA if stretch < 1 else cv2.INTER_CUBIC)
        matrix = self._matrix
        if not matrix[0, 0]:
            array = array.swapaxes(0, 1)
        if matrix[0].sum() < 0:
            array = array[:, ::-1]
        if matrix[1].sum() < 0:
            array = array[::-1]
        return np.ascontiguousarray(array)

    def _missing(self, frames: int, length: float) -> str:
        """What the header promised and the file does not hold, as a message. length: of the frames that were read, in seconds."""
        promised = self.info.duration
        if promised and length < 0.97 * promised - 1:
            return f"{self.path} ends after {length:.1f} of {promised:.1f} seconds: it is cut off, and what there is was kept"
        if not promised and frames < 0.98 * self.info.frames - 1:
            return f"{self.path} ends after {frames} of {self.info.frames} frames: it is cut off, and what there is was kept"
        return ""


def with_bars(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A frame, bytes (H, W, 3 or 4), as large as fits into a size (height, width), centred; around it black, with alpha nothing."""
    scale = min(size[0] / picture.shape[0], size[1] / picture.shape[1])
    height, width = (min(most, max(1, round(side * scale))) for side, most in zip(picture.shape[:2], size, strict=True))
    fitted = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    around = np.zeros((*size, picture.shape[2]), np.uint8)
    around[top : top + height, left : left + width] = fitted
    return around


def _side_data(frame: Any) -> set[Type]:
    """Kinds of data beside a frame; none where PyAV has no name for one of them, such as EXIF, and then gives none."""
    try:
        return {data.type for data in frame.side_data}
    except ValueError:
        return set()


def _main_stream(path: str | os.PathLike[str], container: Any) -> Any:
    """The video stream that players show: the default one, not a cover. Raises FilmError."""
    covers = Disposition.attached_pic | Disposition.timed_thumbnails
    real = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not real:
        what = "no video stream in it but a cover image" if container.streams.video else "no video stream in it"
        raise FilmError(f"{path} has no pictures: there is {what}")
    readable = [stream for stream in real if stream.codec_context is not None]
    if not readable:
        raise FilmError(f"{path} has pictures in a format that cannot be decoded here")
    return next((stream for stream in readable if stream.disposition & Disposition.default), readable[0])


def _streams_left_out(path: Path, container: Any, chosen: Any) -> list[str]:
    """A message on the video streams that are not painted, if there are any."""
    others = [stream for stream in container.streams.video if stream.index != chosen.index]
    if not others:
        return []
    names = [_described(stream) for stream in others]
    return [f"{path} holds {len(others) + 1} video streams: {_described(chosen)} is painted, and left out: {', '.join(names)}"]


def _described(stream: Any) -> str:
    context = stream.codec_context
    title = stream.metadata.get("title") or stream.metadata.get("TITLE")
    what = "cover image" if stream.disposition & Disposition.attached_pic else f'"{title}"' if title else "stream"
    return f"{what} {stream.index}" + ("" if context is None else f" ({context.name} {context.width}x{context.height})")


def _pixel_shape(stream: Any) -> Fraction:
    """Width of a pixel over its height, as the stream says now; 1 where it says nothing that can be."""
    shape = stream.codec_context.sample_aspect_ratio or stream.sample_aspect_ratio
    return Fraction(shape) if shape and Fraction(1, 16) < shape < 16 else Fraction(1)


def _duration(container: Any, stream: Any) -> float:
    """Seconds of the video stream, 0 if only the length of another is known. What Matroska calls a duration is the end."""
    if stream.duration:
        return float(stream.duration * stream.time_base)
    stated = next((value for key, value in stream.metadata.items() if key.upper().startswith("DURATION")), "")
    parts = stated.split(":")
    try:
        if len(parts) == 3:
            end = float(int(parts[0]) * 3600 + int(parts[1]) * 60 + float(parts[2]))
            return max(0.0, end - float((stream.start_time or 0) * stream.time_base))
    except ValueError:
        pass
    return max(0, (container.duration or 0) - (container.start_time or 0)) / 1e6 if len(container.streams) == 1 else 0.0


def _origin(container: Any) -> Fraction:
    """Seconds at which the streams of a file begin; what encoders of sound put before 0 does not count."""
    begin = Fraction(container.start_time or 0, 1_000_000)
    return Fraction(0) if Fraction(-1, 10) < begin < 0 else begin


def _check_size(path: str | os.PathLike[str], context: Any) -> None:
    if context.width * context.height > MOST_FILM_PIXELS:
        raise FilmError(f"{path} says that its frames have {context.width}x{context.height} pixels, more than any film has")


def _seek(container: Any, stream: Any, start: int) -> None:
    """Go to the key frame before a time. Raises _SeekError."""
    try:
        container.seek(start, stream=stream, backward=True)
    except av.FFmpegError:
        raise _SeekError from None


def _decoder(stream: Any) -> Any:
    """What decodes the packets of a stream: its own decoder, or one that knows about the alpha that is stored beside the pictures."""
    marked = any(key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items())
    name = _ALPHA_DECODERS.get(stream.codec_context.name, "") if marked else ""
    return av.CodecContext.create(name, "r") if name in av.codec.codecs_available else stream.codec_context


def _decoded(decoder: Any, packet: Any) -> list[Any]:
    frames: list[Any] = packet.decode() if packet.stream.codec_context is decoder else decoder.decode(packet if packet.size else None)
    return frames


def _has_alpha(frame: Any) -> bool:
    name = frame.format.name
    return str(name).startswith(("yuva", "gbrap", "ya8", "ya16", "rgba", "bgra", "argb", "abgr", "pal8"))


def _turned(frame: Any) -> np.ndarray:
    """The display matrix, rounded to whole turns and mirrors: (2, 2) of -1, 0 and 1; what x and y of the shown picture are made of."""
    try:
        data = np.frombuffer(bytes(frame.side_data[Type.DISPLAYMATRIX]), np.int32)
    except (KeyError, TypeError):
        return np.eye(2, dtype=int)
    except ValueError:  # PyAV gives no data at all where it has no name for one of them
        return np.linalg.matrix_power(np.array([[0, 1], [-1, 0]]), round(frame.rotation / 90) % 4)
    (a, b, c, d) = (float(data[index]) for index in (0, 1, 3, 4))
    across = abs(a) + abs(d) >= abs(b) + abs(c)
    a, b, c, d = (-1 if value < 0 else 1 for value in (a, b, c, d))
    return np.array([[a, 0], [0, d]] if across else [[0, c], [b, 0]])


def as_bytes(pixels: Tensor) -> np.ndarray:
    """Pixels (C, H, W) in [0, 1] as bytes (H, W, C)."""
    array: np.ndarray = pixels.mul(255).round().clamp(0, 255).byte().permute(1, 2, 0).contiguous().numpy()
    return array


def even(size: tuple[int, int]) -> tuple[int, int]:
    """Height and width without their last pixel where they are odd: the usual way to store films has one colour for 2x2 pixels."""
    return max(2, size[0] // 2 * 2), max(2, size[1] // 2 * 2)
