"""Pieces of a film joined into one, with the tracks of the film that they were painted from. Pictures are not encoded anew."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

import av

from impasto.files import atomic_file
from impasto.media.opening import MADE_BY
from impasto.media.tracks import FORMATS, Carried, Tracks
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
) -> tuple[str, ...]:
    """Write a film out of its pieces; it appears whole or not at all.

    pieces: films of the same encoder and size, in order.
    info: of the film that they were painted from, whose times the frames have.
    source, tracks: that film, whose chapters, and of its tracks those that are planned, go with the pictures; None for none.
    alpha: whether the pictures have transparency.
    comment: what the film says of itself.

    Returns sentences on what was left out. Raises OSError or ValueError for pieces that cannot be read.
    """
    tracks, suffix = tracks or Tracks(), output.suffix.lower()
    with atomic_file(output) as temporary:
        try:
            lost = _written(pieces, temporary, suffix, info, source, tracks, alpha, comment)
        except (av.FFmpegError, ValueError):
            if not tracks.carried:
                raise
            _written(pieces, temporary, suffix, info, None, Tracks(), alpha, comment)  # the pictures are not lost with the sound
            return (f"the sound and subtitles of {source} are damaged: left out",)
    return (f"{lost} packets of the sound and subtitles of {source} are damaged: left out",) if lost else ()


def _written(
    pieces: Sequence[Path], target: Path, suffix: str, info: FilmInfo, source: Path | None, tracks: Tracks, alpha: bool, comment: str
) -> int:
    """Write the whole film; returns how many packets of the other tracks the container refused."""
    kind = FORMATS[suffix]
    options = {"fflags": "+bitexact"}  # the same pieces give the same file
    if kind in ("mp4", "mov"):
        options["video_track_timescale"] = str(info.time_base.denominator)
    with ExitStack() as opened:
        joined = opened.enter_context(av.open(str(target), "w", format=kind, options=options))
        joined.metadata["comment"] = comment
        with av.open(str(pieces[0])) as first:
            pictures = joined.add_stream_from_template(first.streams.video[0])
            pictures.time_base = info.time_base
            pictures.codec_context.bit_rate = 0  # that of the first piece says nothing of the whole
        if alpha and kind == "webm":
            pictures.metadata["alpha_mode"] = "1"
        carried = None
        if source is not None:
            film = opened.enter_context(av.open(str(source)))
            carried = Carried(film, joined, tracks)
            joined.set_chapters(film.chapters())
        end, lost, heard = 0.0, 0, iter(()) if carried is None else carried.packets()
        waiting = next(heard, None)
        before: int | None = None
        for packet in chain.from_iterable(_packets(piece) for piece in pieces):
            packet.stream = pictures
            if before is not None and packet.dts <= before:  # a damaged film has frames whose times are a tick apart, across pieces
                packet.dts = before + 1
                packet.pts = max(packet.pts, packet.dts)
            before = packet.dts
            end = float(packet.pts * packet.time_base)
            while waiting is not None and waiting[0] <= end:
                lost += not _muxed(joined, waiting[1])
                waiting = next(heard, None)
            joined.mux(packet)
        limit = end + 1 / float(info.rate)
        while waiting is not None:
            if waiting[0] <= limit:
                lost += not _muxed(joined, waiting[1])
            waiting = next(heard, None)
    return lost


def _packets(piece: Path) -> Iterator[Any]:
    with av.open(str(piece)) as film:
        for packet in film.demux(film.streams.video[0]):
            if packet.dts is not None:
                yield packet


def _muxed(target: Any, packet: Any) -> bool:
    """Whether a packet of sound or subtitles could be written; one that is damaged costs itself alone."""
    try:
        target.mux(packet)
    except av.FFmpegError:
        return False
    return True
