"""The directories of EXIF and TIFF (TIFF 6.0, BigTIFF, CIPA DC-008): read and written value by value, whatever their types are."""

import io
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import BinaryIO

import numpy as np

EXIF_POINTER, GPS_POINTER, MAKER_NOTE = 0x8769, 0x8825, 0x927C
ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 2, 3, 4, 5, 7

_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value by its type."""
_SWAPPED = {3: 2, 8: 2, 4: 4, 9: 4, 13: 4, 11: 4, 5: 4, 10: 4, 12: 8, 16: 8, 17: 8, 18: 8}
"""Bytes that change their order together, by type."""
_MOST_ENTRIES, _MOST_BYTES = 4096, 64 * 2**20


@dataclass(frozen=True)
class Entry:
    """A value of a directory: its type, how many there are, and its bytes, least significant byte first."""

    kind: int
    count: int
    data: bytes

    def numbers(self) -> list[float]:
        """Its values, if they are whole or rational numbers that are not below zero; none otherwise."""
        if self.kind == RATIONAL:
            pairs = struct.unpack(f"<{2 * self.count}I", self.data)
            return [top / bottom if bottom else 0.0 for top, bottom in zip(pairs[::2], pairs[1::2], strict=True)]
        code = {1: "B", SHORT: "H", LONG: "I", 16: "Q"}.get(self.kind)
        return [] if code is None else [float(value) for value in struct.unpack(f"<{self.count}{code}", self.data)]


Directory = dict[int, Entry]


@dataclass(frozen=True)
class Directories:
    """The directories of an EXIF block by what they hold: the image (IFD0), the exposure (Exif IFD) and the place (GPS IFD).

    order: "<" or ">", how the block stores numbers. note_at: where its maker note begins, which may point to its own values from there.
    """

    image: Directory = field(default_factory=dict)
    exposure: Directory = field(default_factory=dict)
    place: Directory = field(default_factory=dict)
    order: str = "<"
    note_at: int | None = None


def text(value: str) -> Entry:
    """A text of ASCII; what is no ASCII is stored as UTF-8."""
    data = value.encode() + b"\0"
    return Entry(ASCII, len(data), data)


def short(value: int) -> Entry:
    """A whole number of two bytes."""
    return Entry(SHORT, 1, struct.pack("<H", value))


def long(value: int) -> Entry:
    """A whole number of four bytes."""
    return Entry(LONG, 1, struct.pack("<I", value))


def rational(value: float) -> Entry:
    """A number as a fraction."""
    exact = Fraction(value).limit_denominator(10_000)
    return Entry(RATIONAL, 1, struct.pack("<2I", exact.numerator, exact.denominator))


def read_directories(stream: BinaryIO, wanted: Callable[[int], bool] = lambda tag: True) -> Directories:
    """The first directory of a TIFF file or an EXIF block, and those that it points to.

    wanted: which values of the first directory are read. What is damaged is left out. Raises ValueError for what is no TIFF.
    """
    stream.seek(0)
    start = stream.read(16)
    order = {b"II": "<", b"MM": ">"}.get(start[:2])
    magic = 0 if order is None or len(start) < 8 else struct.unpack(f"{order}H", start[2:4])[0]
    if order is None or magic not in (42, 43) or (magic == 43 and len(start) < 16):
        raise ValueError("no TIFF header")
    big = magic == 43
    at = struct.unpack(f"{order}Q", start[8:16])[0] if big else struct.unpack(f"{order}I", start[4:8])[0]
    pointers = (EXIF_POINTER, GPS_POINTER)
    image, _ = _directory(stream, order, big, at, lambda tag: tag in pointers or wanted(tag))
    found: list[Directory] = []
    note_at = None
    for pointer in pointers:
        places = image.pop(pointer, Entry(LONG, 0, b"")).numbers()
        directory, starts = _directory(stream, order, big, int(places[0]), lambda tag: True) if places else ({}, {})
        found.append(directory)
        note_at = starts.get(MAKER_NOTE, note_at)
    return Directories(image, found[0], found[1], order, note_at)


def _directory(stream: BinaryIO, order: str, big: bool, at: int, wanted: Callable[[int], bool]) -> tuple[Directory, dict[int, int]]:
    """The values of a directory, and where each begins that does not lie in the directory itself."""
    end = stream.seek(0, io.SEEK_END)
    if not 0 < at < end:
        return {}, {}
    stream.seek(at)
    head, form = (8, f"{order}HHQ8s") if big else (2, f"{order}HHI4s")
    inline = struct.calcsize(form) - struct.calcsize(form[:-2])
    count = int.from_bytes(stream.read(head), "big" if order == ">" else "little")
    table = stream.read(min(count, _MOST_ENTRIES) * struct.calcsize(form))
    entries: Directory = {}
    starts: dict[int, int] = {}
    for tag, kind, number, stored in struct.iter_unpack(form, table[: len(table) // struct.calcsize(form) * struct.calcsize(form)]):
        size = _SIZES.get(kind, 0) * number
        if not wanted(tag) or not 0 < size <= _MOST_BYTES:
            continue
        if size <= inline:
            data = stored[:size]
        else:
            starts[tag] = int.from_bytes(stored, "big" if order == ">" else "little")
            if starts[tag] + size > end:
                continue
            stream.seek(starts[tag])
            data = stream.read(size)
        entries[tag] = Entry(kind, number, _ordered(data, kind, order))
    return entries, starts


def _ordered(data: bytes, kind: int, order: str) -> bytes:
    """The bytes of a value from one order to the least significant first, or from there to it."""
    width = _SWAPPED.get(kind)
    return data if order == "<" or width is None else np.frombuffer(data, f">u{width}").astype(f"<u{width}").tobytes()


def block_of(directories: Directories) -> bytes:
    """An EXIF block. A maker note stays at the place where it was, if it can: most makers count from the beginning of the block."""
    order = directories.order
    body, at = laid_out(directories, base=8)
    return struct.pack(f"{order}2sHI", b"II" if order == "<" else b"MM", 42, at) + body


def laid_out(directories: Directories, *, base: int, big: bool = False) -> tuple[bytes, int]:
    """Directories as they are stored from the byte number `base` of a file on, and where the first of them begins.

    big: as BigTIFF.
    """
    order, head = directories.order, "Q" if big else "H"
    pointer, link = ("QQQ", "Q") if big else ("III", "I")
    inline = 8 if big else 4
    listed = {0: directories.image, EXIF_POINTER: directories.exposure, GPS_POINTER: directories.place}
    parts = {tag: dict(entries) for tag, entries in listed.items() if entries or not tag}
    for tag in (tag for tag in parts if tag):
        parts[0][tag] = Entry(16 if big else LONG, 1, bytes(inline))
    sizes = {tag: struct.calcsize(f"<{head}") + len(entries) * (20 if big else 12) + inline for tag, entries in parts.items()}
    kept = directories.exposure.get(MAKER_NOTE)
    note = (0, 0)
    if kept is not None and directories.note_at is not None and directories.note_at >= base + sizes[0] and not big and base == 8:
        note = (directories.note_at, directories.note_at + len(kept.data))
    blocks: dict[int, bytes] = {}
    cursor = base

    def placed(size: int) -> int:
        nonlocal cursor
        cursor += cursor % 2
        if cursor < note[1] and cursor + size > note[0]:
            cursor = note[1] + note[1] % 2
        cursor += size
        return cursor - size

    places = {tag: placed(size) for tag, size in sizes.items()}
    for tag in (tag for tag in parts if tag):
        parts[0][tag] = replace(parts[0][tag], data=places[tag].to_bytes(inline, "little"))
    for tag, entries in parts.items():
        rows = []
        for key, entry in sorted(entries.items()):
            data = _ordered(entry.data, entry.kind, order)
            if len(data) > inline:
                at = note[0] if key == MAKER_NOTE and note[1] else placed(len(data))
                blocks[at] = data
                data = struct.pack(f"{order}{link}", at)
            rows.append(struct.pack(f"{order}HH{pointer[0]}", key, entry.kind, entry.count) + data.ljust(inline, b"\0"))
        blocks[places[tag]] = struct.pack(f"{order}{head}", len(rows)) + b"".join(rows) + bytes(inline)
    whole = bytearray(max(at + len(data) for at, data in blocks.items()) - base)
    for at, data in blocks.items():
        whole[at - base : at - base + len(data)] = data
    return bytes(whole), places[0]


def without(directory: Mapping[int, Entry], tags: frozenset[int] | set[int]) -> Directory:
    """A directory without some of its values."""
    return {tag: entry for tag, entry in directory.items() if tag not in tags}
