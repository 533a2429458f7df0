"""Where results go. All outputs of a job are planned before the first is made: none of them is an input, and no two are the same."""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from pathlib import Path

from impasto.errors import InputError
from impasto.files import check_name, fitting, length_of

log = logging.getLogger("impasto")

PathLike = str | os.PathLike[str]


class Outputs:
    """The outputs of one job, planned one after the other. inputs: all files and folders that it reads.

    messages: which names were shortened, because they are longer than the file system takes.
    """

    def __init__(self, inputs: Iterable[PathLike] = ()):
        self.messages: list[str] = []
        self._inputs = [Path(path) for path in inputs if os.path.lexists(path)]
        self._read = {_place(path) for path in self._inputs}
        self._taken: set[str] = set()

    def asked(self, path: PathLike) -> Path:
        """A place that the user named. Raises InputError if it is an input, or another result's, or if its name is too long."""
        path = Path(path)
        check_name(path)
        if self._is_input(path):
            raise InputError(f"{path} is an input itself and is not overwritten; choose another output")
        if _place(path) in self._taken:
            raise InputError(f"{path} would hold two results; choose another output")
        return self._take(path)

    def only(self, path: PathLike) -> Path:
        """The one place of a job, as `chosen` names it; what there is to say of it goes to the log."""
        place = self.chosen(path)
        for message in self.messages:
            log.warning(message)
        return place

    def chosen(self, path: PathLike) -> Path:
        """A place that we name: as it is if it is free, otherwise with a number; shortened where it is too long."""
        path = Path(path)
        check_name(path.parent)
        numbered = (path.with_name(f"{path.stem}-{number}{path.suffix}" if number > 1 else path.name) for number in count(1))
        tried = ((wanted, fitting(wanted)) for wanted in numbered)
        wanted, place = next((name, place) for name, place in tried if not self._is_input(place) and _place(place) not in self._taken)
        if place != wanted:
            self.messages.append(f"{place.name} is a shortened name: {length_of(wanted.name)} bytes are more than the disk takes")
        return self._take(place)

    def _take(self, path: Path) -> Path:
        self._taken.add(_place(path))
        return path

    def _is_input(self, path: Path) -> bool:
        return _place(path) in self._read or (path.exists() and any(path.samefile(read) for read in self._inputs if read.exists()))


def _place(path: Path) -> str:
    """A file's place with all links of its folder resolved; names that differ in case only are one on many disks."""
    return str(Path(os.path.realpath(path.parent)) / path.name).casefold()


def names_of(sources: Sequence[Path]) -> list[str]:
    """A name for each file, its own if no other has it; otherwise with its suffix, with its folder, or with both."""
    forms: list[Callable[[Path], str]] = [
        lambda path: path.stem,
        lambda path: path.name.replace(".", "-"),
        lambda path: f"{path.absolute().parent.name}-{path.stem}",
        lambda path: f"{path.absolute().parent.name}-{path.name.replace('.', '-')}",
    ]
    groups: dict[str, list[Path]] = {}
    for source in sources:
        groups.setdefault(source.stem.casefold(), []).append(source)
    names: dict[int, str] = {}
    for group in groups.values():
        form = next((form for form in forms if len({form(path).casefold() for path in group}) == len(group)), forms[-1])
        names |= {id(path): form(path) for path in group}
    return [names[id(source)] for source in sources]


def is_folder(output: PathLike) -> bool:
    """Whether an output was meant as a folder: there is one, it ends in a slash, or it has no suffix."""
    text = os.fspath(output)
    return text.endswith(("/", os.sep)) or Path(text).is_dir() or not Path(text).suffix
