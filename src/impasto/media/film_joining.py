"""Pieces of a film joined into one, with the tracks of the film that they were painted from. Pictures are not encoded anew."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import av

from impasto.files import atomic_file
from impasto.media.opening import MADE_BY, open_video
from impasto.media.time_jumps import shifted
from impasto.media.tracks import FORMATS, Carried, Tracks
from impasto.media.video_coding import CODINGS, WITH_ALPHA, container_options
from impasto.media.videos import FilmInfo


def join(
    pieces: Sequence[Path],
    output: Path,
    info: FilmInfo,
    source: Path | None,
    tracks: Tracks | None,
    *,
    alpha: bool = False,
    comment: str = MADE_BY,
    end: int | None = None,
) -> tuple[str, ...]:
    """Write a film out of its pieces; it appears whole or not at all.

    pieces: films of the same encoder and size, in order.
    info: of the film that they were painted from, whose times the frames have; the result begins at its origin.
    source, tracks: that film, whose chapters, and of its tracks those that are planned, go with the pictures; None for none.
    alpha: whether the pictures have transparency.
    comment: what the film says of itself.
    end: of the last frame, in units of the film's time base; None for what the last piece says.

    Returns messages on what was left out. Raises OSError or ValueError for pieces that cannot be read.
    """
    tracks = tracks or Tracks()
    with atomic_file(output) as temporary:
        write = _Joining(pieces, temporary, output.suffix.lower(), info, alpha, comment, end)
        try:
            lost = write(source, tracks)
        except (av.FFmpegError, ValueError):
            if not tracks.carried:
                raise
            write(None, Tracks())  # the pictures are not lost with the sound
            return (f"the sound and subtitles of {source} are damaged: left out",)
    return (f"{lost} packets of the sound and subtitles of {source} are damaged: left out",) if lost else ()


class _Joining:
    """Writes the whole film into a file."""

    def __init__(
        self, pieces: Sequence[Path], target: Path, suffix: str, info: FilmInfo, alpha: bool, comment: str, end: int | None
    ) -> None:
        self.pieces, self.target, self.info, self.comment, self.end = pieces, target, info, comment, end
        self.kind, self.coding = FORMATS[suffix], (WITH_ALPHA if alpha else CODINGS)[suffix]

    def __call__(self, source: Path | None, tracks: Tracks) -> int:
        """Write it; returns how many packets of the other tracks the container refused."""
        # The same pieces give the same file.
        options = {"fflags": "+bitexact"} | container_options(self.kind, self.info.time_base)
        with ExitStack() as opened:
            joined = opened.enter_context(av.open(str(self.target), "w", format=self.kind, options=options))
            joined.metadata.update(tracks.metadata | {"comment": self.comment})
            pictures = self._video_stream(joined)
            heard: Iterator[tuple[float, Any]] = iter(())
            if source is not None:
                film = opened.enter_context(open_video(source))
                heard = Carried(film, joined, tracks, self.info.origin, self.info.offsets).packets()
                joined.set_chapters(_chapters(film, self.info.origin))
            return self._muxed_in_order(joined, pictures, heard)

    def _video_stream(self, joined: Any) -> Any:
        """The stream of the painted frames; its encoder is opened for what it tells the container, and given what it told the pieces."""
        info = self.info
        with av.open(str(self.pieces[0])) as first:
            painted = first.streams.video[0].codec_context
            size, stated = (painted.height, painted.width), painted.extradata
        stream = self.coding.add_stream(joined, size=size, rate=info.rate, time_base=info.time_base, color=info.color.painted)
        stream.codec_context.open()
        if stated:
            stream.codec_context.extradata = stated
        return stream

    def _muxed_in_order(self, joined: Any, pictures: Any, heard: Iterator[tuple[float, Any]]) -> int:
        lost, waiting = 0, next(heard, None)
        before: int | None = None
        for packet, last in _with_last(chain.from_iterable(_packets(piece) for piece in self.pieces)):
            if last and self.end is not None:
                packet.duration = max(1, round(self.end * self.info.time_base / packet.time_base) - packet.pts)
            shifted(packet, -self.info.origin)
            packet.stream = pictures
            if before is not None and packet.dts <= before:  # a damaged film has frames whose times are a tick apart, across pieces
                packet.dts = before + 1
                packet.pts = max(packet.pts, packet.dts)
            before = packet.dts
            time = float(packet.pts * packet.time_base)
            while waiting is not None and waiting[0] <= time:
                lost += not _muxed(joined, waiting[1])
                waiting = next(heard, None)
            joined.mux(packet)
        while waiting is not None:
            lost += not _muxed(joined, waiting[1])
            waiting = next(heard, None)
        return lost


def _packets(piece: Path) -> Iterator[Any]:
    with av.open(str(piece)) as film:
        for packet in film.demux(film.streams.video[0]):
            if packet.dts is not None:
                yield packet


def _with_last(packets: Iterator[Any]) -> Iterator[tuple[Any, bool]]:
    """Each packet, and whether it is the last one."""
    held = next(packets, None)
    for packet in packets:
        yield held, False
        held = packet
    if held is not None:
        yield held, True


def _chapters(film: Any, origin: Fraction) -> list[Any]:
    """The chapters of a film, from its origin on."""
    chapters: list[Any] = film.chapters()
    for chapter in chapters:
        for end in ("start", "end"):
            chapter[end] = max(0, chapter[end] - round(origin / Fraction(chapter["time_base"])))
    return chapters


def _muxed(target: Any, packet: Any) -> bool:
    """Whether a packet of sound or subtitles could be written; one that is damaged costs itself alone."""
    try:
        target.mux(packet)
    except av.FFmpegError:
        return False
    return True
