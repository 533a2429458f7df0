"""Films out. They are written by parts, each a small file of its own, that are joined with the tracks of the source at the end; what was
finished before an interrupt or a failure is not done again.
"""

import json
import secrets
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import av
import numpy as np

from impasto.files import atomic_file, check_folder, check_space
from impasto.media.film_color import tag, to_stored
from impasto.media.opening import MADE_BY
from impasto.media.tracks import FORMATS, Carried, Tracks, plan_tracks
from impasto.media.videos import FilmError, FilmInfo, FilmReader, even


@dataclass(frozen=True)
class Coding:
    """How pictures are stored: encoder, layout, options, the suffix of parts, and about how many bytes a pixel takes at the least."""

    codec: str
    pix_fmt: str
    options: dict[str, str]
    part: str
    bytes_per_pixel: float


_H264 = Coding("libx264", "yuv420p", {"crf": "18", "preset": "veryfast", "bf": "0"}, ".mp4", 0.03)
_VP9_OPTIONS = {"crf": "28", "b": "0", "row-mt": "1", "deadline": "good", "cpu-used": "4"}
_VP9 = Coding("libvpx-vp9", "yuv420p", _VP9_OPTIONS, ".webm", 0.02)
_CODINGS = {".mp4": _H264, ".mov": _H264, ".m4v": _H264, ".mkv": _H264, ".webm": _VP9}
_WITH_ALPHA = {
    ".webm": Coding("libvpx-vp9", "yuva420p", {**_VP9_OPTIONS, "auto-alt-ref": "0"}, ".webm", 0.02),
    ".mov": Coding("prores_ks", "yuva444p10le", {"profile": "4444"}, ".mov", 0.3),
}


def check_film_output(path: Path) -> None:
    """Say before any long work whether a film could be written here. Raises FilmError or InputError."""
    if path.suffix.lower() not in _CODINGS:
        raise FilmError(f"cannot write {path}: the name of a film has to end in {', '.join(_CODINGS)}")
    if path.is_dir():
        raise FilmError(f"cannot write {path}: it is a folder")
    codec = _CODINGS[path.suffix.lower()].codec
    if codec not in av.codec.codecs_available:
        raise FilmError(f"cannot write {path}: this machine's FFmpeg has no {codec}")
    check_folder(path)


def film_suffix(source: Path) -> str:
    """The suffix of a painted film where we choose its name: .mp4, or what holds the tracks and the alpha that .mp4 cannot."""
    try:
        info = FilmReader(source).info
    except FilmError:
        return ".mp4"  # whoever paints it says what is wrong
    if info.alpha:
        return ".webm" if source.suffix.lower() == ".webm" else ".mov"
    return ".mkv" if plan_tracks(source, ".mp4").lost > plan_tracks(source, ".mkv").lost else ".mp4"


class FilmWriter:
    """Writes a film in parts of `part` frames beside the output, and joins them with the tracks of the source.

    source: whose sound, subtitles and chapters are carried over; None for none. key: what has to be the same for an interrupted film to be
    resumed: source, style and controls in one string. `done` frames are finished already; `last` is the last of them as it was written,
    bytes (H, W, 3) without loss, or None. `alpha`: whether frames are written as (H, W, 4); where they are not, whoever paints them lays
    them on the background. `remarks`: sentences on what is not
    carried over as it was.

        writer = FilmWriter(output, source, info, size, key)
        writer.write(picture, time)    for every frame from number writer.done on
        writer.finish()

    Raises FilmError or InputError if the film could not be written.
    """

    def __init__(
        self,
        output: Path,
        source: Path | None,
        info: FilmInfo,
        size: tuple[int, int],
        key: str,
        *,
        part: int = 50,
        background: str = "white",
    ):
        check_film_output(output)
        self.output, self.source, self.info, self.size, self.part = output, source, info, even(size), part
        suffix = output.suffix.lower()
        self.alpha = info.alpha and suffix in _WITH_ALPHA
        self._coding = _WITH_ALPHA[suffix] if self.alpha else _CODINGS[suffix]
        self._tracks = Tracks() if source is None else plan_tracks(source, suffix)
        flat = f"{suffix} cannot hold transparency: the film is laid on {background}; .mov and .webm can"
        self.remarks = self._tracks.remarks + ((flat,) if info.alpha and not self.alpha else ())
        self.folder = output.with_name(f".{output.name}.parts")
        self.done = 0
        self.last: np.ndarray | None = None
        self._container: Any = None
        self._stream: Any = None
        self._in_part, self._picture = 0, np.empty(0)
        self._parts: list[str] = []
        self._key = f"{key}|{self.size}|{self._coding.codec}|{self._coding.pix_fmt}"
        self._resume()
        left = max(0, info.length - self.done)
        check_space(output, 2 * left * self.size[0] * self.size[1] * self._coding.bytes_per_pixel)

    def _resume(self) -> None:
        """Continue where an earlier run with the same key stopped; what belongs to another is removed."""
        try:
            state = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
            whole = state["key"] == self._key and all((self.folder / name).is_file() for name in state["parts"])
            if whole:
                last = np.load(self.folder / state["last"])
                self._parts, self.done, self.last = state["parts"], state["done"], last
                return
        except (OSError, ValueError, KeyError, TypeError, EOFError):
            pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, picture: np.ndarray, time: int) -> None:
        """Add a frame, bytes (H, W, 3), or (H, W, 4) with alpha, of the writer's size, at a time in the source's time base."""
        if self._container is None:
            self._open_part()
        self._picture = picture
        frame = to_stored(picture, self._coding.pix_fmt, self.info.color.painted)
        frame.pts, frame.time_base = time, self.info.time_base
        self._container.mux(self._stream.encode(frame))
        self._in_part += 1
        if self._in_part >= self.part:
            self._close_part()

    def _open_part(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"{len(self._parts):06d}{self._coding.part}"
        timed = {} if self._coding.part == ".webm" else {"video_track_timescale": str(self.info.time_base.denominator)}
        self._container = av.open(str(self.folder / name), "w", options=timed)
        self._stream = self._container.add_stream(self._coding.codec, rate=self.info.rate)
        self._stream.height, self._stream.width = self.size
        self._stream.pix_fmt = self._coding.pix_fmt
        self._stream.time_base = self._stream.codec_context.time_base = self.info.time_base
        self._stream.codec_context.framerate = self.info.rate
        self._stream.options = self._coding.options
        tag(self._stream.codec_context, self.info.color.painted)
        if self.alpha and self._coding.part == ".webm":
            self._stream.metadata["alpha_mode"] = "1"
        self._name, self._in_part = name, 0

    def _close_part(self) -> None:
        """Finish a part. What is remembered is written last and whole, and names the very files that belong to it."""
        if self._container is None:
            return
        container, self._container = self._container, None
        container.mux(self._stream.encode(None))
        container.close()
        if not self._in_part:
            return
        last = f"last-{secrets.token_hex(4)}.npy"
        with atomic_file(self.folder / last) as temporary, temporary.open("wb") as stream:
            np.save(stream, self._picture)
        state = {"key": self._key, "parts": [*self._parts, self._name], "done": self.done + self._in_part, "last": last}
        with atomic_file(self.folder / "state.json") as temporary:
            temporary.write_text(json.dumps(state), encoding="utf-8")
        self._parts, self.done, self._in_part = state["parts"], state["done"], 0  # type: ignore[assignment]
        for old in self.folder.glob("last-*.npy"):
            if old.name != last:
                old.unlink(missing_ok=True)

    def pause(self) -> None:
        """Keep what was written so far, to continue another time. A part that cannot be finished any more is given up."""
        try:
            self._close_part()
        except (OSError, ValueError):  # av's errors are among them: the disk is full, the encoder refused
            self._container = None

    def finish(self) -> None:
        """Join the parts and the tracks into the output, which appears whole or not at all. Raises FilmError."""
        self._close_part()
        if not self._parts:
            raise FilmError(f"{self.source or self.output} gave no frame that could be painted")
        with atomic_file(self.output) as temporary:
            try:
                lost = self._join(temporary, self._tracks)
            except (av.FFmpegError, ValueError):
                if not self._tracks.carried:
                    raise
                self._join(temporary, Tracks())  # the pictures are not lost with the sound
                self.remarks += (f"the sound and subtitles of {self.source} are damaged: left out",)
                lost = 0
        if lost:
            self.remarks += (f"{lost} packets of the sound and subtitles of {self.source} are damaged: left out",)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _join(self, target: Path, tracks: Tracks) -> int:
        """Write the whole film; returns how many packets of the other tracks the container refused."""
        kind = FORMATS[self.output.suffix.lower()]
        options = {"video_track_timescale": str(self.info.time_base.denominator)} if kind in ("mp4", "mov") else {}
        with ExitStack() as opened:
            joined = opened.enter_context(av.open(str(target), "w", format=kind, options=options))
            joined.metadata["comment"] = MADE_BY
            with av.open(str(self.folder / self._parts[0])) as first:
                pictures = joined.add_stream_from_template(first.streams.video[0])
                pictures.time_base = self.info.time_base
            if self.alpha and kind == "webm":
                pictures.metadata["alpha_mode"] = "1"
            carried = None
            if self.source is not None and (tracks.carried or tracks is self._tracks):
                source = opened.enter_context(av.open(str(self.source)))
                carried = Carried(source, joined, tracks)
                joined.set_chapters(source.chapters())
            end, lost, heard = 0.0, 0, iter(()) if carried is None else carried.packets()
            waiting = next(heard, None)
            before: int | None = None
            for packet in chain.from_iterable(self._packets(name) for name in self._parts):
                packet.stream = pictures
                if before is not None and packet.dts <= before:  # a damaged film has frames whose times are a tick apart, across parts
                    packet.dts = before + 1
                    packet.pts = max(packet.pts, packet.dts)
                before = packet.dts
                end = float(packet.pts * packet.time_base)
                while waiting is not None and waiting[0] <= end:
                    lost += not _muxed(joined, waiting[1])
                    waiting = next(heard, None)
                joined.mux(packet)
            limit = end + 1 / float(self.info.rate)
            while waiting is not None:
                if waiting[0] <= limit:
                    lost += not _muxed(joined, waiting[1])
                waiting = next(heard, None)
        return lost

    def _packets(self, name: str) -> Iterator[Any]:
        with av.open(str(self.folder / name)) as part:
            for packet in part.demux(part.streams.video[0]):
                if packet.dts is not None:
                    yield packet


def _muxed(target: Any, packet: Any) -> bool:
    """Whether a packet of sound or subtitles could be written; one that is damaged costs itself alone."""
    try:
        target.mux(packet)
    except av.FFmpegError:
        return False
    return True
