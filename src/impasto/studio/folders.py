"""The folders of this machine that the user opened: what lies in them, and nothing outside."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from impasto.errors import InputError
from impasto.files import in_order
from impasto.media.opening import is_film

MOST = 1000
"""Entries of a folder that are listed."""


@dataclass(frozen=True)
class Entry:
    """A folder or a film. path: from the opened folder on, with / between."""

    name: str
    path: str
    folder: bool
    megabytes: float = 0.0


class Folders:
    """Opened folders by number; films are named by the number and the path inside."""

    def __init__(self, folders: Sequence[Path]):
        self._folders = [Path(folder).resolve() for folder in folders]

    @property
    def roots(self) -> list[Path]:
        """The folders themselves."""
        return self._folders

    def names(self) -> list[str]:
        """What the folders are called, in order."""
        return [folder.name or str(folder) for folder in self._folders]

    def list(self, number: int, path: str = "") -> list[Entry]:
        """The folders and films in one, hidden ones left out. Raises InputError."""
        root, folder = self._root(number), self._inside(number, path)
        if not folder.is_dir():
            raise InputError(f"there is no folder {path!r}")
        found = []
        for entry in sorted(folder.iterdir(), key=in_order)[: MOST * 4]:
            if entry.name.startswith(".") or not entry.resolve().is_relative_to(root):
                continue
            if entry.is_dir():
                found.append(Entry(entry.name, entry.relative_to(root).as_posix(), True))
            elif entry.is_file() and is_film(entry):
                found.append(Entry(entry.name, entry.relative_to(root).as_posix(), False, round(entry.stat().st_size / 1e6, 1)))
        return sorted(found, key=lambda entry: not entry.folder)[:MOST]

    def film(self, number: int, path: str) -> Path:
        """A film by its path inside a folder. Raises InputError for anything else, and for what lies outside."""
        file = self._inside(number, path)
        if not file.is_file() or not is_film(file):
            raise InputError(f"there is no film {path!r}")
        return file

    def _root(self, number: int) -> Path:
        if not 0 <= number < len(self._folders):
            raise InputError(f"there is no opened folder {number}")
        return self._folders[number]

    def _inside(self, number: int, path: str) -> Path:
        """Where a path leads, links followed, if that is inside and nothing on the way is hidden."""
        root, parts = self._root(number), Path(path).parts
        outside = InputError(f"{path!r} is not inside a folder that was opened")
        if "\x00" in path or "\\" in path or Path(path).is_absolute() or any(part.startswith(".") for part in parts):
            raise outside
        try:
            found = (root / path).resolve()
        except (OSError, RuntimeError):
            raise outside from None
        if not found.is_relative_to(root):
            raise outside
        return found
