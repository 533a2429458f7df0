"""ICC profiles: which space they are for, curves and a matrix read exactly, tables through LittleCMS.

Bytes go through Pillow's LittleCMS. It knows no 16 bits, and tables between the curves and the matrix cost libvips up to 13 of 255 at the
edge of sRGB: profiles of curves and a matrix are computed here in floats, and only profiles of tables go through libvips.
"""

import io
import struct
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from impasto.media.light import Curve, gamma_curve, xyz_to_srgb

MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
"""Pillow's modes of eight bits by colour space of ICC."""
_INTENTS = {0: "perceptual", 1: "relative", 2: "saturation", 3: "relative"}
"""Rendering intents by number, in libvips's words; white stays white in any case."""
D50 = np.array([0.9642, 1.0, 0.8249])


@dataclass(frozen=True)
class Shaper:
    """A profile of one curve a channel, and a matrix (3, 3) from its light to linear sRGB. black: light that becomes 0."""

    curves: tuple[Curve, ...]
    matrix: np.ndarray
    black: float = 0.0


@lru_cache(maxsize=8)
def space_of(profile: bytes) -> str | None:
    """The colour space of a profile that LittleCMS can convert from, as "RGB"; None for a damaged one."""
    try:
        opened = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile
        space = str(opened.xcolor_space).strip()
        if space in MODES:
            _transform(profile)
        return space
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def code_points(profile: bytes) -> tuple[int, ...] | None:
    """Primaries, transfer, matrix and range by the numbers of H.273, where a profile holds them (ICC 4.4), else None."""
    stated = _tags(profile).get(b"cicp", b"")
    return tuple(stated[8:12]) if len(stated) >= 12 else None


_GREYS = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1)[None]
_COLORS = np.stack(np.meshgrid(*[np.linspace(0, 255, 9).round().astype(np.uint8)] * 3), -1).reshape(1, -1, 3)


@lru_cache(maxsize=8)
def keeps_greys(profile: bytes) -> bool:
    """Whether a profile of RGB changes no grey of eight bits by more than one."""
    return _largest_change(profile, _GREYS) <= 1


@lru_cache(maxsize=8)
def is_srgb(profile: bytes) -> bool:
    """Whether a profile of RGB changes no value of eight bits by more than one, measured on greys and a grid of colours."""
    return space_of(profile) == "RGB" and keeps_greys(profile) and _largest_change(profile, _COLORS) <= 1


def _largest_change(profile: bytes, values: np.ndarray) -> int:
    return int(np.abs(converted(profile, values).astype(int) - values).max())


@lru_cache(maxsize=8)
def shaper_of(profile: bytes) -> Shaper | None:
    """The curves and the matrix of a profile of RGB or grey; None for one with tables, which come first where a profile has both."""
    tags, space = _tags(profile), space_of(profile)
    if space not in ("RGB", "GRAY") or any(name.startswith((b"A2B", b"D2B")) for name in tags):
        return None
    try:
        if space == "GRAY":
            if profile[20:24] != b"XYZ ":
                return None
            curve = _curve(tags[b"kTRC"])
            return Shaper((curve,) * 3, np.eye(3), _black(np.eye(3), (curve,) * 3))
        colorants = np.array([_xyz(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")]).T
        curves = tuple(_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
    except (KeyError, struct.error, ValueError):
        return None
    matrix = xyz_to_srgb(D50) @ colorants
    return Shaper(curves, matrix, _black(colorants[1:2], curves))


def _black(luminance: np.ndarray, curves: tuple[Curve, ...]) -> float:
    with np.errstate(all="ignore"):  # of curves without sense
        light = np.array([float(curve(np.zeros(1))[0]) for curve in curves])
        return float(np.nan_to_num(luminance @ light, nan=0.0)[0].clip(0, 0.18))


def converted(profile: bytes, values: np.ndarray) -> np.ndarray:
    """Pixels (H, W, C), that the profile fits, as sRGB (H, W, 3): bytes as bytes, uint16 and floats as float32 in [0, 1]."""
    if values.dtype != np.uint8:
        return _by_vips(profile, values)
    transform, mode = _transform(profile)
    stored = Image.fromarray(np.ascontiguousarray(values[:, :, 0] if mode == "L" else values))
    if mode == "CMYK":
        stored = Image.frombytes(mode, (values.shape[1], values.shape[0]), np.ascontiguousarray(values).data)
    return np.array(ImageCms.applyTransform(stored, transform))


@lru_cache(maxsize=8)
def _transform(profile: bytes) -> tuple[Any, str]:
    """LittleCMS's conversion of bytes to sRGB, and the mode of Pillow that it takes."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    mode = MODES[source.profile.xcolor_space.strip()]
    intent = ImageCms.Intent[f"{_intent(profile)}_colorimetric".upper() if _intent(profile) == "relative" else _intent(profile).upper()]
    target = ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(source, target, mode, "RGB", intent, ImageCms.Flags.BLACKPOINTCOMPENSATION), mode


def _intent(profile: bytes) -> str:
    """The rendering intent that a profile asks for."""
    return _INTENTS.get(struct.unpack(">I", profile[64:68])[0], "relative")


def _by_vips(profile: bytes, values: np.ndarray) -> np.ndarray:
    import pyvips  # it takes 20 ms to load, and most files have eight bits

    if values.dtype != np.uint16:
        values = (np.nan_to_num(values.astype(np.float32), nan=0.0).clip(0, 1) * 65535).round().astype(np.uint16)
    kind = {1: "grey16", 3: "rgb16", 4: "cmyk"}[values.shape[2]]
    image = pyvips.Image.new_from_array(np.ascontiguousarray(values)).copy(interpretation=kind)
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    shown = image.icc_transform("srgb", embedded=True, intent=_intent(profile), black_point_compensation=True, depth=16)
    return np.asarray(shown.numpy()).astype(np.float32) / np.float32(65535)


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """The elements of a profile by their signatures; those that lie outside of it are left out."""
    if len(profile) < 132:
        return {}
    count = min(struct.unpack(">I", profile[128:132])[0], 100, (len(profile) - 132) // 12)
    entries = (struct.unpack(">4sII", profile[132 + 12 * k : 144 + 12 * k]) for k in range(count))
    return {name: profile[at : at + size] for name, at, size in entries if at + size <= len(profile)}


def _xyz(element: bytes) -> tuple[float, ...]:
    return tuple(value / 65536 for value in struct.unpack(">iii", element[8:20]))


_PARAMETERS = {0: "g", 1: "gab", 2: "gabc", 3: "gabcd", 4: "gabcdef"}


def _curve(element: bytes) -> Curve:
    """An element of type curv or para. Raises ValueError and struct.error for any other."""
    if element[:4] == b"curv":
        count = struct.unpack(">I", element[8:12])[0]
        if count > 65536:
            raise ValueError("a curve of more than 65536 entries")
        entries = struct.unpack(f">{count}H", element[12 : 12 + 2 * count])
        if count < 2:
            return gamma_curve(entries[0] / 256 if count else 1.0)
        return partial(tabulated, table=np.array(entries) / 65535)
    if element[:4] != b"para":
        raise ValueError("no curve")
    names = _PARAMETERS.get(struct.unpack(">H", element[8:10])[0], "")
    if not names:
        raise ValueError("a curve of an unknown kind")
    numbers = [value / 65536 for value in struct.unpack(f">{len(names)}i", element[12 : 12 + 4 * len(names)])]
    if names == "g":
        return gamma_curve(numbers[0])
    given = dict(zip(names, numbers, strict=True))
    if names in ("gab", "gabc"):  # below -b/a the curve is flat
        given |= {"d": -given["b"] / given["a"] if given["a"] else 0.0, "e": given.get("c", 0.0), "f": given.pop("c", 0.0)}
    return partial(parametric, **given)


def parametric(
    coded: np.ndarray, *, g: float, a: float = 1.0, b: float = 0.0, c: float = 0.0, d: float = 0.0, e: float = 0.0, f: float = 0.0
) -> np.ndarray:
    """ICC's parametric curve: (a x + b)^g + e from d on, c x + f below."""
    return np.where(coded >= d, np.maximum(a * coded + b, 0) ** g + e, c * coded + f)


def tabulated(coded: np.ndarray, *, table: np.ndarray) -> np.ndarray:
    """A curve of evenly spaced entries; what lies outside of [0, 1] takes the nearest."""
    return np.asarray(np.interp(coded, np.linspace(0, 1, len(table)), table))
