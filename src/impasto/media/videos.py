"""Films in, frame by frame, upright, in square pixels, as RGB; see `film_writer` for films out."""

import os
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
from torch import Tensor

from impasto.errors import InputError
from impasto.media.film_color import FilmColor, ToRGB, color_of
from impasto.media.opening import MADE_BY

MOST_FILM_PIXELS = 100_000_000
"""Largest frames that are decoded, width times height."""

_ALPHA_DECODERS = {"vp9": "libvpx-vp9", "vp8": "libvpx"}
"""FFmpeg's own decoders of these pass over the alpha that WebM stores beside the pictures."""


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
    colours are stored. alpha: whether it has any. remarks: sentences on what is changed by reading it. start: time of the first frame, in
    units of the time base.
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

    @property
    def length(self) -> int:
        """Frames, by their number and by the duration, whichever are fewer: headers may lie; 0 if nothing is known."""
        return min((count for count in (self.frames, round(self.duration * self.rate)) if count > 0), default=0)


@dataclass(frozen=True)
class Frame:
    """One frame, upright: RGB or RGBA as bytes (H, W, 3 or 4); its time in units of the film's time base; its number from 0."""

    bytes: np.ndarray
    time: int
    number: int

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
        with av.open(str(path)) as film:
            return next((value for key, value in film.metadata.items() if key.lower() == "comment"), "")
    except (av.FFmpegError, ValueError, OSError):
        return ""


def film_made_here(path: Path) -> bool:
    """Whether a film says that Impasto painted it. False for what cannot be opened."""
    return comment_of(path).startswith(MADE_BY)


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
                if stream.codec_context is None:
                    raise FilmError(f"{path} has pictures in a format that cannot be decoded here")
                _check_size(path, stream.codec_context)
                decoder = _decoder(stream)
                first = next((frame for packet in container.demux(stream) for frame in _decoded(decoder, packet)), None)
                if first is None:
                    raise FilmError(f"{path} holds not a single frame that can be read")
                self._info(container, stream, first)
        except FilmError:
            raise
        except MemoryError:
            raise FilmError(f"{path} needs more memory than there is") from None
        except Exception as error:  # decoders raise whatever they stumble over
            raise FilmError(f"{path} is not a film that can be read ({getattr(error, 'strerror', None) or error})") from None

    def _info(self, container: Any, stream: Any, first: Any) -> None:
        shape = stream.sample_aspect_ratio or stream.codec_context.sample_aspect_ratio
        self._matrix = _turned(first)
        self._stretch = Fraction(shape) if shape and Fraction(1, 16) < shape < 16 else Fraction(1)
        width, height = round(first.width * self._stretch), first.height
        size = (height, width) if self._matrix[0, 0] else (width, height)
        color, interlaced = color_of(first, first.height), bool(first.interlaced_frame)
        alpha = _has_alpha(first)
        stated = (Fraction(rate) for rate in (stream.average_rate, stream.guessed_rate) if rate)
        rate = next((rate for rate in stated if Fraction(1, 100) <= rate <= 1000), Fraction(25))
        time_base = Fraction(stream.time_base or Fraction(1, 90_000))
        duration = float(stream.duration * time_base) if stream.duration else (container.duration or 0) / 1e6
        self._convert = (color, alpha, interlaced)
        remarks = []
        if color.hdr:
            remarks.append(f"{self.path} is HDR ({color.hdr}) and is brought to the range of ordinary screens (BT.709)")
        elif color.mapped:
            remarks.append(f"{self.path} has the wide colours of BT.2020 and is brought to BT.709")
        if interlaced:
            remarks.append(f"{self.path} is interlaced and is deinterlaced")
        if self._stretch != 1:
            remarks.append(
                f"{self.path} has pixels that are not square ({shape.numerator}:{shape.denominator}) and is brought to square ones"
            )
        self.info = FilmInfo(size, rate, time_base, stream.frames, duration, color, alpha, tuple(remarks), first.pts or 0)

    def __iter__(self) -> Iterator[Frame]:
        return self.span()

    def span(self, begin: int | None = None, end: int | None = None) -> Iterator[Frame]:
        """The frames whose times are from `begin` on and before `end`, in units of the film's time base; they are numbered from 0.

        Only what is needed is decoded, where the film can be sought in.
        """
        if begin is None:
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
        number, last, broken, resized = 0, None, 0, 0
        color, alpha, interlaced = self._convert
        convert, base = ToRGB(color, alpha=alpha, deinterlace=interlaced), self.info.time_base
        with av.open(str(self.path)) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            decoder = _decoder(stream)
            step = max(1, round(1 / (self.info.rate * base)))
            sought = start is not None
            if start is not None:
                _seek(container, stream, start)
            try:
                for packet in container.demux(stream):
                    try:
                        frames = _decoded(decoder, packet)
                        ready = [one for frame in frames for one in convert(frame, base)]
                        if packet.dts is None:
                            ready += convert(None, base)
                    except av.FFmpegError:
                        broken += 1
                        continue
                    for array, seconds in ready:
                        if sought and (seconds is None or (last is None and begin is not None and seconds > begin * base)):
                            raise _SeekError
                        time = round(seconds / base) if seconds is not None else (0 if last is None else last + step)
                        if last is not None and time <= last:
                            time = last + 1
                        last = time
                        if begin is not None and time < begin:
                            continue
                        if end is not None and time >= end:
                            return
                        picture = self._upright(array)
                        resized += picture.shape[:2] != self.info.size
                        yield Frame(picture, time, number)
                        number += 1
            except av.FFmpegError as error:
                self.problem = f"{self.path} is damaged after frame {number} ({error.strerror or error}); what comes before it was kept"
        if sought and last is None:
            raise _SeekError
        if begin is None:
            self.problem = self.problem or self._missing(number, 0.0 if last is None else float(last * base))
        if broken and not self.problem:
            self.problem = f"{broken} packets of {self.path} are broken: their frames are missing, and what there is was kept"
        if resized and not self.problem:
            self.problem = f"{resized} frames of {self.path} are not of the size of the first, and were fitted to it"

    def _upright(self, array: np.ndarray) -> np.ndarray:
        """A decoded frame turned and mirrored as the film says, in square pixels."""
        if self._stretch != 1:
            size = (max(1, round(array.shape[1] * self._stretch)), array.shape[0])
            array = cv2.resize(array, size, interpolation=cv2.INTER_AREA if self._stretch < 1 else cv2.INTER_CUBIC)
        matrix = self._matrix
        if not matrix[0, 0]:
            array = array.swapaxes(0, 1)
        if matrix[0].sum() < 0:
            array = array[:, ::-1]
        if matrix[1].sum() < 0:
            array = array[::-1]
        return np.ascontiguousarray(array)

    def _missing(self, frames: int, end: float) -> str:
        """What the header promised and the file does not hold, as a sentence."""
        cut = "it is cut off, and what there is was kept"
        if self.info.frames and frames < 0.98 * self.info.frames - 1:
            return f"{self.path} ends after {frames} of {self.info.frames} frames: {cut}"
        if not self.info.frames and end < 0.97 * self.info.duration - 1:
            return f"{self.path} ends after {end:.1f} of {self.info.duration:.1f} seconds: {cut}"
        return ""


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
