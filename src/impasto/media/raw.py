"""Raw frames in and out of a pipe, as ffmpeg's rawvideo in rgb24: a camera on one side, a screen on the other."""

from collections.abc import Iterator
from fractions import Fraction
from typing import BinaryIO

import numpy as np

from impasto.errors import InputError
from impasto.media.frames import RATE
from impasto.media.videos import FilmInfo, Frame


def raw_size(text: str) -> tuple[int, int]:
    """Height and width of `640x360`. Raises InputError."""
    width, cross, height = text.lower().partition("x")
    if not (cross and width.isdigit() and height.isdigit() and int(width) and int(height)):
        raise InputError(f"the size of raw frames is given as 640x360, not as {text!r}")
    return int(height), int(width)


class RawReader:
    """Frames of a stream of bytes, RGB, row by row, nothing between them. size: height and width.

    `problem` says so if the stream ended within a frame.
    """

    remarks: tuple[str, ...] = ()

    def __init__(self, stream: BinaryIO, size: tuple[int, int], *, rate: Fraction = RATE):
        self.stream, self.problem = stream, ""
        self.info = FilmInfo(size, rate, 1 / rate, 0, 0.0)

    def __iter__(self) -> Iterator[Frame]:
        height, width = self.info.size
        number, length = 0, height * width * 3
        while data := _whole(self.stream, length):
            if len(data) < length:
                self.problem = (
                    f"the pipe ended within frame {number}: {len(data)} of {length} bytes; frames of {width}x{height} were expected"
                )
                return
            yield Frame(np.frombuffer(data, np.uint8).reshape(height, width, 3).copy(), number, number)
            number += 1


def _whole(stream: BinaryIO, length: int) -> bytes:
    """As many bytes, or what there was at the end: pipes give less at a time than is asked."""
    parts, left = [], length
    while left and (part := stream.read(left)):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


def write_raw(stream: BinaryIO, picture: np.ndarray) -> None:
    """Write a frame, bytes (H, W, 3), and let it go at once."""
    stream.write(picture.tobytes())
    stream.flush()
