"""The containers of still images - JPEG, PNG, WebP, TIFF, BMP - apart from their pixels: metadata put into files that are encoded already.

So metadata do not depend on the encoder: Pillow and libvips change EXIF blocks each in its own way, or fail at the end. A segment of a JPEG
takes 64 kB: IPTC is stored in as many as it needs (as Photoshop does), and what is too large of XMP in an extension (XMP part 3, 1.1.3.1).
"""

import hashlib
import shutil
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from impasto.media.exif import UNDEFINED, Directories, Entry, block_of, laid_out, rational, read_directories, short, text, without
from impasto.media.opening import MADE_BY, SOFTWARE

PHOTOSHOP = b"Photoshop 3.0\0"
XMP, XMP_EXTENSION = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
EXIF = b"Exif\0\0"
XMP_KEYWORD = b"XML:com.adobe.xmp"
IPTC_RESOURCE = 0x0404
SEGMENT = 65_533
"""Bytes that a segment of a JPEG takes at the most."""
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, XMP_TAG, IPTC_TAG = 0x011A, 0x011B, 0x0128, 0x02BC, 0x83BB

_INCH = 0.0254
_PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Blocks:
    """What a file says beside its pixels.

    density: pixels per inch, across and down. exif: without density and software. xmp, extension: a packet, and what of it is stored
    apart. iptc: records of IPTC-IIM.
    """

    density: tuple[float, float] | None = None
    exif: Directories = field(default_factory=Directories)
    xmp: bytes | None = None
    extension: bytes | None = None
    iptc: bytes | None = None

    def directories(self) -> Directories:
        """The EXIF directories with the density, and with Impasto as the software."""
        image = without(self.exif.image, {X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT}) | {SOFTWARE: text(MADE_BY)}
        if self.density is not None:
            across, down = self.density
            image |= {X_RESOLUTION: rational(across), Y_RESOLUTION: rational(down), RESOLUTION_UNIT: short(2)}
        return replace(self.exif, image=image)


def put_in(encoded: BinaryIO, target: BinaryIO, kind: str, blocks: Blocks) -> None:
    """Copy an encoded image of a kind ("JPEG", "PNG", "WEBP", "TIFF", "BMP") into a file open for reading and writing, with these metadata.

    Those that its encoder wrote are left out. Raises ValueError if it is no such file, OSError.
    """
    encoded.seek(0)
    _PUT[kind](encoded, target, blocks)


def _jpeg(encoded: BinaryIO, target: BinaryIO, blocks: Blocks) -> None:
    target.write(_exactly(encoded, 2))
    across, down = (round(density) for density in blocks.density or (0, 0))
    stated = 0 < across < 65_536 and 0 < down < 65_536
    _segment(target, 0xE0, b"JFIF\0\1\1" + struct.pack(">BHHBB", stated, *((across, down) if stated else (1, 1)), 0, 0))
    _segment(target, 0xE1, EXIF + block_of(blocks.directories()))
    if blocks.xmp is not None:
        _segment(target, 0xE1, XMP + blocks.xmp)
    if blocks.extension is not None:
        name, step = hashlib.md5(blocks.extension, usedforsecurity=False).hexdigest().upper().encode(), 65_400
        for begin in range(0, len(blocks.extension), step):
            head = XMP_EXTENSION + name + struct.pack(">II", len(blocks.extension), begin)
            _segment(target, 0xE1, head + blocks.extension[begin : begin + step])
    if blocks.iptc is not None:
        resource, step = iptc_resource(blocks.iptc), SEGMENT - len(PHOTOSHOP)
        for begin in range(0, len(resource), step):
            _segment(target, 0xED, PHOTOSHOP + resource[begin : begin + step])
    while True:
        marker, length = struct.unpack(">2sH", _exactly(encoded, 4))
        if marker not in (b"\xff\xe0", b"\xff\xe1", b"\xff\xed"):
            target.write(marker + struct.pack(">H", length))
            break
        encoded.seek(length - 2, 1)
    shutil.copyfileobj(encoded, target)


def _segment(target: BinaryIO, marker: int, data: bytes) -> None:
    if len(data) > SEGMENT:
        raise ValueError(f"{len(data)} bytes do not fit into a segment")
    target.write(struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data)


def _png(encoded: BinaryIO, target: BinaryIO, blocks: Blocks) -> None:
    target.write(_PNG)
    for kind, length in png_chunks(encoded):
        if kind in (b"pHYs", b"eXIf", b"tEXt", b"iTXt", b"zTXt"):
            continue
        encoded.seek(-8, 1)
        _copied(encoded, target, length + 12)
        encoded.seek(-length - 4, 1)
        if kind == b"IHDR":
            for own, data in _png_metadata(blocks):
                target.write(struct.pack(">I", len(data)) + own + data + struct.pack(">I", zlib.crc32(own + data)))


def _png_metadata(blocks: Blocks) -> Iterator[tuple[bytes, bytes]]:
    if blocks.density is not None:
        yield b"pHYs", struct.pack(">IIB", *(round(density / _INCH) for density in blocks.density), 1)
    yield b"tEXt", b"Software\0" + MADE_BY.encode()
    if blocks.exif != Directories():
        yield b"eXIf", block_of(blocks.directories())
    if blocks.xmp is not None:
        yield b"iTXt", XMP_KEYWORD + bytes(5) + blocks.xmp
    if blocks.iptc is not None:
        digits = iptc_resource(blocks.iptc).hex().encode()
        lines = b"\n".join(digits[begin : begin + 72] for begin in range(0, len(digits), 72))
        yield b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(b"\niptc\n%8d\n%b\n" % (len(digits) // 2, lines))


def png_chunks(stream: BinaryIO) -> Iterator[tuple[bytes, int]]:
    """The chunks of a PNG, name and length of data; each time the stream stands where its data begin. Raises ValueError."""
    stream.seek(0)
    if stream.read(8) != _PNG:
        raise ValueError("no PNG")
    at = 8
    while len(head := stream.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        yield kind, length
        at += length + 12
        stream.seek(at)


def _webp(encoded: BinaryIO, target: BinaryIO, blocks: Blocks) -> None:
    riff, _, kind = struct.unpack("<4sI4s", _exactly(encoded, 12))
    if (riff, kind) != (b"RIFF", b"WEBP"):
        raise ValueError("no WebP")
    target.write(riff + bytes(4) + kind)
    name, length = struct.unpack("<4sI", _exactly(encoded, 8))
    start = _exactly(encoded, 10)
    encoded.seek(-18, 1)
    if name == b"VP8X":
        flags, sides = start[0] & ~0x0C, start[4:10]
        encoded.seek(18, 1)
    elif name == b"VP8L":  # 14 bits of width - 1, 14 of height - 1, and whether there is alpha
        bits = int.from_bytes(start[1:5], "little")
        flags, sides = (bits >> 28 & 1) << 4, (bits & 0x3FFF).to_bytes(3, "little") + (bits >> 14 & 0x3FFF).to_bytes(3, "little")
    else:
        width, height = (value & 0x3FFF for value in struct.unpack("<HH", start[6:10]))
        flags, sides = 0, (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    own = [(b"EXIF", block_of(blocks.directories())), *([] if blocks.xmp is None else [(b"XMP ", blocks.xmp)])]
    _chunk(target, b"VP8X", bytes([flags | 0x08 | (0x04 if blocks.xmp is not None else 0), 0, 0, 0]) + sides)
    while len(head := encoded.read(8)) == 8:
        name, length = struct.unpack("<4sI", head)
        even = length + length % 2
        if name in (b"EXIF", b"XMP "):
            encoded.seek(even, 1)
            continue
        target.write(head)
        _copied(encoded, target, even)
    for name, data in own:
        _chunk(target, name, data)
    size = target.tell()
    target.seek(4)
    target.write(struct.pack("<I", size - 8))


def _chunk(target: BinaryIO, name: bytes, data: bytes) -> None:
    target.write(name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2))


def _tiff(encoded: BinaryIO, target: BinaryIO, blocks: Blocks) -> None:
    """A new first directory behind everything else: that of the encoder, and what is said beside it."""
    shutil.copyfileobj(encoded, target)
    written = read_directories(target)
    target.seek(0)
    order, magic = target.read(2), target.read(2)
    big = magic in (b"\x2b\0", b"\0\x2b")
    own = blocks.directories()
    image = without(written.image, {X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, SOFTWARE}) | own.image
    for tag, kind, data in ((XMP_TAG, 1, blocks.xmp), (IPTC_TAG, UNDEFINED, blocks.iptc)):
        if data is not None:
            image[tag] = Entry(kind, len(data), data)
    base = target.seek(0, 2)
    target.write(bytes(base % 2))
    body, at = laid_out(replace(own, image=image, order=written.order, note_at=None), base=base + base % 2, big=big)
    target.write(body)
    target.seek(8 if big else 4)
    target.write(at.to_bytes(8 if big else 4, "big" if order == b"MM" else "little"))


def _bmp(encoded: BinaryIO, target: BinaryIO, blocks: Blocks) -> None:
    shutil.copyfileobj(encoded, target)
    if blocks.density is not None:
        target.seek(38)
        target.write(struct.pack("<ii", *(round(density / _INCH) for density in blocks.density)))


_PUT: dict[str, Callable[[BinaryIO, BinaryIO, Blocks], None]] = {"JPEG": _jpeg, "PNG": _png, "WEBP": _webp, "TIFF": _tiff, "BMP": _bmp}


def iptc_resource(iptc: bytes) -> bytes:
    """Records of IPTC as an image resource of Photoshop."""
    return struct.pack(">4sHHI", b"8BIM", IPTC_RESOURCE, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)


def resources(data: bytes) -> dict[int, bytes]:
    """The image resources of Photoshop by number; those after a damaged one are left out."""
    found: dict[int, bytes] = {}
    at = 0
    while data[at : at + 4] == b"8BIM" and at + 12 <= len(data):
        number, named = struct.unpack(">HB", data[at + 4 : at + 7])
        at += 7 + named + (named + 1) % 2
        if at + 4 > len(data):
            break
        (length,) = struct.unpack(">I", data[at : at + 4])
        if at + 4 + length > len(data):
            break
        found.setdefault(number, data[at + 4 : at + 4 + length])
        at += 4 + length + length % 2
    return found


def _exactly(stream: BinaryIO, count: int) -> bytes:
    data = stream.read(count)
    if len(data) != count:
        raise ValueError("the file ends too early")
    return data


def _copied(source: BinaryIO, target: BinaryIO, count: int) -> None:
    while count:
        data = _exactly(source, min(count, 1 << 20))
        target.write(data)
        count -= len(data)
