"""Boxes of ISO base media files (HEIF, AVIF) and JPEG 2000: what Pillow leaves out of their statements on colours.

Read with bounds: nothing is reserved that the file does not have, and no file makes the search long.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

_MOST_BOXES = 10_000
_MOST_BYTES = 16 << 20
"""Bytes of a box with properties that are looked at; an ICC profile has a few hundred kilobytes at most."""
_BEFORE_BOXES = {b"stsd": 8, b"av01": 78, b"hvc1": 78, b"hev1": 78}
"""Bytes of a box before the boxes in it."""


@dataclass(frozen=True)
class Colour:
    """What colr and pixi boxes state. nclx: primaries, transfer, matrix, range (H.273). profile: an ICC profile. bits: of a channel."""

    nclx: tuple[int, int, int, int] | None = None
    profile: bytes | None = None
    bits: int = 8


def colour_of(stream: BinaryIO) -> Colour:
    """What a HEIF or AVIF file states of the colours of its main image; the stream is left anywhere.

    For a sequence without a main image it is its track that states them.
    """
    found = {kind: body for kind, body in _top(stream) if kind in (b"meta", b"moov")}
    try:
        stated = _of_items(found[b"meta"]) if b"meta" in found else Colour()
        if stated.nclx is None and stated.profile is None and b"moov" in found:
            stated = _of_properties(_of_tracks(found[b"moov"]))
        return stated
    except (struct.error, IndexError):
        return Colour()


def jp2_colour(stream: BinaryIO) -> tuple[bytes | None, int | None]:
    """The ICC profile of a JPEG 2000 file, and the number of its colour space where it has no profile; None for what is not stated."""
    for kind, body in _top(stream):
        if kind == b"jp2h":
            methods = {colr[0]: colr for name, colr in _inside(body) if name == b"colr" and len(colr) > 6}
            if 2 in methods:
                return methods[2][3:], None
            return None, struct.unpack(">I", methods[1][3:7])[0] if 1 in methods else None
    return None, None


def _top(stream: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """The outermost boxes and what those of properties contain; of others nothing is read."""
    end, at = stream.seek(0, 2), 0
    for _ in range(_MOST_BOXES):
        stream.seek(at)
        head = stream.read(16)
        if len(head) < 8:
            return
        size, kind = struct.unpack(">I4s", head[:8])
        begin = 8
        if size == 1 and len(head) == 16:
            size, begin = struct.unpack(">Q", head[8:])[0], 16
        size = size or end - at
        if size < begin:
            return
        stream.seek(at + begin)
        wanted = kind in (b"meta", b"moov", b"jp2h")
        yield kind, stream.read(min(size - begin, _MOST_BYTES, end - at)) if wanted else b""
        at += size


def _inside(data: bytes, at: int = 0) -> Iterator[tuple[bytes, bytes]]:
    for _ in range(_MOST_BOXES):
        if at + 8 > len(data):
            return
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        begin = 8
        if size == 1 and at + 16 <= len(data):
            size, begin = struct.unpack(">Q", data[at + 8 : at + 16])[0], 16
        size = size or len(data) - at
        if size < begin:
            return
        yield kind, data[at + begin : at + size]
        at += size


def _child(data: bytes, *names: bytes) -> bytes:
    """The first box of a chain of names, without what stands before the boxes in it; empty where there is none."""
    at = 0
    for name in names:
        data = next((body for kind, body in _inside(data, at) if kind == name), b"")
        at = _BEFORE_BOXES.get(name, 0)
    return data[at:]


def _of_items(meta: bytes) -> Colour:
    boxes = dict(_inside(meta, 4))
    main = boxes.get(b"pitm", b"")
    if len(main) < 6:
        return Colour()
    number = struct.unpack(">H", main[4:6])[0] if main[0] == 0 else struct.unpack(">I", main[4:8])[0]
    properties = [*_inside(_child(boxes.get(b"iprp", b""), b"ipco"))]
    chosen = _associated(dict(_inside(boxes.get(b"iprp", b""))).get(b"ipma", b"")).get(number, [])
    return _of_properties([properties[index - 1] for index in chosen if 0 < index <= len(properties)])


def _associated(ipma: bytes) -> dict[int, list[int]]:
    """The numbers of each item's properties."""
    if len(ipma) < 8:
        return {}
    version, flags, count = ipma[0], ipma[3], struct.unpack(">I", ipma[4:8])[0]
    at, found = 8, {}
    for _ in range(min(count, _MOST_BOXES)):
        if at + 3 > len(ipma):
            break
        width = 2 if version == 0 else 4
        item = int.from_bytes(ipma[at : at + width], "big")
        many, at = ipma[at + width], at + width + 1
        step = 2 if flags & 1 else 1
        mask = 0x7FFF if step == 2 else 0x7F
        found[item] = [int.from_bytes(ipma[at + step * k : at + step * (k + 1)], "big") & mask for k in range(many)]
        at += step * many
    return found


def _of_tracks(moov: bytes) -> list[tuple[bytes, bytes]]:
    """What the first track of images says of its samples."""
    for kind, track in _inside(moov):
        for entry in (b"av01", b"hvc1", b"hev1") if kind == b"trak" else ():
            if boxes := _child(track, b"mdia", b"minf", b"stbl", b"stsd", entry):
                return [*_inside(boxes)]
    return []


def _of_properties(properties: list[tuple[bytes, bytes]]) -> Colour:
    nclx, profile, bits = None, None, 8
    for kind, body in properties:
        if kind == b"colr" and body[:4] == b"nclx" and len(body) >= 11:
            nclx = (*struct.unpack(">HHH", body[4:10]), body[10] >> 7)
        elif kind == b"colr" and body[:4] in (b"prof", b"rICC"):
            profile = body[4:]
        elif kind == b"pixi" and len(body) > 5:
            bits = max(body[5:])
        elif kind == b"av1C" and len(body) > 2 and body[2] & 0x40:
            bits = 12 if body[2] & 0x20 else 10
    return Colour(nclx, profile, bits)
