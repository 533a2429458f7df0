"""Folders of frames as films, and back: pictures of one size, in order of their names."""

import os
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch

from impasto.files import check_folder
from impasto.media.images import Picture, list_pictures, read_picture, write_picture
from impasto.media.videos import FilmError, FilmInfo, Frame, as_bytes, even

RATE = Fraction(25)
"""Frames per second of a folder of frames, where nobody says otherwise."""


def in_order(path: Path) -> tuple[object, ...]:
    """Names with their numbers as numbers, so that frame 10 comes after frame 9."""
    return tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.stem.lower()))


class FrameFolder:
    """A folder of frames, read like a film. Raises FilmError if it holds no pictures.

    A frame of another size than the first, or one that cannot be read, raises a PictureError or FilmError when it is reached.
    """

    def __init__(self, path: str | os.PathLike[str], *, rate: Fraction = RATE):
        self.path, self.problem = Path(path), ""
        self.files = sorted(list_pictures(self.path), key=in_order) if self.path.is_dir() else []
        if not self.files:
            raise FilmError(f"there are no frames in {path}: a folder of pictures was expected")
        size = read_picture(self.files[0]).size
        self.info = FilmInfo(size, rate, 1 / rate, len(self.files), float(len(self.files) / rate))

    def __iter__(self) -> Iterator[Frame]:
        for number, file in enumerate(self.files):
            picture = read_picture(file)
            if picture.size != self.info.size:
                wrong, right = (f"{width}x{height}" for height, width in (picture.size, self.info.size))
                raise FilmError(f"{file} has {wrong} pixels and the frames before it {right}; the frames of a film are of one size")
            yield Frame(as_bytes(picture.pixels), number, number)


class FrameWriter:
    """Writes frames into a folder under the names that the source's have, as PNG; those that are there already are kept.

    `done` frames are finished; the last of them is `last`, bytes (H, W, 3), or None. Remembers in a file of the folder what they were made
    with, `key`: with another key everything is painted again.
    """

    def __init__(self, output: Path, source: FrameFolder, size: tuple[int, int], key: str):
        check_folder(output / "frame.png")
        self.output, self.source, self.done = output, source, 0
        self.last: np.ndarray | None = None
        self._note = output / ".impasto"
        told = f"{key}|{even(size)}"
        if self._note.is_file() and self._note.read_text(encoding="utf-8") == told:
            while self.done < len(source.files) and self._file(self.done).is_file():
                self.done += 1
            if self.done:
                self.last = as_bytes(read_picture(self._file(self.done - 1)).pixels)
        else:
            output.mkdir(parents=True, exist_ok=True)
            self._note.write_text(told, encoding="utf-8")
        self._next = self.done

    def _file(self, number: int) -> Path:
        return self.output / f"{self.source.files[number].stem}.png"

    def write(self, picture: np.ndarray, time: int) -> None:
        """Write the next frame, bytes (H, W, 3); its time is its number."""
        write_picture(Picture(torch.from_numpy(picture).permute(2, 0, 1).float().div(255)), self._file(self._next))
        self._next += 1

    def pause(self) -> None:
        """Every frame that was written is there already."""

    def finish(self) -> None:
        """All frames are there: what they were made with need not be remembered."""
        self._note.unlink(missing_ok=True)
