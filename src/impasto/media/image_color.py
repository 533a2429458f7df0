"""The colours of still images: what a file states of them, and the way to sRGB.

`color_of` reads the header; `ImageColor.to_srgb` converts pixels. A conversion looks at each pixel alone, so that an image read by strips
gets the same values as one that is read whole.
"""

import io
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

_SPACES = {1: "GRAY", 3: "RGB", 4: "CMYK"}
"""Colour spaces of ICC by the number of channels."""
_MODES = {"GRAY": "L", "RGB": "RGB", "CMYK": "CMYK"}
"""Pillow's modes of eight bits by colour space of ICC."""
_CHANNELS = {"1": 1, "L": 1, "LA": 1, "La": 1, "I": 1, "F": 1, "CMYK": 4}
"""Channels of colour by Pillow's modes; others have three."""
_RELATIVE, _ABSOLUTE = 1, 3
_STRIP = 1 << 20
"""Pixels that are converted at a time: a copy in floats is 12 MB."""


@dataclass(frozen=True)
class ImageColor:
    """How the colours of a file become sRGB.

    is_srgb: there is nothing to convert, apart from grey, which is repeated. messages: what of the file's statement cannot be honoured.
    profile: an ICC profile that fits the pixels, or None.
    """

    is_srgb: bool = True
    messages: tuple[str, ...] = ()
    profile: bytes | None = field(default=None, repr=False)

    def to_srgb(self, values: np.ndarray) -> np.ndarray:
        """Pixels as stored, (H, W, C), C being 1 for grey, 3 for RGB and 4 for CMYK (0 is no ink), as sRGB (H, W, 3).

        Bytes become bytes; uint16, which is full at 65535, and floats in [0, 1] become float32 in [0, 1].
        """
        if self.profile is not None and _SPACES.get(values.shape[2]) == _space_of(self.profile):
            return _through_profile(self.profile, values)
        return _plain(values)


def color_of(image: Image.Image, path: Path) -> ImageColor:
    """What an image that was opened, and is not decoded, says of its colours. Path: the file, named in messages."""
    profile = image.info.get("icc_profile")
    return color_of_profile(profile, _CHANNELS.get(image.mode.partition(";")[0], 3), path)


def color_of_profile(profile: bytes | None, channels: int, path: Path) -> ImageColor:
    """The same for an ICC profile by itself, or none, and pixels of so many channels of colour: 1, 3 or 4."""
    messages: tuple[str, ...] = ()
    if profile:
        space = _space_of(profile)
        if space is None:
            messages = (f"{path} has a damaged colour profile: its colours are taken for sRGB",)
        elif space != _SPACES[channels]:
            messages = (f"{path} has a colour profile for {space}, which its pixels are not: its colours are taken for sRGB",)
        elif _is_srgb(profile):
            return ImageColor()
        else:
            return ImageColor(False, (), profile)
    return ImageColor(channels != 4, messages)


@lru_cache(maxsize=8)
def _space_of(profile: bytes) -> str | None:
    """The colour space of an ICC profile that LittleCMS can convert from, as "RGB"; None for one that it cannot read."""
    try:
        space = ImageCms.ImageCmsProfile(io.BytesIO(profile)).profile.xcolor_space.strip()
        if space in _MODES:
            _transform(profile)
        return str(space)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None


def _intent(profile: ImageCms.ImageCmsProfile) -> int:
    """The rendering intent that a profile asks for; white stays white in any case."""
    stated = profile.profile.rendering_intent
    return _RELATIVE if stated not in (0, _RELATIVE, 2) else int(stated)


@lru_cache(maxsize=8)
def _transform(profile: bytes) -> tuple[Any, str]:
    """LittleCMS's conversion of bytes to sRGB, and the mode of Pillow that it takes."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    mode = _MODES[source.profile.xcolor_space.strip()]
    target = ImageCms.createProfile("sRGB")
    flags = ImageCms.Flags.BLACKPOINTCOMPENSATION
    return ImageCms.buildTransform(source, target, mode, "RGB", ImageCms.Intent(_intent(source)), flags), mode


@lru_cache(maxsize=8)
def _is_srgb(profile: bytes) -> bool:
    """Whether a profile of RGB changes no value of eight bits by more than one, measured on greys and a grid of colours."""
    transform, mode = _transform(profile)
    if mode != "RGB":
        return False
    steps = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps), -1).reshape(-1, 3)
    values = np.concatenate([np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1), grid])[None]
    converted = np.asarray(ImageCms.applyTransform(Image.fromarray(values), transform))
    return int(np.abs(converted.astype(int) - values).max()) <= 1


def _through_profile(profile: bytes, values: np.ndarray) -> np.ndarray:
    if values.dtype == np.uint8:
        transform, mode = _transform(profile)
        stored = Image.fromarray(np.ascontiguousarray(values[:, :, 0] if mode == "L" else values), mode=mode)
        return np.array(ImageCms.applyTransform(stored, transform))
    return _by_vips(profile, values)


def _by_vips(profile: bytes, values: np.ndarray) -> np.ndarray:
    """The same in 16 bits, which Pillow's ImageCms does not know: by libvips."""
    import pyvips  # takes 20 ms, and most files have eight bits

    if values.dtype != np.uint16:
        values = (np.nan_to_num(values.astype(np.float32), nan=0.0) * 65535).clip(0, 65535).round().astype(np.uint16)
    kind = {1: "grey16", 3: "rgb16", 4: "cmyk"}[values.shape[2]]
    image = pyvips.Image.new_from_array(np.ascontiguousarray(values)).copy(interpretation=kind)
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    intent = {0: "perceptual", 1: "relative", 2: "saturation"}[_intent(ImageCms.ImageCmsProfile(io.BytesIO(profile)))]
    converted = image.icc_transform("srgb", embedded=True, intent=intent, black_point_compensation=True, depth=16)
    return np.asarray(converted.numpy()).astype(np.float32) / np.float32(65535)


def _plain(values: np.ndarray) -> np.ndarray:
    """Pixels without a profile: grey is repeated, ink is taken off white."""
    if values.dtype == np.uint16:
        values = values.astype(np.float32) / np.float32(65535)
    elif values.dtype != np.uint8:
        values = values.astype(np.float32)
    if values.shape[2] == 1:
        return np.repeat(values, 3, 2)
    if values.shape[2] == 4:
        full = 255 if values.dtype == np.uint8 else 1
        paper = full - values[..., :3].astype(np.float32)
        shown = paper * ((full - values[..., 3:].astype(np.float32)) / full)
        return shown.round().astype(np.uint8) if values.dtype == np.uint8 else shown.clip(0, 1)
    return values
