"""What moves - films, animations, folders of frames - opened to be read, and the places where it can go."""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Protocol

import numpy as np
from torch import Tensor

from impasto import __version__
from impasto.errors import InputError
from impasto.files import fingerprint
from impasto.media.animations import ANIMATIONS, AnimationReader, AnimationWriter, check_animation_output
from impasto.media.film_writer import FilmWriter, check_film_output
from impasto.media.frames import FrameFolder, FrameWriter
from impasto.media.opening import is_film
from impasto.media.tracks import plan_tracks
from impasto.media.videos import FilmError, FilmInfo, FilmReader, Frame
from impasto.runtime.outputs import names_of
from impasto.settings import Controls


class Source(Protocol):
    """Where frames come from: a film, a folder, or a pipe."""

    @property
    def info(self) -> FilmInfo:
        """What is known beforehand."""

    @property
    def problem(self) -> str:
        """What was wrong at the end, if anything."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is changed by reading it."""

    def __iter__(self) -> Iterator[Frame]: ...


class MovingPicture(Source, Protocol):
    """A source that can be read from anywhere."""

    def span(self, begin: int | None = None, end: int | None = None) -> Iterator[Frame]:
        """The frames from a time on and before another, in units of the time base."""


class Target(Protocol):
    """Where painted frames go: a film, an animation, or a folder."""

    alpha: bool
    """Whether frames are written as (H, W, 4)."""
    remarks: tuple[str, ...]
    """What is not carried over as it was."""

    @property
    def done(self) -> int:
        """How many frames are finished already."""

    @property
    def last(self) -> np.ndarray | None:
        """The last of them, bytes (H, W, C)."""

    def write(self, picture: np.ndarray, time: int, *, cut: bool = False, duration: int = 0) -> None:
        """Add a frame at a time in the source's time base; `cut` says that a shot begins with it. duration: 0 if unknown."""

    def pause(self) -> None:
        """Keep what was written so far."""

    def finish(self) -> None:
        """Put it in its place."""


Film = FrameFolder | FilmReader | AnimationReader


def check_moving_output(output: Path, source: Path) -> None:
    """Say before any long work whether a film could be written here. Raises InputError."""
    if output.exists() and source.exists() and source.samefile(output):
        raise FilmError(f"{output} is the input itself and is not overwritten; choose another output")
    if source.is_dir() and not output.suffix:
        return
    still = output.suffix.lower() == ".png" and is_film(source)
    (check_animation_output if output.suffix.lower() in ANIMATIONS and not still else check_film_output)(output)


def open_film(source: Path, controls: Controls) -> Film:
    """A film, an animation or a folder of frames, to be read. Raises FilmError or PictureError."""
    limit = controls.max_megapixels * 1_000_000
    if source.is_dir():
        return FrameFolder(source, max_pixels=limit)
    return FilmReader(source) if is_film(source) else AnimationReader(source, max_pixels=limit)


def holds_parts(source: Path, output: Path) -> bool:
    """Whether parts go where the whole goes: into a folder of frames."""
    return source.is_dir() and not output.suffix


def seekable(film: Film) -> MovingPicture:
    """A film that can be read from anywhere. Raises InputError for an animation."""
    if isinstance(film, AnimationReader):
        raise InputError(f"{film.path} is an animation and is painted in one piece: leave --part out")
    return film


def target_of(film: Film, output: Path, size: tuple[int, int], key: str, controls: Controls) -> Target:
    """Where its painted frames go. Raises InputError."""
    if isinstance(film, FrameFolder) and not output.suffix:
        return FrameWriter(output, names_of(film.files), size, key, alpha=film.info.alpha)
    if output.suffix.lower() in ANIMATIONS:
        loop = film.loop if isinstance(film, AnimationReader) else 0
        return AnimationWriter(output, film.info, size, key, loop=loop, remarks=_left_out(film, output.suffix))
    source = film.path if isinstance(film, FilmReader) else None
    return FilmWriter(output, source, film.info, size, key, background=controls.background, metadata=controls.keep_metadata)


def _left_out(film: Film, suffix: str) -> tuple[str, ...]:
    """What an animation cannot hold of a film."""
    kinds = {track.kind for track in plan_tracks(film.path, ".mkv").carried} if isinstance(film, FilmReader) else set()
    names = [name for kind, name in (("audio", "sound"), ("subtitle", "subtitles")) if kind in kinds]
    return (f"{suffix} holds no {' and no '.join(names)}: left out",) if names else ()


def content_of(film: Film) -> str:
    """A digest of what is read: names of files, and what they hold."""
    files = film.files if isinstance(film, FrameFolder) else [film.path]
    return hashlib.sha256(repr([(file.name, fingerprint(file)) for file in files]).encode()).hexdigest()[:32]


def made_with(film: Film, controls: Controls, masks: Tensor | None, identity: str) -> str:
    """A digest of everything that decides how a film is painted: its files, the style, the controls, the masks, the version.

    It is the same on every machine that has the same files.
    """
    shape = "" if masks is None else f"{tuple(masks.shape)} {hashlib.sha256(masks.float().cpu().numpy().tobytes()).hexdigest()}"
    parts = [__version__, content_of(film), sorted(asdict(controls).items()), identity, shape]
    return hashlib.sha256(repr(parts).encode()).hexdigest()
