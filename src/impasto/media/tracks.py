"""What a film holds beside its pictures - sound, subtitles, chapters - and how much of it a container takes.

Sound that does not fit is encoded anew, AAC or Opus; what cannot be carried is said. Whether something fits is tried, by writing a header
in memory: FFmpeg knows its containers better than a table of ours.
"""

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""Containers of painted films by suffix."""

_SOUND = {"webm": "libopus"}
_RATES = {"libopus": 48_000}
_MOST_AAC = 96_000


@dataclass(frozen=True)
class Track:
    """One stream of a film beside its pictures: its number in the file, its kind, and the encoder it needs, "" to be copied."""

    index: int
    kind: str
    encoder: str = ""


@dataclass(frozen=True)
class Tracks:
    """What is carried over to a container, and sentences about what is not, or not as it was."""

    carried: tuple[Track, ...] = ()
    remarks: tuple[str, ...] = ()
    lost: int = 0
    """How many streams the container cannot take at all."""


def plan_tracks(source: Path, suffix: str) -> Tracks:
    """What of a film fits into a container of this suffix. A film that cannot be opened has nothing."""
    kind = FORMATS[suffix.lower()]
    carried: list[Track] = []
    lost: Counter[str] = Counter()
    changed: list[str] = []
    try:
        with av.open(str(source)) as film:
            for stream in film.streams:
                what = stream.type
                if what == "video" or what not in ("audio", "subtitle", "attachment"):
                    continue
                codec = _codec_of(stream)
                if _fits(stream, kind) and not (kind == "mp4" and codec.startswith("pcm_")):  # allowed there, and played by few
                    carried.append(Track(stream.index, what))
                elif what == "audio" and codec:
                    encoder = _SOUND.get(kind, "aac")
                    carried.append(Track(stream.index, what, encoder))
                    changed += [codec] if codec not in changed else []
                else:
                    name = {"audio": "sound", "subtitle": "subtitles", "attachment": "attached file"}[what]
                    lost[f"{name} ({codec})" if codec else name] += 1
    except (av.FFmpegError, ValueError, OSError):
        return Tracks()
    remarks = [f"the sound ({codec}) does not fit into {suffix} and is encoded anew" for codec in changed]
    if lost:
        parts = ", ".join(f"{number} of {what}" for what, number in lost.items())
        remarks.append(f"tracks that {suffix} cannot hold are left out: {parts}{'' if kind == 'matroska' else '; .mkv holds more'}")
    return Tracks(tuple(carried), tuple(remarks), sum(lost.values()))


def _codec_of(stream: Any) -> str:
    try:
        return str(stream.codec_context.name)
    except AttributeError:
        return ""


def _fits(stream: Any, kind: str) -> bool:
    """Whether a container takes a stream as it is: a header is written in memory."""
    try:
        with av.open(io.BytesIO(), "w", format=kind) as trial:
            pictures = trial.add_stream("libvpx-vp9" if kind == "webm" else "libx264", rate=25)
            pictures.width, pictures.height, pictures.pix_fmt = 32, 32, "yuv420p"
            trial.add_stream_from_template(stream)
            trial.start_encoding()
    except (av.FFmpegError, ValueError, TypeError, NotImplementedError):
        return False
    return True


class Carried:
    """The tracks of a film on their way into another: opened with the source and the target, then packets in order of time."""

    def __init__(self, source: Any, target: Any, tracks: Tracks):
        self.source, self._streams = source, {}
        self._encoders: dict[int, _Encoder] = {}
        for track in tracks.carried:
            stream = source.streams[track.index]
            if track.encoder:
                written = target.add_stream(track.encoder, rate=_rate(stream, track.encoder), layout=_layout(stream))
                self._encoders[track.index] = _Encoder(stream, written)
            else:
                written = target.add_stream_from_template(stream)
            for key in ("language", "title"):
                if key in stream.metadata:
                    written.metadata[key] = stream.metadata[key]
            written.disposition = stream.disposition
            self._streams[track.index] = written

    def packets(self) -> Iterator[tuple[float, Any]]:
        """Packets with their times in seconds, as far as they can be read."""
        streams = [self.source.streams[index] for index in self._streams if self.source.streams[index].type != "attachment"]
        if not streams:
            return
        try:
            for packet in self.source.demux(streams):
                index = packet.stream.index
                if index in self._encoders:
                    yield from self._encoders[index].encoded(packet)
                elif packet.dts is not None:
                    time = packet.pts if packet.pts is not None else packet.dts
                    packet.stream = self._streams[index]
                    yield float(time * packet.time_base), packet
        except av.FFmpegError:
            pass
        for encoder in self._encoders.values():
            yield from encoder.rest()


class _Encoder:
    """Decodes one track of sound and encodes it anew."""

    def __init__(self, source: Any, target: Any):
        self.target = target
        context = target.codec_context
        self.resampler = av.AudioResampler(format=context.format, layout=context.layout, rate=context.rate)

    def encoded(self, packet: Any) -> Iterator[tuple[float, Any]]:
        try:
            frames = packet.decode()
        except av.FFmpegError:
            return
        for frame in frames:
            yield from self._through(frame)

    def rest(self) -> Iterator[tuple[float, Any]]:
        yield from self._through(None)
        yield from self._timed(self.target.encode(None))

    def _through(self, frame: Any) -> Iterator[tuple[float, Any]]:
        for resampled in self.resampler.resample(frame):
            yield from self._timed(self.target.encode(resampled))

    def _timed(self, packets: Any) -> Iterator[tuple[float, Any]]:
        for packet in packets:
            time = packet.pts if packet.pts is not None else 0
            yield float(time * Fraction(packet.time_base)), packet


def _rate(stream: Any, encoder: str) -> int:
    return _RATES.get(encoder, min(int(stream.codec_context.sample_rate), _MOST_AAC))


def _layout(stream: Any) -> str:
    channels = stream.codec_context.layout.nb_channels
    return "mono" if channels == 1 else "5.1" if channels >= 6 else "stereo"
