"""Which files are videos, told by how they begin: names and suffixes of recordings are anything."""

from pathlib import Path

_ATOMS = frozenset({b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"})
"""What QuickTime files and MP4 begin with."""
_NO_VIDEOS = frozenset({b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis", b"avci", b"avcs", b"jpeg",
                        b"jxl ", b"jp2 ", b"jpx ", b"crx ", b"M4A ", b"M4B ", b"M4P ", b"F4A ", b"F4B ", b"aax "})  # fmt: skip
"""Brands of files that are built as MP4 is, and are images or sound."""
_STARTS = {
    "matroska": (0, b"\x1aE\xdf\xa3"),
    "avi": (8, b"AVI "),
    "asf": (0, b"0&\xb2u\x8ef\xcf\x11"),
    "flv": (0, b"FLV\x01"),
    "mpeg": (0, b"\x00\x00\x01\xba"),
    "mpegvideo": (0, b"\x00\x00\x01\xb3"),
    "mxf": (0, b"\x06\x0e+4\x02\x05\x01\x01"),
    "yuv4mpegpipe": (0, b"YUV4MPEG2 "),
    "rm": (0, b".RMF"),
    "ivf": (0, b"DKIF"),
    "nut": (0, b"nut/multimedia container"),
    "wtv": (0, b"\xb7\xd8\x00 7I\xdaN\xa6N"),
    "gxf": (0, b"\x00\x00\x00\x00\x01\xbc"),
    "dv": (0, b"\x1f\x07\x00"),
}
"""FFmpeg's names of formats, and what their files begin with at which byte."""
_READ = 1024
_PACKETS = (188, 192, 204)
"""How long packets of MPEG-TS are: of broadcasts, of cameras, of satellite receivers."""
_OGG_VIDEOS = (b"\x80theora", b"OVP80", b"\x01video\0\0", b"BBCD\0")
"""How the headers of video streams in Ogg begin; other files of Ogg hold sound."""
_OF_TEXT = frozenset(range(32, 256)) | frozenset(b"\t\n\f\r\x1b")


def kind_of_video(path: Path) -> str:
    """The format of a video's container, by FFmpeg's name, that a file begins as; "" for all else, also what cannot be opened."""
    start = _start(path)
    for kind, (at, magic) in _STARTS.items():
        if start[at : at + len(magic)] == magic and (kind != "avi" or start.startswith(b"RIFF")):
            return kind
    if start.startswith(b"OggS"):
        return "ogg" if any(header in start for header in _OGG_VIDEOS) else ""
    if len(start) >= 12 and start[4:8] in _ATOMS:
        return "" if start[4:8] == b"ftyp" and start[8:12] in _NO_VIDEOS else "mp4"
    if any(_is_packets(start[begin:], step) for step in _PACKETS for begin in range(step)):
        return "mpegts"
    return ""


def is_text(path: Path) -> bool:
    """Whether a file begins as text does. False for an empty one, and for what cannot be opened."""
    start = _start(path)
    return bool(start) and _OF_TEXT.issuperset(start)


def _start(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(_READ)
    except OSError:
        return b""


def _is_packets(data: bytes, step: int) -> bool:
    """Whether packets of MPEG-TS, so many bytes long, begin here: recordings may begin within one."""
    heads = [data[at : at + 4] for at in range(0, len(data) - 3, step)][:4]
    return len(heads) >= 3 and all(head[0] == 0x47 and not head[1] & 0x80 and head[3] & 0x30 for head in heads)
