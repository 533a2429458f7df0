"""Recordings that were joined, whose times jump where the next one begins, and times that go on there."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from impasto.files import remembered
from impasto.media.opening import open_video

_JUMPING = 0x200
"""FFmpeg's flag of container formats whose times may jump (AVFMT_TS_DISCONT): MPEG-TS, MPEG-PS and others."""
_BACK, _AHEAD = Fraction(1, 10), Fraction(10)
"""Seconds by which times have to fall back, or go ahead, so that another recording begins: those of FFmpeg's program."""


@dataclass(frozen=True)
class Recordings:
    """Recordings that follow each other in a file.

    offsets: seconds that have to be added to the times of each so that they go on; (0,) where nothing jumps.
    duration: seconds of all of them; 0 for a file whose header says it.
    """

    offsets: tuple[Fraction, ...] = (Fraction(0),)
    duration: Fraction = Fraction(0)


@remembered(16)
def recordings_of(path: Path, stream: int) -> Recordings:
    """The recordings that a file consists of.

    stream: number of the video stream; its packets are read, and nothing is decoded. Raises av.FFmpegError.
    """
    offsets = [Fraction(0)]
    with open_video(path) as container:
        if not int(container.format.flags) & _JUMPING:
            return Recordings()
        begin: Fraction | None = None
        last = end = Fraction(0)
        for packet in container.demux(container.streams[stream]):
            if packet.dts is None:
                continue
            time = packet.dts * Fraction(packet.time_base)
            if begin is None:
                begin = time
            elif not last - _BACK <= time <= last + _AHEAD:
                offsets.append(end + offsets[-1] - time)
            last, end = time, time + (packet.duration or 0) * Fraction(packet.time_base)
    return Recordings(tuple(offsets), Fraction(0) if begin is None else end + offsets[-1] - begin)


class Continued:
    """Times of one stream in seconds, one after the other, as they are when they go on where recordings were joined."""

    def __init__(self, offsets: tuple[Fraction, ...]):
        self._offsets = list(offsets)
        self._end: Fraction | None = None

    def __call__(self, time: Fraction, duration: Fraction = Fraction(0)) -> Fraction:
        """The time that goes on: of the recording that is read, or of the next one where that is nearer to what came before."""
        here, *later = (time + offset for offset in self._offsets[:2])
        if self._end is not None and later and abs(later[0] - self._end) < abs(here - self._end):
            del self._offsets[0]
            here = later[0]
        self._end = here + duration
        return here


def shifted(packet: Any, seconds: Fraction) -> None:
    """Add seconds to the times of a packet."""
    ticks = round(seconds / Fraction(packet.time_base))
    packet.pts = None if packet.pts is None else packet.pts + ticks
    packet.dts = None if packet.dts is None else packet.dts + ticks
