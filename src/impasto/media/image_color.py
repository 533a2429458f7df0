"""The colours of still images: what a file states of them, and the way to sRGB.

`color_of` reads the header, `ImageColor.to_srgb` converts pixels. A conversion looks at each pixel alone, so that an image read by strips
gets the same values as one that is read whole.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from impasto.media import icc
from impasto.media.isobmff import colour_of, jp2_colour
from impasto.media.light import (
    ADOBE_RGB,
    PRIMARIES,
    TRANSFERS,
    Chromaticities,
    Curve,
    as_it_is,
    bt1886_decoded,
    bt1886_encoded,
    gamma_curve,
    hlg_shown,
    mixed,
    srgb_decoded,
    srgb_encoded,
    to_srgb_matrix,
    to_xyz,
    tone_mapped,
    xyz_to_srgb,
)

__all__ = ["LINEAR", "ImageColor", "color_of", "color_of_profile", "tone_mapped"]

_SPACES = {1: "GRAY", 3: "RGB", 4: "CMYK"}
"""Colour spaces of ICC by the number of channels."""
_CHANNELS = {"1": 1, "L": 1, "LA": 1, "La": 1, "I": 1, "F": 1, "CMYK": 4}
"""Channels of colour by Pillow's modes; others have three."""
_STRIP = 1 << 20
"""Pixels that are converted at a time: a copy in floats is 12 MB."""
_HDR = {16: "PQ", 18: "HLG"}
_UNSPECIFIED = 2

_EXIF, _INTEROPERABILITY, _COLOR_SPACE, _INDEX = 0x8769, 0xA005, 0xA001, 1
"""EXIF: two directories, the colour space, and the rule that a file keeps: "R03" is Adobe RGB (DCF 2.0)."""
_ADOBE_GAMMA = 563 / 256
_WHITE_POINT, _PRIMARIES_OF, _TRANSFER_FUNCTION = 318, 319, 301
"""Tags of TIFF."""
_MOST_PROFILE = 16 << 20
"""Bytes of a profile in a bitmap that are read."""
_NEAR = 0.005
"""Chromaticities that differ by less are the same: writers round them to two or three digits."""


@dataclass(frozen=True)
class Coding:
    """How values stand for light. curves: one a channel; the matrix (3, 3) leads from their light to linear sRGB.

    hdr: "PQ" or "HLG", whose light is tone mapped. luminance: of the primaries, for HLG. black: the light that becomes 0.
    narrow: black is at 16 and white at 235 of 255. encoded: what makes values of light again.
    """

    curves: tuple[Curve, ...] = (srgb_decoded,) * 3
    matrix: np.ndarray = field(default_factory=lambda: np.eye(3), repr=False)
    hdr: str = ""
    luminance: np.ndarray = field(default_factory=lambda: to_xyz(PRIMARIES[1])[1], repr=False)
    black: float = 0.0
    narrow: bool = False
    encoded: Curve = srgb_encoded

    def to_srgb(self, values: np.ndarray) -> np.ndarray:
        """Pixels (H, W, 1 or 3) as sRGB (H, W, 3): bytes as bytes, uint16 and floats as float32 in [0, 1]."""
        height, width = values.shape[:2]
        shown = np.empty((height, width, 3), np.uint8 if values.dtype == np.uint8 else np.float32)
        rows = max(1, _STRIP // max(1, width))
        for top in range(0, height, rows):
            light = self._light(values[top : top + rows])
            part = shown[top : top + rows]
            if shown.dtype != np.uint8:
                part[:] = self.encoded(light)
            elif self.encoded is srgb_encoded:
                part[:] = _bytes_of_light()[(light * 65535).round().astype(np.uint16)]
            else:
                part[:] = (self.encoded(light) * 255).round()
        return shown

    def _light(self, values: np.ndarray) -> np.ndarray:
        """Light of sRGB's primaries in [0, 1], (H, W, 3)."""
        light = np.stack([self._decoded(values[..., k % values.shape[2]], k) for k in range(3)], -1)
        if self.hdr == "HLG":
            light = hlg_shown(light, self.luminance.astype(np.float32))
        light = mixed(light, self.matrix)
        if self.black:
            light = (light - np.float32(self.black)) / np.float32(1 - self.black)
        return (tone_mapped(light) if self.hdr else np.nan_to_num(light, nan=0.0)).clip(0, 1)

    def _decoded(self, values: np.ndarray, channel: int) -> np.ndarray:
        curve, bits = self.curves[channel], 8 if values.dtype == np.uint8 else 16
        if np.issubdtype(values.dtype, np.floating):
            values = np.nan_to_num(values.astype(np.float32), nan=0.0)
            if curve is as_it_is and not self.narrow:
                return values
            values = (values.clip(0, 1) * 65535).round().astype(np.uint16)
        return np.asarray(_table(curve, bits, self.narrow)[values])


@lru_cache(maxsize=32)
def _table(curve: Curve, bits: int, narrow: bool) -> np.ndarray:
    """The light of every value of 8 or 16 bits."""
    coded = np.arange(2**bits) / (2**bits - 1)
    if narrow:
        coded = (np.arange(2**bits) - 2 ** (bits - 4)) / (219 * 2 ** (bits - 8))
    with np.errstate(all="ignore"):  # of curves without sense
        return np.nan_to_num(np.asarray(curve(coded), dtype=np.float32), nan=0.0, posinf=1.0, neginf=0.0)


@dataclass(frozen=True)
class _Lab:
    """CIELAB (D50), as Pillow decodes it: L is full at 100, a and b are 0 in the middle of their range."""

    def to_srgb(self, values: np.ndarray) -> np.ndarray:
        """Pixels (H, W, 3) as sRGB: bytes as bytes, uint16 and floats of 16 bits as float32."""
        stored = values.astype(np.float64) * (65535 if values.dtype.kind == "f" else 1)
        full, middle, unit = (255, 128, 1) if values.dtype == np.uint8 else (65535, 32768, 256)
        lightness = (stored[..., 0] / full * 100 + 16) / 116
        green, blue = (stored[..., 1] - middle) / unit / 500, (stored[..., 2] - middle) / unit / 200
        roots = np.stack([lightness + green, lightness, lightness - blue], -1)
        xyz = np.where(roots > 6 / 29, roots**3, (roots - 4 / 29) * 3 * (6 / 29) ** 2) * icc.D50
        shown = srgb_encoded(mixed(xyz, xyz_to_srgb(icc.D50)).clip(0, 1))
        return (shown * 255).round().astype(np.uint8) if values.dtype == np.uint8 else shown.astype(np.float32)


@dataclass(frozen=True)
class ImageColor:
    """How the colours of a file become sRGB.

    is_srgb: there is nothing to convert, apart from grey, which is repeated. messages: what of the file's statement cannot be honoured.
    profile: an ICC profile that fits the pixels. coding: what is stated by numbers instead. Without both, values are those of sRGB.
    """

    is_srgb: bool = True
    messages: tuple[str, ...] = ()
    profile: bytes | None = field(default=None, repr=False)
    coding: Coding | _Lab | None = None

    @property
    def is_linear(self) -> bool:
        """Whether values are light itself, up to white."""
        return isinstance(self.coding, Coding) and all(curve is as_it_is for curve in self.coding.curves) and not self.coding.hdr

    def of_scene(self) -> "ImageColor":
        """The same for light that is above white: it is tone mapped, by one curve that leaves what is below 0.85 as it is."""
        assert isinstance(self.coding, Coding)
        return replace(self, is_srgb=False, coding=replace(self.coding, hdr="scene"))

    def to_srgb(self, values: np.ndarray) -> np.ndarray:
        """Pixels as stored, (H, W, C), C being 1 for grey, 3 for RGB and 4 for CMYK (0 is no ink), as sRGB (H, W, 3).

        Bytes become bytes; uint16, which is full at 65535, and floats in [0, 1] become float32 in [0, 1]. Floats of linear light and HDR
        may be above 1: HDR is tone mapped, and light above white becomes white.
        """
        if self.profile is not None and _SPACES.get(values.shape[2]) == icc.space_of(self.profile):
            # LittleCMS is fast with bytes of RGB; it makes few steps of the curves of grey, which costs up to 9 of 255.
            shaper = None if values.dtype == np.uint8 and values.shape[2] == 3 else icc.shaper_of(self.profile)
            if shaper is None:
                return icc.converted(self.profile, values)
            return Coding(shaper.curves, shaper.matrix, black=shaper.black).to_srgb(values)
        if self.coding is not None and values.shape[2] < 4:
            return self.coding.to_srgb(values)
        return _plain(values)


LINEAR = ImageColor(False, coding=Coding((TRANSFERS[8],) * 3))
"""Linear light of sRGB's primaries: floats whose file does not say what they are."""


def color_of(image: Image.Image, path: Path) -> ImageColor:
    """What an image that was opened, and is not decoded, says of its colours. path: the file, named in messages."""
    channels = getattr(image, "colors", None) or _CHANNELS.get(image.mode.partition(";")[0], 3)
    try:
        stated = _STATED.get(image.format or "", _of_profile)(image, path, channels)
    except (ArithmeticError, LookupError, TypeError, ValueError, struct.error):  # of numbers without sense
        return ImageColor(
            channels != 4, (f"{path} states its colours in a way that cannot be read; they are taken for {_usual(channels)}",)
        )
    if stated is None:
        stated = _of_exif(image) if channels == 3 else None
    if stated is None:
        return LINEAR if image.mode == "F" else color_of_profile(None, channels, path)
    return stated


def color_of_profile(profile: bytes | None, channels: int, path: Path) -> ImageColor:
    """The same for an ICC profile by itself, or none, and pixels of so many channels of colour: 1, 3 or 4."""
    if profile:
        space = icc.space_of(profile)
        if space is None:
            return ImageColor(channels != 4, (f"{path} has a damaged colour profile; its colours are taken for {_usual(channels)}",))
        if space == _SPACES[channels]:
            points = icc.code_points(profile)
            if points and points[1] in _HDR and channels == 3:
                return _of_numbers(points, path)
            return ImageColor() if icc.is_srgb(profile) else ImageColor(False, (), profile)
        if not (space == "RGB" and channels == 1 and icc.keeps_greys(profile)):
            kinds = f"a colour profile for {space} and pixels of {_SPACES[channels]}"
            return ImageColor(channels != 4, (f"{path} has {kinds}; its colours are taken for {_usual(channels)}",))
    if channels == 4:
        return ImageColor(False, (f"{path} is CMYK without a colour profile; its colours are approximate",))
    return ImageColor()


def _usual(channels: int) -> str:
    return "sRGB" if channels < 4 else "CMYK without a profile, and are approximate"


def _of_profile(image: Image.Image, path: Path, channels: int) -> ImageColor | None:
    profile = image.info.get("icc_profile")
    return color_of_profile(profile, channels, path) if profile else None


def _of_numbers(nclx: tuple[int, ...], path: Path, *, narrow: bool = False) -> ImageColor:
    """Primaries and transfer by the numbers of H.273."""
    primaries, transfer = (1 if number == _UNSPECIFIED else number for number in nclx[:2])
    messages = [
        f"{path} states {what} by the number {number}, which is not known; they are taken for those of sRGB"
        for what, number, known in (("its primaries", primaries, PRIMARIES), ("its transfer function", transfer, TRANSFERS))
        if number not in known
    ]
    if transfer in _HDR:
        messages.append(f"{path} is HDR ({_HDR[transfer]}) and is brought to the range of ordinary screens")
    curve, points = TRANSFERS.get(transfer, srgb_decoded), PRIMARIES.get(primaries, PRIMARIES[1])
    if curve in (srgb_decoded, bt1886_decoded) and points == PRIMARIES[1] and not narrow:
        return ImageColor(True, tuple(messages))
    encoded = bt1886_encoded if curve is bt1886_decoded else srgb_encoded
    coding = Coding((curve,) * 3, to_srgb_matrix(points), _HDR.get(transfer, ""), to_xyz(points)[1], narrow=narrow, encoded=encoded)
    return ImageColor(False, tuple(messages), coding=coding)


def _of_png(image: Image.Image, path: Path, channels: int) -> ImageColor | None:
    """PNG's chunks in the order of the specification's third edition: cICP, iCCP, sRGB, gAMA with cHRM."""
    with _stream_of(image, path) as stream:
        code_points = _cicp(stream)
    if code_points:
        return _of_numbers(code_points, path, narrow=code_points[3] == 0)
    if image.info.get("icc_profile"):
        return _of_profile(image, path, channels)
    if "srgb" in image.info:
        return ImageColor()
    gamma, chromaticities = image.info.get("gamma") or 0.0, image.info.get("chromaticity")
    plain = not gamma or abs(gamma * 2.2 - 1) < 0.05  # libpng's threshold: 1 / 2.2 is what writers of sRGB state
    curve: Curve = srgb_decoded if plain else gamma_curve(1 / gamma)
    if chromaticities is None and not gamma:
        return None
    return _of_light((curve,) * 3, _chromaticities(chromaticities) if chromaticities else PRIMARIES[1], path)


def _chromaticities(values: tuple[float, ...]) -> Chromaticities:
    """White, red, green and blue as PNG and TIFF list them."""
    white, *points = [(float(x), float(y)) for x, y in zip(values[0:8:2], values[1:8:2], strict=True)]
    return points[0], points[1], points[2], white


def _of_light(curves: tuple[Curve, ...], points: Chromaticities, path: Path) -> ImageColor:
    messages: tuple[str, ...] = ()
    if np.abs(np.array(points) - np.array(PRIMARIES[1])).max() < _NEAR:
        points = PRIMARIES[1]
    try:
        matrix = to_srgb_matrix(points)
    except ValueError:
        matrix, points = np.eye(3), PRIMARIES[1]
        messages = (f"{path} states primaries that span no colours; they are taken for those of sRGB",)
    if all(curve is srgb_decoded for curve in curves) and points == PRIMARIES[1]:
        return ImageColor(True, messages)
    return ImageColor(False, messages, coding=Coding(curves, matrix))


def _cicp(stream: BinaryIO) -> tuple[int, ...] | None:
    """The four numbers of a PNG's cICP chunk; those of a matrix, which RGB does not have, are passed over."""
    at = 8
    for _ in range(1000):
        stream.seek(at)
        head = stream.read(12)
        if len(head) < 12 or head[4:8] in (b"IDAT", b"IEND"):
            return None
        if head[4:8] == b"cICP" and head[:4] == b"\0\0\0\4":
            return tuple(head[8:12])
        at += 12 + int.from_bytes(head[:4], "big")
    return None


def _of_heif(image: Image.Image, path: Path, channels: int) -> ImageColor | None:
    """An ICC profile, or numbers; the numbers of HDR come first, because a profile beside them is for programs that do not know HDR."""
    stated = image.info.get("nclx_profile") or {}
    nclx = tuple(int(stated.get(name, _UNSPECIFIED)) for name in ("color_primaries", "transfer_characteristics", "matrix_coefficients"))
    if image.format == "AVIF":
        with _stream_of(image, path) as stream:
            nclx = colour_of(stream).nclx or nclx
    if image.info.get("icc_profile") and nclx[1] not in _HDR:
        return _of_profile(image, path, channels)
    return None if nclx[:2] == (_UNSPECIFIED, _UNSPECIFIED) else _of_numbers(nclx, path)


def _of_jp2(image: Image.Image, path: Path, channels: int) -> ImageColor | None:
    """The profile of JPEG 2000, which Pillow passes over."""
    with _stream_of(image, path) as stream:
        profile, space = jp2_colour(stream)
    if profile:
        return color_of_profile(profile, channels, path)
    if space not in (None, 12, 16, 17, 18):  # CMYK, sRGB, grey, sYCC
        return ImageColor(
            True, (f"{path} states its colour space by the number {space}, which is not known; its colours are taken for sRGB",)
        )
    return None


def _of_tiff(image: Image.Image, path: Path, channels: int) -> ImageColor | None:
    """A profile, or the tags that TIFF has for its light."""
    if image.mode == "LAB":
        return ImageColor()  # libvips has converted it
    tags: Any = getattr(image, "tag_v2", {})
    found = _of_profile(image, path, channels)
    if found is not None or channels == 4:
        return found
    white, points, table = (tags.get(name) for name in (_WHITE_POINT, _PRIMARIES_OF, _TRANSFER_FUNCTION))
    if not (table or (points and channels == 3)):
        return None
    entries = 1 << int((tags.get(258) or (1,))[0])
    curves: tuple[Curve, ...] = (srgb_decoded,) * 3
    if table and len(table) in (entries, 3 * entries):
        tables = np.array(table, dtype=np.float64).reshape(-1, entries) / 65535
        curves = tuple(partial(icc.tabulated, table=tables[k % len(tables)]) for k in range(3))
    stated = PRIMARIES[1]
    if points and len(points) == 6 and channels == 3:
        stated = _chromaticities((*(white if white and len(white) == 2 else PRIMARIES[1][3]), *points))
    return _of_light(curves, stated, path)


def _of_bmp(image: Image.Image, path: Path, channels: int) -> ImageColor | None:
    """The profile of a bitmap with the header of Windows 98, which Pillow passes over."""
    with _stream_of(image, path) as stream:
        stream.seek(14)
        header = stream.read(124)
        if len(header) < 124 or struct.unpack("<I", header[:4])[0] != 124 or header[56:60] != b"DEBM":
            return None
        offset, size = struct.unpack("<II", header[112:120])
        stream.seek(14 + offset)
        return color_of_profile(stream.read(min(size, _MOST_PROFILE)) or b"\0", channels, path)


def _of_psd(image: Image.Image, path: Path, channels: int) -> ImageColor | None:
    """A profile; 32 bits are linear without one."""
    if image.mode == "LAB":
        return ImageColor(False, coding=_Lab())
    return _of_profile(image, path, channels) or (LINEAR if getattr(image, "bits", 8) == 32 and channels < 4 else None)


def _of_scene(image: Any, path: Path, channels: int) -> ImageColor | None:
    """Linear light of primaries that may be stated: red, green, blue and white."""
    if image.chromaticities is None:
        return LINEAR
    points = [(float(x), float(y)) for x, y in zip(image.chromaticities[::2], image.chromaticities[1::2], strict=True)]
    return _of_light((as_it_is,) * 3, (points[0], points[1], points[2], points[3]), path)


def _of_raw(image: Image.Image, path: Path, channels: int) -> ImageColor:
    """What LibRaw develops is sRGB, whatever EXIF says of the camera's own pictures."""
    return ImageColor()


_STATED = {
    "BMP": _of_bmp,
    "PSD": _of_psd,
    "PNG": _of_png,
    "HEIF": _of_heif,
    "AVIF": _of_heif,
    "JPEG2000": _of_jp2,
    "TIFF": _of_tiff,
    "HDR": _of_scene,
    "EXR": _of_scene,
    "RAW": _of_raw,
}
"""Formats that state colours in ways of their own."""


def _of_exif(image: Image.Image) -> ImageColor | None:
    """Adobe RGB, where EXIF alone says so: cameras write no profile."""
    try:
        details = image.getexif().get_ifd(_EXIF)
        space = details.get(_COLOR_SPACE)
        rule = image.getexif().get_ifd(_INTEROPERABILITY).get(_INDEX) or details.get(_INTEROPERABILITY, {}).get(_INDEX)
    except Exception:  # a broken EXIF block is treated as absent
        return None
    rule = rule.decode("latin-1") if isinstance(rule, bytes) else str(rule or "")
    if space == 2 or (space == 0xFFFF and rule.startswith("R03")):
        return ImageColor(False, coding=Coding((gamma_curve(_ADOBE_GAMMA),) * 3, to_srgb_matrix(ADOBE_RGB)))
    return None


@contextmanager
def _stream_of(image: Image.Image, path: Path) -> Iterator[BinaryIO]:
    """The file behind an image that was opened; where it is read stays as it was."""
    stream: Any = getattr(image, "fp", None)
    if stream is None:
        with path.open("rb") as file:
            yield file
        return
    at = stream.tell()
    try:
        yield stream
    finally:
        stream.seek(at)


@lru_cache(maxsize=1)
def _bytes_of_light() -> np.ndarray:
    """sRGB's bytes of 65536 steps of linear light."""
    return np.asarray((srgb_encoded(np.arange(65536) / 65535) * 255).round().astype(np.uint8))


def _plain(values: np.ndarray) -> np.ndarray:
    """Pixels of sRGB: grey is repeated, ink is taken off white."""
    if values.dtype == np.uint16:
        values = values.astype(np.float32) / np.float32(65535)
    elif values.dtype != np.uint8:
        values = np.nan_to_num(values.astype(np.float32), nan=0.0).clip(0, 1)
    if values.shape[2] == 1:
        return np.repeat(values, 3, 2)
    if values.shape[2] == 4:
        full = 255 if values.dtype == np.uint8 else 1
        paper = full - values[..., :3].astype(np.float32)
        shown = paper * ((full - values[..., 3:].astype(np.float32)) / full)
        return shown.round().astype(np.uint8) if values.dtype == np.uint8 else shown
    return values
