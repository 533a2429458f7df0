"""Folders of frames as films, and back: pictures of one size, in order of their names."""

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from impasto.errors import InputError
from impasto.files import check_folder, check_space, fitting
from impasto.media.images import Picture, list_pictures, read_picture, write_picture
from impasto.media.stills import MAX_PIXELS, image_source
from impasto.media.videos import FilmError, FilmInfo, Frame, as_bytes

RATE = Fraction(25)
"""Frames per second of a folder of frames, where nobody says otherwise."""

JOURNAL = ".impasto"
"""Name of the file that says which frames of a folder are painted."""

_BYTES_PER_PIXEL = 0.5
"""Of a painted frame as PNG, at the least."""


class FrameFolder:
    """A folder of frames, read like a film. Raises FilmError if it holds no pictures.

    So does a frame of another size than the first, or whose header cannot be read; one that is damaged behind it raises a PictureError when
    it is reached.
    """

    remarks: tuple[str, ...] = ()

    def __init__(self, path: str | os.PathLike[str], *, rate: Fraction = RATE, max_pixels: int = MAX_PIXELS):
        self.path, self.problem, self.max_pixels = Path(path), "", max_pixels
        self.files = list_pictures(self.path) if self.path.is_dir() else []
        if not self.files:
            raise FilmError(f"there are no frames in {path}: a folder of pictures was expected")
        headers = [self._header(file) for file in self.files]
        size, scenes = headers[0][0], [scene for _, _, scene in headers if scene is not None]
        for file, (other, _, _) in zip(self.files, headers, strict=True):
            self._check_size(file, other, size)
        # Where linear light passes white in any frame, all frames are tone mapped; otherwise none is.
        self._scene = any(scenes) if scenes else None
        alpha = any(alpha for _, alpha, _ in headers)
        self.info = FilmInfo(size, rate, 1 / rate, len(self.files), float(len(self.files) / rate), alpha=alpha)

    def _header(self, file: Path) -> tuple[tuple[int, int], bool, bool | None]:
        """Height and width of a frame, whether it has alpha, and whether its linear light passes white."""
        with image_source(file, max_pixels=self.max_pixels) as source:
            return source.size, source.alpha, source.scene

    def _check_size(self, file: Path, size: tuple[int, int], first: tuple[int, int]) -> None:
        """Raises FilmError for a frame of another size than the first."""
        if size != first:
            wrong, right = (f"{width}x{height}" for height, width in (size, first))
            raise FilmError(f"{file} has {wrong} pixels and the frames before it {right}; the frames of a film are of one size")

    def __iter__(self) -> Iterator[Frame]:
        return self.span()

    def span(self, begin: int | None = None, end: int | None = None) -> Iterator[Frame]:
        """The frames from number `begin` on and before number `end`, numbered from 0: their times are their numbers in the folder."""
        for number, file in list(enumerate(self.files))[slice(None if begin is None else max(0, begin), end)]:
            picture = read_picture(file, max_pixels=self.max_pixels, scene=self._scene)
            self._check_size(file, picture.size, self.info.size)
            yield Frame(as_bytes(_with_alpha(picture, self.info.alpha)), number, number - max(0, begin or 0))


def _with_alpha(picture: Picture, wanted: bool) -> torch.Tensor:
    if not wanted:
        return picture.pixels
    alpha = torch.ones_like(picture.pixels[:1]) if picture.alpha is None else picture.alpha
    return torch.cat([picture.pixels, alpha])


class FrameWriter:
    """Writes frames into a folder as PNG, under names that are given.

    `done` frames are finished; the last of them is `last`, bytes (H, W, C), or None. A journal in the folder says what they were made
    with, `key`, and which are done: those of another key, and files that lay there before, are painted anew. alpha: whether they are
    written as (H, W, 4). expected: how many frames there will be, all names by default. journal: its name; a name of one's own is for a
    part of a folder, whose journal stays until the parts are joined.
    """

    remarks: tuple[str, ...] = ()

    def __init__(
        self,
        output: Path,
        names: Sequence[str],
        size: tuple[int, int],
        key: str,
        *,
        alpha: bool = False,
        expected: int | None = None,
        journal: str = JOURNAL,
    ):
        check_folder(output / "frame.png")
        if output.exists() and not output.is_dir():
            raise InputError(f"{output} is a file, and a folder of frames shall go there")
        self.output, self.names, self.alpha, self.done = output, names, alpha, 0
        self.last: np.ndarray | None = None
        self._journal, self._key = output / journal, f"{key}|{size}"
        known = self._known()
        while self.done < min(len(names), len(known)) and known[self.done] == names[self.done] and self.file(self.done).is_file():
            self.done += 1
        if self.done:
            self.last = as_bytes(_with_alpha(read_picture(self.file(self.done - 1)), alpha))
        check_space(
            output / "frame.png", ((len(names) if expected is None else expected) - self.done) * size[0] * size[1] * _BYTES_PER_PIXEL
        )
        self._begin()

    def _known(self) -> list[str]:
        """The frames that the journal says are done with this key. What an interrupt cut off in its last line does not count."""
        try:
            lines = self._journal.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError):
            return []
        return lines[1:-1] if lines[0] == self._key else []

    def _begin(self) -> None:
        try:
            self.output.mkdir(parents=True, exist_ok=True)
            self._journal.write_text("\n".join([self._key, *self.names[: self.done], ""]), encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write into {self.output}: {error.strerror or error}") from None

    def file(self, number: int) -> Path:
        """Where a frame lies."""
        return fitting(self.output / f"{self.names[number]}.png")

    def write(self, picture: np.ndarray, time: int, *, cut: bool = False, duration: int = 0) -> None:
        """Write the next frame, bytes (H, W, 3), or (H, W, 4) with alpha; its time is its number."""
        pixels = torch.from_numpy(picture).permute(2, 0, 1).float().div(255)
        write_picture(Picture(pixels[:3], pixels[3:] if self.alpha else None), self.file(self.done))
        with self._journal.open("a", encoding="utf-8") as journal:
            journal.write(f"{self.names[self.done]}\n")
        self.done += 1

    def pause(self) -> None:
        """Every frame that was written is there already, and the journal knows of it."""

    def finish(self) -> None:
        """All frames are there: what they were made with need not be remembered, but for a part."""
        if self._journal.name == JOURNAL:
            self._journal.unlink(missing_ok=True)
