"""Films out. They are written by pieces, each a small file of its own, that are joined with the tracks of the source at the end; what was
finished before an interrupt or a failure is not done again.

Where pieces begin depends on nothing but the frames: at every cut, and where a fixed number of frames' time is over. So a film that is
painted by parts on many machines is made of the same pieces as one that is painted in one go.
"""

import json
import secrets
import shutil
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from impasto.files import atomic_file, beside, check_folder, check_space
from impasto.media.film_color import to_stored
from impasto.media.film_joining import join
from impasto.media.opening import MADE_BY
from impasto.media.tracks import FORMATS, Tracks, plan_tracks
from impasto.media.video_coding import CODINGS, WITH_ALPHA, container_options
from impasto.media.videos import FilmError, FilmInfo, FilmReader, even

PIECE = 50
"""Frames of a piece at the most."""


def check_film_output(path: Path) -> None:
    """Say before any long work whether a film could be written here. Raises FilmError or InputError."""
    if path.suffix.lower() not in CODINGS:
        raise FilmError(f"cannot write {path}: the name of a video has to end in {', '.join(CODINGS)}")
    if path.is_dir():
        raise FilmError(f"cannot write {path}: it is a folder")
    coding = CODINGS[path.suffix.lower()]
    if not coding.available:
        raise FilmError(f"cannot write {path}: this machine's FFmpeg has no {coding.codec}")
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


def holds_film_alpha(path: Path) -> bool:
    """Whether films of this suffix are written with transparency."""
    return path.suffix.lower() in WITH_ALPHA


def slot_of(time: int, info: FilmInfo, piece: int = PIECE) -> int:
    """Which of the stretches that last as long as `piece` frames a time lies in; a piece begins with each of them."""
    return int((time * info.time_base * info.rate + Fraction(1, 2)) // piece)


def pieces_of(output: Path) -> Path:
    """The folder where the pieces of an unfinished film lie."""
    return beside(output, "parts")


class FilmWriter:
    """Writes a film in pieces of at most `piece` frames beside the output, and joins them with the tracks of the source.

    source: whose sound, subtitles and chapters are carried over; None for none. key: what has to be the same for an interrupted film to be
    resumed: source, style and controls in one string. `done` frames are finished already; `last` is the last of them as it was written,
    bytes (H, W, 3) without loss, or None. `alpha`: whether frames are written as (H, W, 4); where they are not, whoever paints them lays
    them on the background. `remarks`: messages on what is not carried over as it was. comment: what the film says of itself. metadata:
    whether the source's title, artist, dates, place and the like are kept.

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
        piece: int = PIECE,
        background: str = "white",
        comment: str = MADE_BY,
        metadata: bool = False,
    ):
        check_film_output(output)
        self.output, self.source, self.info, self.size, self.piece = output, source, info, even(size), piece
        suffix = output.suffix.lower()
        self.alpha, self.comment = holds_film_alpha(output) and info.alpha, comment
        self._coding = WITH_ALPHA[suffix] if self.alpha else CODINGS[suffix]
        self._tracks = Tracks() if source is None else plan_tracks(source, suffix, metadata=metadata)
        flat = f"{suffix} cannot hold transparency: the film is laid on {background}; .mov and .webm can"
        self.remarks = self._tracks.remarks + ((flat,) if info.alpha and not self.alpha else ())
        self.folder = pieces_of(output)
        self.done = 0
        self.last: np.ndarray | None = None
        self._container: Any = None
        self._stream: Any = None
        self._in_piece, self._slot, self._picture = 0, -1, np.empty(0)
        self._end: int | None = None
        self._pieces: list[str] = []
        self._key = f"{key}|{self.size}|{self._coding.codec}|{self._coding.pix_fmt}"
        self._resume()
        left = max(0, info.length - self.done)
        check_space(output, 2 * left * self.size[0] * self.size[1] * self._coding.bytes_per_pixel)

    def _resume(self) -> None:
        """Continue where an earlier run with the same key stopped; what belongs to another is removed."""
        try:
            state = json.loads((self.folder / "state.json").read_text(encoding="utf-8"))
            whole = state["key"] == self._key and all((self.folder / name).is_file() for name in state["pieces"])
            if whole:
                last = np.load(self.folder / state["last"])
                self._pieces, self.done, self.last, self._end = state["pieces"], state["done"], last, state["end"]
                return
        except (OSError, ValueError, KeyError, TypeError, EOFError):
            pass
        shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, picture: np.ndarray, time: int, *, cut: bool = False, duration: int = 0) -> None:
        """Add a frame, bytes (H, W, 3), or (H, W, 4) with alpha, of the writer's size, at a time in the source's time base.

        cut: whether a shot begins with it. duration: in the source's time base, 0 if unknown; the last frame keeps it.
        """
        slot = slot_of(time, self.info, self.piece)
        if cut or slot != self._slot:
            self._close_piece()
        self._slot = slot
        if self._container is None:
            self._open_piece()
        self._picture = picture
        frame = to_stored(picture, self._coding.pix_fmt, self.info.color.painted)
        frame.pts, frame.time_base = time, self.info.time_base
        self._container.mux(self._stream.encode(frame))
        self._end = time + (duration or round(1 / (self.info.rate * self.info.time_base)))
        self._in_piece += 1

    def _open_piece(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        name = f"{len(self._pieces):06d}{self._coding.piece}"
        options = container_options(FORMATS[self._coding.piece], self.info.time_base)
        self._container = av.open(str(self.folder / name), "w", options=options)
        self._stream = self._add_stream(self._container)
        self._name, self._in_piece = name, 0

    def _add_stream(self, container: Any) -> Any:
        """The stream of the painted frames in a container."""
        info = self.info
        return self._coding.add_stream(container, size=self.size, rate=info.rate, time_base=info.time_base, color=info.color.painted)

    def _close_piece(self) -> None:
        """Finish a piece. What is remembered is written last and whole, and names the very files that belong to it."""
        if self._container is None:
            return
        container, self._container = self._container, None
        container.mux(self._stream.encode(None))
        container.close()
        if not self._in_piece:
            return
        last = f"last-{secrets.token_hex(4)}.npy"
        with atomic_file(self.folder / last) as temporary, temporary.open("wb") as stream:
            np.save(stream, self._picture)
        done = self.done + self._in_piece
        state = {"key": self._key, "pieces": [*self._pieces, self._name], "done": done, "last": last, "end": self._end}
        with atomic_file(self.folder / "state.json") as temporary:
            temporary.write_text(json.dumps(state), encoding="utf-8")
        self._pieces, self.done, self._in_piece = state["pieces"], state["done"], 0  # type: ignore[assignment]
        for old in self.folder.glob("last-*.npy"):
            if old.name != last:
                old.unlink(missing_ok=True)

    def pause(self) -> None:
        """Keep what was written so far, to continue another time. A piece that cannot be finished any more is given up."""
        try:
            self._close_piece()
        except (OSError, ValueError):  # av's errors are among them: the disk is full, the encoder refused
            self._container = None

    def finish(self) -> None:
        """Join the pieces and the tracks into the output, which appears whole or not at all. Raises FilmError."""
        self._close_piece()
        if not self._pieces:
            raise FilmError(f"{self.source or self.output} gave no frame that could be painted")
        pieces = [self.folder / name for name in self._pieces]
        self.remarks += join(
            pieces, self.output, self.info, self.source, self._tracks, alpha=self.alpha, comment=self.comment, end=self._end
        )
        shutil.rmtree(self.folder, ignore_errors=True)
