"""Light of a scene: Radiance's HDR and OpenEXR, whose headers are read here and whose pixels FFmpeg decodes."""

import io
import re
import struct

import numpy as np
from PIL import Image, ImageFile

_MOST = 1 << 20
"""Bytes of a header that are looked at."""
_LUMINANCE = b"Y"
_TILED, _MULTIPART, _DEEP = 0x0200, 0x1000, 0x0800
"""Flags of OpenEXR; FFmpeg decodes neither several parts nor deep pixels."""


class SceneImage(ImageFile.ImageFile):
    """The header of an image of linear light.

    colors: 1 or 3. transparent: whether it has alpha, by which colours are multiplied. chromaticities: of red, green, blue and white, or
    none where they are not said, which means those of BT.709. is_cut_off: whether a part of an OpenEXR is missing.
    """

    format_description = "linear light"
    colors = 3
    transparent = False
    chromaticities: tuple[float, ...] | None = None
    is_cut_off = False

    def _open(self) -> None:
        assert self.fp is not None
        header = self.fp.read(_MOST)
        self._mode = "F"
        if header.startswith(b"#?"):
            self._open_radiance(header)
        elif header.startswith(b"v/1\x01"):
            self._open_exr(header)
        else:
            raise SyntaxError("neither Radiance nor OpenEXR")

    def getexif(self) -> Image.Exif:
        """There is none."""
        return Image.Exif()

    def _open_radiance(self, header: bytes) -> None:
        lines, _, rest = header.partition(b"\n\n")
        found = re.match(rb"-Y (\d+) \+X (\d+)\n", rest)
        if found is None or b"FORMAT=32-bit_rle_xyze" in lines:
            raise SyntaxError("rows from the top, and RGB, were expected")
        self.format, self._size = "HDR", (int(found[2]), int(found[1]))
        stated = re.search(rb"^PRIMARIES=([\d. ]+)$", lines, re.MULTILINE)
        values = tuple(float(value) for value in stated[1].split()) if stated else ()
        self.chromaticities = values if len(values) == 8 else None

    def _open_exr(self, header: bytes) -> None:
        (flags,) = struct.unpack("<I", header[4:8])
        if flags & (_MULTIPART | _DEEP):
            raise SyntaxError("several parts or deep pixels")
        attributes: dict[bytes, bytes] = {}
        at = 8
        while header[at] != 0:
            name, end = self._text(header, at)
            _, end = self._text(header, end)
            (length,) = struct.unpack("<i", header[end : end + 4])
            attributes[name], at = header[end + 4 : end + 4 + length], end + 4 + length
        self._end, self._before_size = at, 16 if flags & _TILED else 4
        left, top, right, bottom = struct.unpack("<4i", attributes[b"displayWindow"])
        self.format, self._size = "EXR", (right - left + 1, bottom - top + 1)
        names, at = set(), 0
        while attributes[b"channels"][at] != 0:
            name, at = self._text(attributes[b"channels"], at)
            names.add(name)
            at += 16
        self.colors = 1 if _LUMINANCE in names and b"R" not in names else 3
        self.transparent = b"A" in names
        if b"chromaticities" in attributes:
            self.chromaticities = struct.unpack("<8f", attributes[b"chromaticities"])

        self._check_blocks(self._end + 1)

    def _check_blocks(self, table: int) -> None:
        """The blocks that a table of offsets names are in the file: FFmpeg leaves black what is not there."""
        assert self.fp is not None
        length = self.fp.seek(0, io.SEEK_END)
        self.fp.seek(table)
        (first,) = struct.unpack("<Q", self.fp.read(8))
        self.fp.seek(table)
        offsets = np.frombuffer(self.fp.read(max(0, min(first, length) - table)), "<u8") if first >= table + 8 else np.zeros(1, np.uint8)
        last = int(offsets.max())
        self.fp.seek(last + self._before_size)
        size = self.fp.read(4)
        self.is_cut_off = int(offsets.min()) == 0 or len(size) < 4 or last + self._before_size + 4 + int.from_bytes(size, "little") > length

    @staticmethod
    def _text(data: bytes, at: int) -> tuple[bytes, int]:
        """A text that ends with a zero, and where the next thing begins. Raises ValueError."""
        end = data.index(b"\0", at)
        return data[at:end], end + 1
