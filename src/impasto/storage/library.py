"""The styles that a user keeps: a folder of style files, each with a small picture of what was learned beside it.

It is $IMPASTO_HOME/styles, or a folder of the platform's for the user's data. A name in it is a style, as a bundled one's is.
"""

import os
from dataclasses import replace
from pathlib import Path

import platformdirs

from impasto.errors import InputError, StyleError
from impasto.names import is_plain_name
from impasto.storage.registry import bundled
from impasto.storage.style_file import StyleFile, read_style, write_style

SUFFIX = ".safetensors"


def home() -> Path:
    """Where what a user keeps lies: $IMPASTO_HOME, or the platform's folder for it."""
    return Path(os.environ.get("IMPASTO_HOME") or platformdirs.user_data_dir("impasto"))


class Library:
    """A folder of style files by name."""

    def __init__(self, folder: Path | None = None):
        self.folder = folder or home() / "styles"

    def names(self) -> list[str]:
        """The styles there are, in order."""
        if not self.folder.is_dir():
            return []
        return sorted(path.stem for path in self.folder.glob(f"*{SUFFIX}") if path.is_file() and is_plain_name(path.stem))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and is_plain_name(name) and self._path(name).is_file()

    def file(self, name: str) -> Path:
        """The style file of a name. Raises StyleError if there is none."""
        if name not in self:
            raise StyleError(f"there is no style {name!r} in the library")
        return self._path(name)

    def picture(self, name: str) -> Path:
        """Where the small picture of a style lies, if it has one."""
        return self.file(name).with_suffix(".jpg")

    def free(self, name: str) -> Path:
        """Where a new style of this name goes. Raises InputError if it cannot be a style's name, or there is one already."""
        if not is_plain_name(name):
            raise InputError(f"{name!r} cannot be the name of a style: it has to be able to be a file's name")
        if name in bundled("style") or name in self:
            raise InputError(f"there is a style {name!r} already")
        return self._path(name)

    def add(self, path: Path, name: str) -> Path:
        """Take a style file in under a name. Raises StyleError for what is none, and InputError as `free` does."""
        return write_style(self.free(name), _named(read_style(path), name))

    def rename(self, name: str, new: str) -> Path:
        """Give a style another name. Raises StyleError if there is none, and InputError as `free` does."""
        picture, target = self.picture(name), self.free(new)
        write_style(target, _named(read_style(self.file(name)), new))
        if picture.is_file():
            picture.replace(target.with_suffix(".jpg"))
        self.file(name).unlink()
        return target

    def remove(self, name: str) -> None:
        """Remove a style. Raises StyleError if there is none."""
        file = self.file(name)
        file.with_suffix(".jpg").unlink(missing_ok=True)
        file.unlink(missing_ok=True)

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}{SUFFIX}"


def _named(style: StyleFile, name: str) -> StyleFile:
    return replace(style, record=replace(style.record, name=name))
