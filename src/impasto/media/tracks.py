"""What a film holds beside its pictures - sound, subtitles, chapters, metadata - and how much of it a container takes.

Sound that does not fit is encoded anew, AAC or Opus; what cannot be carried is said. Whether something fits is tried, by writing a header
in memory: FFmpeg knows its containers better than a table of ours.
"""

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
from av.filter import Graph
from av.stream import Discard, Disposition

from impasto.media.opening import open_video
from impasto.media.time_jumps import Continued, shifted

FORMATS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
"""Containers of painted films by suffix."""

_SOUND = {"webm": "libopus"}
_LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "quad", 5: "5.0", 6: "5.1", 7: "6.1", 8: "7.1"}
"""What encoders take, by the number of channels."""
_PRIMING = Fraction(1, 10)
"""Seconds before the beginning that MP4 keeps of a track: decoders warm up with them, and an edit list hides them."""
_HIDING = frozenset({"mp4", "mov"})
"""Containers that can hide the beginning of a track."""
_NAMED_BY = {"mp4": "handler_name", "mov": "handler_name"}
"""The field that holds the name of a track, "title" in other containers."""
_NO_NAMES = frozenset({"VideoHandler", "SoundHandler", "SubtitleHandler", "Core Media Audio", "Sound Media Handler"})
"""What programs write into that field where nobody named the track."""
_OF_THE_SOURCE = frozenset({"major_brand", "minor_version", "compatible_brands", "encoder", "comment", "duration", "rotate"})
"""Fields of the metadata that describe the file itself."""
_QUICKTIME = {"location.iso6709": "location", "make": "make", "model": "model", "title": "title", "artist": "artist", "author": "artist",
              "copyright": "copyright", "description": "description", "creationdate": "date"}  # fmt: skip
"""Apple's keys, com.apple.quicktime.*, and the fields that every container has for them."""


@dataclass(frozen=True)
class Track:
    """One stream of a film beside its pictures: its number in the file, its kind, and the encoder it needs, "" to be copied.

    layout: the channels that it is encoded with.
    """

    index: int
    kind: str
    encoder: str = ""
    layout: str = ""


@dataclass(frozen=True)
class Tracks:
    """What is carried over to a container, and messages about what is not, or not as it was.

    lost: how many streams the container cannot take at all. metadata: of the whole file, where it is kept.
    """

    carried: tuple[Track, ...] = ()
    remarks: tuple[str, ...] = ()
    lost: int = 0
    metadata: dict[str, str] = field(default_factory=dict)


def plan_tracks(source: Path, suffix: str, *, metadata: bool = False) -> Tracks:
    """What of a film fits into a container of this suffix. A film that cannot be opened has nothing.

    metadata: keep title, artist, copyright, dates, place, camera and timecode too.
    """
    kind = FORMATS[suffix.lower()]
    carried: list[Track] = []
    lost: Counter[str] = Counter()
    changed: list[str] = []
    try:
        with open_video(source) as film:
            for stream in film.streams:
                what = stream.type
                if what == "video" or (what == "data" and stream.discard == Discard.all):  # FFmpeg has read it: the titles of chapters
                    continue
                codec = _codec_of(stream)
                known = what in ("audio", "subtitle", "attachment")
                if known and _fits(stream, kind) and not (kind == "mp4" and codec.startswith("pcm_")):  # allowed there, and played by few
                    carried.append(Track(stream.index, what))
                elif what == "audio" and codec:
                    encoder = _SOUND.get(kind, "aac")
                    track = Track(stream.index, what, encoder, _layout(stream, encoder))
                    carried.append(track)
                    message = f"the sound ({codec}) does not fit into {suffix} and is encoded anew" + _mixed_down(stream, track.layout)
                    changed += [message] if message not in changed else []
                elif what != "data" or "timecode" not in stream.metadata or not metadata:
                    name = {"audio": "sound", "subtitle": "subtitles", "attachment": "attached file", "data": "data"}.get(what, what)
                    name = "timecode" if "timecode" in stream.metadata else name
                    lost[f"{name} ({codec})" if codec else name] += 1
            kept = _metadata_of(film) if metadata else {}
    except (av.FFmpegError, ValueError, OSError):
        return Tracks()
    remarks = list(changed)
    if lost and lost.pop("timecode", 0):
        remarks.append("the timecode is left out; --keep-metadata keeps it")
    if lost:
        parts = ", ".join(f"{number} of {what}" for what, number in lost.items())
        more = "" if kind == "matroska" or all(what.startswith(("data", "timecode")) for what in lost) else "; .mkv holds more"
        remarks.append(f"tracks that {suffix} cannot hold are left out: {parts}{more}")
    count = sum(number for what, number in lost.items() if not what.startswith(("data", "timecode")))
    return Tracks(tuple(carried), tuple(remarks), count, kept)


def _metadata_of(film: Any) -> dict[str, str]:
    """The metadata of a file, without what describes the file itself, in the fields that every container has."""
    found = {key: value for key, value in film.metadata.items() if key.lower() not in _OF_THE_SOURCE and not key.startswith("com.")}
    for key, value in film.metadata.items():
        name = _QUICKTIME.get(key.lower().removeprefix("com.apple.quicktime."))
        if key.lower().startswith("com.apple.quicktime.") and name is not None:
            found.setdefault(name, value)
    timecodes = (stream.metadata["timecode"] for stream in film.streams if "timecode" in stream.metadata)
    if (timecode := next(timecodes, None)) is not None:
        found.setdefault("timecode", timecode)
    return {key: value for key, value in found.items() if value}


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


def _layout(stream: Any, encoder: str) -> str:
    """The channels that a track is encoded with: its own, or as many as the encoder takes."""
    layout = stream.codec_context.layout
    rate = _rate(stream, encoder)
    usual = [_LAYOUTS[count] for count in sorted(_LAYOUTS, reverse=True) if count <= layout.nb_channels]
    found: str = next(name for name in (layout.name, *usual, "stereo") if _takes(encoder, name, rate))
    return found


@lru_cache(maxsize=64)
def _takes(encoder: str, layout: str, rate: int) -> bool:
    """Whether an encoder takes channels of a layout: it is opened."""
    try:
        trial: Any = av.CodecContext.create(encoder, "w")
        trial.layout, trial.sample_rate, trial.format = layout, rate, trial.codec.audio_formats[0]
        trial.open()
    except (av.FFmpegError, ValueError):
        return False
    return True


def _mixed_down(stream: Any, layout: str) -> str:
    """What is said of channels that are mixed down; "" if none are."""
    own = stream.codec_context.layout
    fewer = av.AudioLayout(layout).nb_channels < own.nb_channels
    return f", its {own.nb_channels} channels ({own.name}) mixed down to {layout}" if fewer else ""


class Carried:
    """The tracks of a film on their way into another: opened with the source and the target, then packets in order of time.

    origin: seconds of the source's times at which the target begins. offsets: see `impasto.media.time_jumps.Recordings`.
    """

    def __init__(self, source: Any, target: Any, tracks: Tracks, origin: Fraction, offsets: tuple[Fraction, ...]):
        self.source, self._streams, self._origin = source, {}, origin
        self._continued: dict[int, Continued] = {}
        self._encoders: dict[int, _Encoder] = {}
        self._hides = target.format.name in _HIDING
        for track in tracks.carried:
            stream = source.streams[track.index]
            if track.encoder:
                written = target.add_stream(track.encoder, rate=_rate(stream, track.encoder), layout=track.layout)
                self._encoders[track.index] = _Encoder(stream, written)
            else:
                written = target.add_stream_from_template(stream)
            _name(stream, written, target.format.name, dated=bool(tracks.metadata))
            self._streams[track.index] = written
            self._continued[track.index] = Continued(offsets)

    def packets(self) -> Iterator[tuple[float, Any]]:
        """Packets with their times in seconds, as far as they can be read."""
        streams = [self.source.streams[index] for index in self._streams if self.source.streams[index].type != "attachment"]
        if not streams:
            return
        try:
            for packet in self.source.demux(streams):
                index = packet.stream.index
                if packet.dts is None and index not in self._encoders:
                    continue
                if packet.dts is not None:
                    begin, duration = packet.dts * Fraction(packet.time_base), (packet.duration or 0) * Fraction(packet.time_base)
                    time = self._continued[index](begin, duration) - self._origin
                    shifted(packet, time - begin)
                    hidden = time + duration <= 0 and not (self._hides and time > -_PRIMING)
                    if hidden and index not in self._encoders:
                        continue  # an edit list of the source hides it
                if index in self._encoders:
                    yield from self._encoders[index].encoded(packet)
                else:
                    packet.stream = self._streams[index]
                    yield float((packet.dts if packet.pts is None else packet.pts) * packet.time_base), packet
        except av.FFmpegError:
            pass
        for encoder in self._encoders.values():
            yield from encoder.rest()


def _name(source: Any, target: Any, kind: str, *, dated: bool) -> None:
    """Give a track the language, the name, and the role of another; its date too if asked."""
    found = {key.lower(): value for key, value in source.metadata.items()}
    name = found.get("title") or found.get("handler_name", "").strip("\0 \x1f\t")
    if name and name not in _NO_NAMES and not name.startswith("ISO Media file"):
        target.metadata[_NAMED_BY.get(kind, "title")] = name
    for key in ("language", *(["creation_time"] if dated else [])):
        if key in found:
            target.metadata[key] = found[key]
    target.disposition = Disposition(int(source.disposition))


class _Encoder:
    """Decodes one track of sound and encodes it anew; gaps in it become silence, so that what follows stays in time."""

    def __init__(self, source: Any, target: Any):
        self.source, self.target = source, target
        self._graph: Graph | None = None
        self._made_for: tuple[object, ...] = ()

    def encoded(self, packet: Any) -> Iterator[tuple[float, Any]]:
        """What comes out for a packet of the source."""
        try:
            frames = packet.decode()
        except av.FFmpegError:
            return
        for frame in frames:
            yield from self._through(frame)

    def rest(self) -> Iterator[tuple[float, Any]]:
        """What is left at the end."""
        yield from self._through(None)
        yield from self._timed(self.target.encode(None))

    def _through(self, frame: Any) -> Iterator[tuple[float, Any]]:
        shape = self._made_for if frame is None else (frame.sample_rate, frame.format.name, frame.layout.name)
        if self._graph is not None and (frame is None or shape != self._made_for):
            self._graph.push(None)
            yield from self._pulled()
            self._graph = None
        if frame is None:
            return
        if self._graph is None:
            self._graph, self._made_for = self._connected(frame), shape
        self._graph.push(frame)
        yield from self._pulled()

    def _pulled(self) -> Iterator[tuple[float, Any]]:
        while self._graph is not None:
            try:
                frame = self._graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            yield from self._timed(self.target.encode(frame))

    def _connected(self, frame: Any) -> Graph:
        context = self.target.codec_context
        if not context.is_open:
            context.open()
        graph = Graph()
        layout = context.layout.name
        nodes = [
            graph.add_abuffer(sample_rate=frame.sample_rate, format=frame.format.name, layout=frame.layout.name, time_base=frame.time_base),
            graph.add("aresample", f"{context.sample_rate}:async=1:min_hard_comp=0.02"),
            graph.add("aformat", f"sample_fmts={context.format.name}:sample_rates={context.sample_rate}:channel_layouts={layout}"),
            *([graph.add("asetnsamples", f"n={context.frame_size}")] if context.frame_size else []),
            graph.add("abuffersink"),
        ]
        graph.link_nodes(*nodes).configure()
        return graph

    def _timed(self, packets: Any) -> Iterator[tuple[float, Any]]:
        for packet in packets:
            time = packet.pts if packet.pts is not None else 0
            yield float(time * Fraction(packet.time_base)), packet


def _rate(stream: Any, encoder: str) -> int:
    """Samples a second that a track is encoded with: its own, or the next above it that the encoder takes."""
    rates = sorted(_rates(encoder))
    return next((rate for rate in rates if rate >= stream.codec_context.sample_rate), rates[-1])


@lru_cache(maxsize=8)
def _rates(encoder: str) -> tuple[int, ...]:
    return tuple(av.Codec(encoder, "w").audio_rates or (48_000,))
