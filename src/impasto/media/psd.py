"""Photoshop's files, PSD and PSB: the merged image that lies behind the layers, of 1 to 32 bits."""

import struct
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageFile

_BITMAP, _GREY, INDEXED, _RGB, _CMYK, _DUOTONE, LAB = 0, 1, 2, 3, 4, 8, 9
_MODES = {_BITMAP: "1", _GREY: "L", INDEXED: "P", _RGB: "RGB", _CMYK: "CMYK", _DUOTONE: "L", LAB: "LAB"}
"""Pillow's modes by Photoshop's."""
COLORS = {_BITMAP: 1, _GREY: 1, INDEXED: 1, _RGB: 3, _CMYK: 4, _DUOTONE: 1, LAB: 3}
"""Channels of colour by Photoshop's modes."""
_PROFILE, _VERSION = 1039, 1057
"""Image resources."""
_TYPES = {1: "u1", 8: "u1", 16: ">u2", 32: ">f4"}
_LONG = (b"LMsk", b"Lr16", b"Lr32", b"Layr", b"Mt16", b"Mt32", b"Mtrn", b"Alph", b"FMsk", b"lnk2", b"FEid", b"FXid", b"PxSD")
"""Blocks whose length has eight bytes in PSB."""
_MOST_BLOCKS = 1000
_MOST = 1 << 26
"""Bytes of image resources that are looked at."""


class PsdFile(ImageFile.ImageFile):
    """The header of a Photoshop file. `merged` decodes its pixels: Pillow knows those of eight bits alone.

    kind: Photoshop's mode. bits: of a channel. channels: of the merged image. transparent: whether the first channel behind the colours is
    its alpha; others are selections. is_merged: False where only layers are there.
    """

    format = "PSD"
    format_description = "Adobe Photoshop"

    def _open(self) -> None:
        assert self.fp is not None
        signature, version, self.channels, height, width, self.bits, self.kind = struct.unpack(">4sH6xHIIHH", self._exactly(26))
        if signature != b"8BPS" or version not in (1, 2) or self.kind not in _MODES or self.bits not in _TYPES:
            raise SyntaxError("no Photoshop file of a kind that is known")
        if self.channels < COLORS[self.kind] or (self.bits == 1) != (self.kind == _BITMAP):
            raise SyntaxError("channels are missing")
        self.large = version == 2
        self._size, self._mode = (width, height), "F" if self.bits == 32 and self.kind == _GREY else _MODES[self.kind]
        self.colour_table = self._section(4)
        self.is_merged = True
        self._resources(self._section(4, _MOST))
        self.transparent = self._has_alpha() and self.channels > COLORS[self.kind]
        self.pixels_at = self.fp.tell()

    def _exactly(self, count: int) -> bytes:
        assert self.fp is not None
        data = self.fp.read(count)
        if len(data) < count:
            raise SyntaxError("it is cut off")
        return data

    def _section(self, width: int, most: int = 1 << 16) -> bytes:
        """The bytes of a section of a length that stands before it, not more than `most`; reading goes on behind it."""
        assert self.fp is not None
        length = int.from_bytes(self._exactly(width), "big")
        begin = self.fp.tell()
        data: bytes = self.fp.read(min(length, most))
        self.fp.seek(begin + length)
        return data

    def _resources(self, data: bytes) -> None:
        at = 0
        while at + 12 <= len(data) and data[at : at + 4] in (b"8BIM", b"MeSa", b"AgHg", b"PHUT", b"DCSR"):
            number, name = struct.unpack(">HB", data[at + 4 : at + 7])
            at += 6 + (name + 2) // 2 * 2
            length = int.from_bytes(data[at : at + 4], "big")
            body, at = data[at + 4 : at + 4 + length], at + 4 + length + length % 2
            if number == _PROFILE:
                self.info["icc_profile"] = body
            elif number == _VERSION and len(body) > 4:
                self.is_merged = body[4] != 0

    def _has_alpha(self) -> bool:
        """Whether the number of layers is negative, which says that, or a block of 16 or 32 bits says so; reading goes on behind them."""
        assert self.fp is not None
        width = 8 if self.large else 4
        length = int.from_bytes(self._exactly(width), "big")
        end = self.fp.tell() + length
        layers = int.from_bytes(self.fp.read(width), "big") if length else 0
        begin = self.fp.tell()
        found = layers > 1 and int.from_bytes(self.fp.read(2), "big", signed=True) < 0
        self.fp.seek(begin + layers)
        self.fp.seek(int.from_bytes(self.fp.read(4), "big"), 1)  # a mask of the whole document
        for _ in range(_MOST_BLOCKS if length and not found else 0):
            head = self.fp.read(8)
            if self.fp.tell() + 4 > end or head[:4] not in (b"8BIM", b"8B64"):
                break
            size = int.from_bytes(self.fp.read(8 if self.large and head[4:] in _LONG else 4), "big")
            begin = self.fp.tell()
            layered = head[4:] in (b"Layr", b"Lr16", b"Lr32") and size > 1
            found = head[4:] in (b"Mtrn", b"Mt16", b"Mt32") or (layered and int.from_bytes(self.fp.read(2), "big", signed=True) < 0)
            if found:
                break
            self.fp.seek(begin + size + -size % 4)
        self.fp.seek(end)
        return found


def merged(image: PsdFile, stream: BinaryIO) -> np.ndarray:
    """The merged image (H, W, C) as it is stored: colours, then alpha if it has any; inks as 0 is none; colours of a palette looked up.

    Photoshop lays what is transparent on white, and this is undone. Raises ValueError and struct.error for what is cut off.
    """
    width, height = image.size
    wanted = COLORS[image.kind] + image.transparent
    row = -(-width * image.bits // 8)
    stream.seek(image.pixels_at)
    compression = int.from_bytes(stream.read(2), "big")
    if compression == 0:
        data = stream.read(row * height * wanted)
        planes = np.frombuffer(data, np.uint8).reshape(wanted, height, row)
    elif compression == 1:
        planes = _unpacked(image, stream, wanted, height, row)
    else:
        raise ValueError(f"compression {compression}")
    return _of_kind(image, planes)


def _unpacked(image: PsdFile, stream: BinaryIO, wanted: int, height: int, row: int) -> np.ndarray:
    """Rows of PackBits, the lengths of all of which stand before the first."""
    each = 4 if image.large else 2
    stored = stream.read(each * height * image.channels)
    lengths = np.frombuffer(stored, f">u{each}").reshape(image.channels, height).astype(np.int64)
    planes: list[Any] = []
    for plane in range(wanted):
        packed = stream.read(int(lengths[plane].sum()))
        planes.append(np.asarray(Image.frombytes("L", (row, height), packed, "packbits", "L")))
    return np.stack(planes)


def _of_kind(image: PsdFile, planes: np.ndarray) -> np.ndarray:
    width = image.size[0]
    if image.kind == _BITMAP:
        return np.where(np.unpackbits(planes[0], axis=1)[:, :width, None] > 0, 0, 255).astype(np.uint8)
    values = np.ascontiguousarray(planes).view(_TYPES[image.bits])
    values = np.moveaxis(values, 0, -1).astype(values.dtype.newbyteorder("="))
    if image.kind == INDEXED:
        table = np.frombuffer(image.colour_table[:768].ljust(768, b"\0"), np.uint8).reshape(3, 256).T
        return np.ascontiguousarray(table[values[..., 0]])
    colors = COLORS[image.kind]
    if image.kind == _CMYK:
        values[..., :colors] = (1 if image.bits == 32 else np.iinfo(values.dtype).max) - values[..., :colors]
    elif image.transparent and image.kind != LAB:
        values[..., :colors] = _off_white(values[..., :colors], values[..., colors:])
    return values


def _off_white(colors: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    white = 1.0 if colors.dtype.kind == "f" else float(np.iinfo(colors.dtype).max)
    there = np.where(alpha > 0, alpha, white).astype(np.float32) / white
    straight = ((colors - (1 - there) * white) / there).clip(0, None if colors.dtype.kind == "f" else white)
    return np.asarray(straight if colors.dtype.kind == "f" else np.rint(straight), dtype=colors.dtype)
