"""Metadata of still images: read from any container, and what of them a result can say that was painted at its own size.

The density (pixels per inch) is kept always, whatever the size in pixels. EXIF, IPTC and XMP are kept on demand, without what describes how
the source stores its pixels. What a format cannot hold is left out, which a message says: nothing fails after the work.
"""

import io
import struct
import zlib
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO

from PIL import ExifTags, Image

from impasto.media import xmp
from impasto.media.exif import MAKER_NOTE, Directories, Directory, block_of, long, read_directories, short, without
from impasto.media.image_containers import (
    EXIF,
    IPTC_RESOURCE,
    IPTC_TAG,
    PHOTOSHOP,
    RESOLUTION_UNIT,
    SEGMENT,
    X_RESOLUTION,
    XMP,
    XMP_EXTENSION,
    XMP_KEYWORD,
    XMP_TAG,
    Y_RESOLUTION,
    Blocks,
    png_chunks,
    resources,
)

Size = tuple[int, int]
"""Height and width in pixels."""

_RESOURCES_TAG, _RESOLUTION_RESOURCE = 0x8649, 0x03ED
_OF_IMAGE = frozenset(
    {0x010D, 0x010E, 0x010F, 0x0110, 0x0132, 0x013B, 0x013C, 0x4746, 0x4749, 0x8298, *range(0x9C9B, 0x9CA0), *range(0x829A, 0x829E),
     *range(0x8822, 0x8834), *range(0x9000, 0xA000), *range(0xA430, 0xA436)}
)  # fmt: skip
"""Values of the first directory that are kept: title, maker, dates, people, copyright, rating, and what the exposure says. All others of a
TIFF describe how its pixels are stored."""
_OF_PIXELS = frozenset({0x9101, 0x9102, 0xA001, 0xA002, 0xA003, 0xA005, 0xA500, 0xEA1C})
"""Values of the exposure that describe the source's pixels: their coding, colour space, sides and gamma; and padding."""
_COLOR_SPACE, _WIDTH, _HEIGHT, _SRGB = 0xA001, 0xA002, 0xA003, 1
_MOST_TEXT = 16 * 2**20
"""Bytes of a compressed text of a PNG that are read at the most."""


@dataclass(frozen=True)
class Room:
    """How many bytes of each kind of metadata a format takes: 0 if it has no place for it, None if there is no limit."""

    name: str
    exif: int | None = None
    xmp: int | None = None
    iptc: int | None = None
    extension: bool = False


_ROOM = {
    "JPEG": Room("JPEG", exif=SEGMENT - len(EXIF), xmp=SEGMENT - len(XMP) - 2, extension=True),
    "PNG": Room(
        "PNG", exif=8_000_000 - 1, xmp=8_000_000 - 64, iptc=500_000
    ),  # what libpng and Pillow take at the most, unless told otherwise
    "WEBP": Room("WebP", iptc=0),
    "TIFF": Room("TIFF"),
    "BMP": Room("BMP", exif=0, xmp=0, iptc=0),
}


@dataclass(frozen=True)
class ImageMetadata:
    """What an image file says beside its pixels, as it is stored there.

    size: height and width, upright. density: pixels per inch across and down, upright. exif: the block. iptc: records of IPTC-IIM.
    xmp, extension: the packet, and what a JPEG stores of it apart. turned: whether the orientation is another than upright.
    """

    size: Size
    density: tuple[float, float] | None = None
    exif: bytes | None = field(default=None, repr=False)
    iptc: bytes | None = field(default=None, repr=False)
    xmp: bytes | None = field(default=None, repr=False)
    extension: bytes | None = field(default=None, repr=False)
    turned: bool = False

    def upright(self, size: Size, orientation: int) -> "ImageMetadata":
        """Those of an image whose pixels are stored at a size (height, width), and turned as EXIF numbers it, 1 to 8."""
        if orientation not in range(5, 9):
            return replace(self, size=size, turned=orientation != 1)
        return replace(self, size=(size[1], size[0]), density=self.density and (self.density[1], self.density[0]), turned=True)


def read_metadata(image: Image.Image) -> ImageMetadata:
    """The metadata of an image that was opened and is not decoded yet, as they are stored; what is damaged counts as absent."""
    try:
        found = _READERS.get(image.format or "", _of_info)(image)
    except Exception:  # whatever a damaged file leads to: an image without metadata is still an image
        found = _Found()
    return ImageMetadata((image.size[1], image.size[0]), found.density, found.exif, found.iptc, found.xmp, found.extension)


def metadata_of(exif: bytes | None, size: Size) -> ImageMetadata:
    """The metadata that an EXIF block alone is."""
    return ImageMetadata(size, _density_of_exif(exif), exif)


def fitted(metadata: ImageMetadata | None, kind: str, size: Size, *, keep: bool) -> tuple[Blocks, tuple[str, ...]]:
    """What a writer of a kind ("JPEG", "PNG", ...) takes for a result of a size (height, width), and messages on what is left out.

    keep: EXIF, IPTC and XMP; without it the density alone.
    """
    if metadata is None:
        return Blocks(), ()
    blocks, room, messages = Blocks(metadata.density), _ROOM[kind], list[str]()
    if not keep:
        return blocks, ()
    exif = None if metadata.exif is None else _still_true(metadata.exif, size)
    packet = None
    if metadata.exif is not None and exif is None:
        messages.append("its EXIF block is damaged and is left out")
    if metadata.xmp is not None:
        try:
            packet = xmp.still_true(metadata.xmp, metadata.extension, before=metadata.size, after=size, turned=metadata.turned)
            if packet is not None and room.xmp != 0:
                main, extension = _parted(packet, room)
                blocks = replace(blocks, xmp=main, extension=extension)
        except Exception:  # whatever damage leads to: the picture that was painted is written
            packet = None
            messages.append("its XMP is damaged and is left out")
    lacking = [
        name
        for name, value, most in (("EXIF", exif, room.exif), ("IPTC", metadata.iptc, room.iptc), ("XMP", packet, room.xmp))
        if value is not None and most == 0
    ]
    if lacking:
        messages.append(f"{room.name} has no place for {' and '.join(lacking)}, which {_is(lacking)} left out")
    if exif is not None and room.exif != 0:
        exif, left = _within(exif, blocks, room.exif)
        if left:
            messages.append(f"{' and '.join(left)} of the EXIF block {_is(left)} left out: too large for {room.name}")
        blocks = replace(blocks, exif=exif)
    if packet is not None and room.xmp != 0 and blocks.xmp is None:
        messages.append(f"XMP is left out: too large for {room.name}")
    if metadata.iptc is not None and room.iptc != 0:
        fits = room.iptc is None or len(metadata.iptc) <= room.iptc
        if not fits:
            messages.append(f"IPTC is left out: too large for {room.name}")
        blocks = replace(blocks, iptc=metadata.iptc if fits else None)
    return blocks, tuple(messages)


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _still_true(block: bytes, size: Size) -> Directories | None:
    """What of an EXIF block is true of a result; None for a damaged one."""
    try:
        found = read_directories(io.BytesIO(_bare(block)), _OF_IMAGE.__contains__)
    except Exception:
        return None
    exposure: Directory = without(found.exposure, _OF_PIXELS)
    exposure |= {_COLOR_SPACE: short(_SRGB), _WIDTH: long(size[1]), _HEIGHT: long(size[0])}
    return replace(found, exposure=exposure)


def _within(exif: Directories, blocks: Blocks, most: int | None) -> tuple[Directories, list[str]]:
    """EXIF directories that are stored in so many bytes, and the names of values that are left out: the largest ones."""
    left: list[str] = []
    while most is not None and len(block_of(replace(blocks, exif=exif).directories())) > most:
        if exif.note_at is not None:
            exif = replace(exif, note_at=None)  # what lay before its place may be gone, and its room is needed
            continue
        parts = {"image": exif.image, "exposure": exif.exposure, "place": exif.place}
        part, tag = max(((name, tag) for name, held in parts.items() for tag in held), key=lambda at: len(parts[at[0]][at[1]].data))
        names = ExifTags.GPSTAGS if part == "place" else ExifTags.TAGS
        left.append("the maker note" if tag == MAKER_NOTE else names.get(tag, f"0x{tag:04x}"))
        exif = Directories(**(parts | {part: without(parts[part], {tag})}), order=exif.order, note_at=exif.note_at)
    return exif, left


def _parted(packet: bytes, room: Room) -> tuple[bytes | None, bytes | None]:
    """A packet, and its extension if it needs one; None where the format does not take it."""
    if room.xmp is None or len(packet) <= room.xmp:
        return packet, None
    main, extension = xmp.divided(packet, room.xmp) if room.extension else (packet, None)
    return (main, extension) if len(main) <= room.xmp else (None, None)


@dataclass(frozen=True)
class _Found:
    """What a container holds."""

    density: tuple[float, float] | None = None
    exif: bytes | None = None
    iptc: bytes | None = None
    xmp: bytes | None = None
    extension: bytes | None = None


def _of_jpeg(image: Any) -> _Found:
    exif, resource, packet = b"", b"", b""
    extensions: dict[str, dict[int, bytes]] = {}
    for name, data in image.applist:
        if name == "APP1" and data.startswith(EXIF):
            exif += data[len(EXIF) :]
        elif name == "APP1" and data.startswith(XMP):
            packet = packet or data[len(XMP) :]
        elif name == "APP1" and data.startswith(XMP_EXTENSION) and len(data) > len(XMP_EXTENSION) + 40:
            rest = data[len(XMP_EXTENSION) :]
            extensions.setdefault(rest[:32].decode("latin-1"), {})[int.from_bytes(rest[36:40], "big")] = rest[40:]
        elif name == "APP13" and data.startswith(PHOTOSHOP):
            resource += data[len(PHOTOSHOP) :]
    unit, stated = image.info.get("jfif_unit"), image.info.get("jfif_density")
    held = resources(resource)
    density = _density(stated, {1: 1.0, 2: 2.54}.get(unit or 0)) or _density_of_exif(exif) or _density_of_resource(held)
    return _Found(density, exif or None, held.get(IPTC_RESOURCE), packet or None, _joined(packet, extensions))


def _joined(packet: bytes, extensions: dict[str, dict[int, bytes]]) -> bytes | None:
    """The extension that a packet names; one that is not whole is left out."""
    if not extensions or not packet:
        return None
    try:
        parts = extensions.get(xmp.extension_name(packet), {})
    except ValueError:
        return None
    whole = b""
    for at, data in sorted(parts.items()):
        if at != len(whole):
            return None
        whole += data
    return whole or None


def _of_png(image: Any) -> _Found:
    stream, place = image.fp, image.fp.tell()
    density, exif, iptc, packet = None, None, None, None
    try:
        for kind, length in png_chunks(stream):
            if kind == b"pHYs" and length == 9:
                across, down, unit = struct.unpack(">IIB", stream.read(9))
                density = _density((across, down), 0.0254 if unit == 1 else None)
            elif kind == b"eXIf" and length <= _MOST_TEXT:
                exif = stream.read(length)
            elif kind in (b"iTXt", b"zTXt", b"tEXt") and length <= _MOST_TEXT:
                keyword, _, rest = stream.read(length).partition(b"\0")
                if keyword == XMP_KEYWORD and kind == b"iTXt":
                    packed, text = rest[:1] == b"\1", rest[2:].split(b"\0", 2)[2]
                    packet = _unpacked(text) if packed else text
                elif keyword.startswith(b"Raw profile type "):
                    profile = _raw_profile(_unpacked(rest[1:]) if kind == b"zTXt" else rest)
                    name = keyword.rpartition(b" ")[2].lower()
                    if name in (b"iptc", b"8bim"):
                        iptc = iptc or resources(profile).get(IPTC_RESOURCE) or (profile if profile[:1] == b"\x1c" else None)
                    elif name in (b"exif", b"app1") and profile.startswith(EXIF):
                        exif = exif or profile[len(EXIF) :]
                    elif name == b"xmp":
                        packet = packet or profile
    finally:
        stream.seek(place)
    return _Found(density or _density_of_exif(exif), exif, iptc, packet)


def _unpacked(data: bytes) -> bytes:
    return zlib.decompressobj().decompress(data, _MOST_TEXT)


def _raw_profile(text: bytes) -> bytes:
    """What ImageMagick and ExifTool store as digits: a name, a length, and the bytes."""
    return bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))


def _of_tiff(image: Any) -> _Found:
    stream: BinaryIO = image.fp
    place = stream.tell()
    others = frozenset({X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, XMP_TAG, IPTC_TAG, _RESOURCES_TAG})
    try:
        found = read_directories(stream, (_OF_IMAGE | others).__contains__)
    finally:
        stream.seek(place)
    held = found.image
    exif = replace(found, image=without(held, others), note_at=None)
    iptc = held[IPTC_TAG].data if IPTC_TAG in held else None
    if iptc is not None and iptc[:1] != b"\x1c" and iptc[3:4] == b"\x1c":  # stored as whole numbers of four bytes, and swapped
        iptc = b"".join(iptc[at : at + 4][::-1] for at in range(0, len(iptc), 4))
    inner = resources(held[_RESOURCES_TAG].data) if _RESOURCES_TAG in held else {}
    return _Found(
        _density_of_directory(held),
        block_of(exif) if exif.image or exif.exposure or exif.place else None,
        iptc or inner.get(IPTC_RESOURCE),
        held[XMP_TAG].data if XMP_TAG in held else None,
    )


def _of_psd(image: Any) -> _Found:
    held = {number: data for number, _, data in reversed(image.resources)}
    return _Found(_density_of_resource(held), held.get(0x0422), held.get(IPTC_RESOURCE), held.get(0x0424))


def _of_info(image: Image.Image) -> _Found:
    """All other formats, as far as Pillow reads them."""
    exif, packet = image.info.get("exif"), image.info.get("xmp")
    exif = _bare(exif) if isinstance(exif, bytes) else None
    stated = image.info.get("dpi")
    return _Found(_density(stated, 1.0) or _density_of_exif(exif), exif, None, packet if isinstance(packet, bytes) else None)


def _bare(block: bytes) -> bytes:
    """An EXIF block without what containers put before it."""
    starts = [at for mark in (b"II*\0", b"MM\0*") if (at := block[:32].find(mark)) >= 0]
    return block[min(starts, default=0) :]


_READERS = {"JPEG": _of_jpeg, "MPO": _of_jpeg, "PNG": _of_png, "TIFF": _of_tiff, "PSD": _of_psd}


def _density(stated: object, factor: float | None) -> tuple[float, float] | None:
    """A density in pixels per inch; None for what is none. Whole numbers that were rounded in other units are whole again."""
    if not isinstance(stated, tuple) or len(stated) != 2 or factor is None:
        return None
    found = tuple(float(value) * factor for value in stated)
    near = tuple(float(round(value)) if abs(value - round(value)) < 0.02 else value for value in found)
    return (near[0], near[1]) if all(1 <= value < 100_000 for value in near) else None


def _density_of_directory(held: Directory) -> tuple[float, float] | None:
    sides = [held[tag].numbers() for tag in (X_RESOLUTION, Y_RESOLUTION) if tag in held]
    unit = held[RESOLUTION_UNIT].numbers() if RESOLUTION_UNIT in held else [2.0]
    if len(sides) != 2 or not all(sides) or not unit:
        return None
    return _density((sides[0][0], sides[1][0]), {2: 1.0, 3: 2.54}.get(int(unit[0])))


def _density_of_exif(block: bytes | None) -> tuple[float, float] | None:
    try:
        return _density_of_directory(read_directories(io.BytesIO(_bare(block or b""))).image)
    except (ValueError, struct.error):
        return None


def _density_of_resource(held: dict[int, bytes]) -> tuple[float, float] | None:
    data = held.get(_RESOLUTION_RESOURCE, b"")
    if len(data) < 16:
        return None
    across, _, _, down = struct.unpack(">IHHI", data[:12])
    return _density((across / 65536, down / 65536), 1.0)
