"""Which files are videos, told by how they begin: names and suffixes of recordings are anything."""

import struct
from pathlib import Path

_ATOMS = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
"""What QuickTime files and MP4 begin with."""
_IMAGE_BRANDS = frozenset({b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"jxl ", b"crx "})
"""Brands of MP4's structure that are images."""
_STARTS = {
    "Matroska": (0, b"\x1aE\xdf\xa3"),
    "AVI": (8, b"AVI "),
    "ASF": (0, b"0&\xb2u\x8ef\xcf\x11"),
    "FLV": (0, b"FLV\x01"),
    "MPEG-PS": (0, b"\x00\x00\x01\xba"),
    "MPEG": (0, b"\x00\x00\x01\xb3"),
    "Ogg": (0, b"OggS"),
    "MXF": (0, b"\x06\x0e+4\x02\x05\x01\x01"),
    "YUV4MPEG2": (0, b"YUV4MPEG2 "),
    "RealMedia": (0, b".RMF"),
    "IVF": (0, b"DKIF"),
    "NUT": (0, b"nut/multimedia container"),
    "WTV": (0, b"\xb7\xd8\x00 7I\xdaN\xa6N"),
    "GXF": (0, b"\x00\x00\x00\x00\x01\xbc"),
    "DV": (0, b"\x1f\x07\x00"),
}
"""Kinds of files, and what they begin with at which byte."""
_READ = 1024
_PACKETS = ((0, 188), (4, 192), (0, 204))
"""Where the first packet of MPEG-TS begins, and how long packets are: broadcasts, cameras, satellite receivers."""


def kind_of_video(path: Path) -> str:
    """What kind of a video's container a file begins as; "" for everything else, also for what cannot be opened."""
    try:
        with path.open("rb") as stream:
            start = stream.read(_READ)
    except OSError:
        return ""
    for kind, (at, magic) in _STARTS.items():
        if start[at : at + len(magic)] == magic and (kind != "AVI" or start.startswith(b"RIFF")):
            return kind
    if len(start) >= 12 and start[4:8] in _ATOMS and struct.unpack(">I", start[:4])[0] != 1:
        return "" if start[4:8] == b"ftyp" and start[8:12] in _IMAGE_BRANDS else "MP4"
    if any(len(start) > at + 2 * step and all(start[at + step * count] == 0x47 for count in range(3)) for at, step in _PACKETS):
        return "MPEG-TS"
    return ""
