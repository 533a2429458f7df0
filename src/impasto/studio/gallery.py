"""The styles that there are to choose from, each with a picture: bundled ones, and those of the user's library."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from impasto.errors import StyleError
from impasto.media.images import Picture, write_picture
from impasto.storage.library import Library
from impasto.storage.registry import bundled, locate
from impasto.storage.style_file import read_style
from impasto.training import samples


@dataclass(frozen=True)
class Shown:
    """A style as it is shown. own: whether it is the user's. films: whether films are stable in it by itself. live: a small network."""

    name: str
    title: str
    by: str
    licence: str
    own: bool
    films: bool
    live: bool


def styles(library: Library) -> Iterator[Shown]:
    """All styles, those of the user first, small networks for live films last."""
    for name in library.names():
        try:
            record = read_style(library.file(name)).record
        except StyleError:  # a file that somebody put there by hand
            continue
        learned = record.settings.get("adaptation", record.settings)
        films, live = bool(learned.get("film")), bool(learned.get("live"))
        yield Shown(name, name, record.source, record.licence, True, films, live)
    for known in sorted(bundled("style").values(), key=lambda record: record.name.endswith("-live")):
        yield Shown(known.name, known.title, known.source, known.licence, False, True, known.name.endswith("-live"))


def file_of(name: str, library: Library) -> Path:
    """The style file of a name. Raises StyleError."""
    return locate(name, "style") if name in bundled("style") else library.file(name)


def painting_of(name: str, library: Library) -> Path | None:
    """The painting that a style was learned from, if it is at hand. Raises StyleError."""
    if name in bundled("painting"):
        return locate(name, "painting")
    own = None if name in bundled("style") else library.picture(name)
    return own if own is not None and own.is_file() else None


def picture_of(name: str, library: Library, painted: Path) -> Path:
    """A picture of a style: the painting that the user learned, or what it makes of a sample; `painted` is the folder for these.

    Raises StyleError.
    """
    painting = None if name in bundled("style") else painting_of(name, library)
    if painting is not None:
        return painting
    made = painted / f"{name}-{samples.SIDE}-{samples.SEED}.jpg"
    if not made.is_file() or made.stat().st_mtime < file_of(name, library).stat().st_mtime:
        write_picture(Picture(samples.sample(read_style(file_of(name, library)))), made)
    return made
