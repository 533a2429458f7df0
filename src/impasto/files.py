"""Files that appear whole or not at all, their checksums, and what can be known of them without reading them whole."""

import hashlib
import os
import re
import secrets
import shutil
import struct
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from impasto.errors import InputError

Read = TypeVar("Read")

_LONGEST_SUFFIX = 16
"""Characters of a suffix; what is longer behind a dot is no suffix."""
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80")


@contextmanager
def atomic_file(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that takes its place when the block ends well and vanishes when it does not.

    Missing folders are made. Raises OSError if the folder cannot be made or written to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".impasto-{secrets.token_hex(8)}.part")
    # Made with the usual rights, less what the umask takes: reading the umask itself would mean to change it.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def check_folder(path: Path) -> None:
    """Say before any long work whether a file could be put here: raises InputError if its folder cannot be written or made, or if the file
    system takes no name that long.
    """
    check_name(path)
    folder = existing(path)
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"cannot write {path}: {folder} is not a folder that can be written to")


def existing(path: Path) -> Path:
    """The closest folder above a path that there is."""
    folder = path.parent
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder


def longest_name(folder: Path) -> int:
    """How long the name of a file can be in a folder that there is, as `length_of` measures it."""
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # Windows has none
        return 255


def length_of(name: str) -> int:
    """The length of a name as file systems count it: bytes, on Windows units of UTF-16."""
    return len(name.encode("utf-16-le", "surrogatepass")) // 2 if os.name == "nt" else len(os.fsencode(name))


def check_name(path: Path) -> None:
    """No name in a path is longer than its file system takes. Raises InputError."""
    folder = existing(path)
    most = longest_name(folder)
    for part in path.parts[len(folder.parts) if folder.parts == path.parts[: len(folder.parts)] else 0 :]:
        if length_of(part) > most:
            raise InputError(f"{path} cannot be a file here: a name of {length_of(part)} bytes is too long, {most} are the most")


def shortened(name: str, most: int) -> str:
    """A name that is too long with its middle cut out and a digest instead, which tells it from others that begin and end alike."""
    if length_of(name) <= most:
        return name
    mark = f"~{hashlib.sha256(name.encode('utf-8', 'surrogateescape')).hexdigest()[:8]}~"
    room = max(0, most - len(mark))
    tail = _whole(name[::-1], min(room // 3, 64))[::-1]
    return _whole(name, room - length_of(tail)) + mark + tail


def _whole(name: str, most: int) -> str:
    """The beginning of a name, whole characters alone."""
    kept = ""
    for character in name:
        if length_of(kept) + length_of(character) > most:
            break
        kept += character
    while kept and unicodedata.combining(name[len(kept) : len(kept) + 1] or " "):
        kept = kept[:-1]
    return kept


def fitting(path: Path) -> Path:
    """A path whose name is shortened, in front of its suffix, where the file system does not take it."""
    most = longest_name(existing(path))
    if length_of(path.name) <= most:
        return path
    suffix = path.suffix if len(path.suffix) <= _LONGEST_SUFFIX else ""
    return path.with_name(shortened(path.name.removesuffix(suffix), most - length_of(suffix)) + suffix)


def beside(path: Path, kind: str) -> Path:
    """A hidden name beside a file for what belongs to it while it is made: .NAME.KIND, and a digest where that were too long."""
    name = f".{path.name}.{kind}"
    if length_of(name) > longest_name(existing(path)):
        name = f".impasto-{hashlib.sha256(path.name.encode('utf-8', 'surrogateescape')).hexdigest()[:16]}.{kind}"
    return path.with_name(name)


def check_space(path: Path, needed: float) -> None:
    """Say before any long work whether so many bytes fit where a file shall be put. Raises InputError."""
    folder = existing(path)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise InputError(f"{path} needs about {needed / 1e6:,.0f} MB while it is made, and there are {free / 1e6:,.0f} MB left in {folder}")


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def looks_like_pickle(path: Path) -> bool:
    """True for a pickle or a zip archive with one, which is what .pt and .pth files are: never to be loaded.

    A safetensors file begins with the length of its header, and 128 is the first byte of a pickle as well as of one length in 256.
    """
    with path.open("rb") as stream:
        start = stream.read(9)
    header = struct.unpack("<Q", start[:8])[0] if len(start) == 9 else 0
    safetensors = start[8:] == b"{" and header + 8 <= path.stat().st_size
    return start.startswith(_PICKLE_STARTS) and not safetensors


def in_order(path: Path) -> tuple[object, ...]:
    """Sorts names with their numbers as numbers, so that frame 10 comes after frame 9; equal ones by the name as it is."""
    parts = re.split(r"(\d+)", path.name.casefold())
    return tuple((0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part), path.name, str(path)


def stamp(path: Path) -> tuple[int, ...]:
    """What changes when a file does: time, size and place on the disk; zeros where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return (0, 0, 0)
    return (stat.st_mtime_ns, stat.st_size, stat.st_ino)


def names_and_sizes(files: Iterable[Path]) -> list[tuple[str, int]]:
    """What tells these files from others, the same on every machine and whatever folder they lie in."""
    return [(file.name, file.stat().st_size) for file in files]


def fingerprint(path: Path) -> str:
    """What changes when the contents of a file do, the same on every machine: a digest of its size, its beginning and its end."""
    size, piece = path.stat().st_size, 1 << 16
    with path.open("rb") as stream:
        found = hashlib.sha256(str(size).encode() + stream.read(piece))
        stream.seek(max(0, size - piece))
        found.update(stream.read(piece))
    return found.hexdigest()


def remembered(count: int) -> Callable[[Callable[..., Read]], Callable[..., Read]]:
    """Keep what `read(path, ...)` gave for the last `count` files, as long as the file stays as it was."""

    def wrap(read: Callable[..., Read]) -> Callable[..., Read]:
        @lru_cache(maxsize=count)
        def kept(path: Path, known: tuple[int, ...], *more: object) -> Read:
            return read(path, *more)

        def look(path: Path, *more: object) -> Read:
            return kept(path, stamp(path), *more)

        return look

    return wrap
