"""The styles of a job: bundled names, style files and pictures, found and opened."""

import math
import os
from collections.abc import Sequence
from pathlib import Path

import torch

from impasto.errors import InputError, StyleError, unknown
from impasto.job.request import PathLike
from impasto.job.resolve import Kind, StyleFact, implied_method
from impasto.job.style_paths import path_of_style
from impasto.media.style_images import read_style_image
from impasto.methods.declaration import Style, StyleSource
from impasto.methods.lut.cube import OTHER_SUFFIXES, SUFFIX, read_cube
from impasto.methods.table import find_method, methods
from impasto.names import as_plain_name
from impasto.settings import AUTO, Controls
from impasto.storage.library import Library
from impasto.storage.registry import bundled
from impasto.storage.style_file import StyleFile, read_style

STYLE_KEEP = 1024
"""Longer side, in pixels, that a style picture is kept at: more holds no stroke that a painting of usual size shows."""


def find_style(style: PathLike, *, method: str = AUTO, max_megapixels: int = Controls.max_megapixels, cropped: bool = True) -> Style:
    """The style of a bundled name, of a name in the library, of a style file or of a picture.

    A bundled name means its trained network, or for other methods its picture where that is bundled too. cropped: whether a picture is cut
    to its visible part. Raises StyleError or PictureError.
    """
    text = os.fspath(style)
    if not text:
        raise StyleError("a style is a picture, a style file or a name, and nothing was given")
    path = path_of_style(text, method=method)
    if path.suffix.lower() == ".safetensors":
        return _from_style_file(path)
    if path.suffix.lower() == SUFFIX:
        file = read_cube(path)
        return Style(file.record.name, file=file, method=file.record.method)
    if path.suffix.lower() in OTHER_SUFFIXES:
        raise StyleError(f"{path} is a LUT in the format {path.suffix}, which is not read: save it as {SUFFIX}")
    if not path.exists() and "," in text:
        separate = " ".join(f"-s {part.strip()}" for part in text.split(","))
        raise StyleError(f"there is no style {text!r}; several styles are given one by one: {separate}")
    if not path.exists() and not path.suffix:
        raise StyleError(f"{unknown('style', text, [*bundled('style'), *Library().names()])}; or give a picture, or a style file")
    pixels = read_style_image(path, max_pixels=max_megapixels * 1_000_000, longest=STYLE_KEEP, cropped=cropped)
    if min(pixels.shape[-2:]) < 8:
        raise StyleError(f"{path} has {pixels.shape[-1]}x{pixels.shape[-2]} pixels, too few to show a style")
    return Style(as_plain_name(path.stem), pixels[None])


def _from_style_file(path: Path) -> Style:
    file = read_style(path)
    name, method = file.record.name, file.record.method
    if method not in methods():
        raise StyleError(f"{path} is for the method {method!r}, which this version does not have")
    if not methods()[method].keeps_picture:
        return Style(name, file=file, method=method)
    picture = file.tensors.get("picture")
    if picture is None or picture.dtype != torch.uint8 or picture.ndim != 4 or picture.shape[:2] != (1, 3) or min(picture.shape[2:]) < 8:
        raise StyleError(f"{path} holds no style picture, which the method {method!r} needs")
    return Style(name, picture.float() / 255, method=method)


def gather_styles(styles: Sequence[PathLike], weights: Sequence[float] | None, controls: Controls, kind: Kind = "pictures") -> StyleSource:
    """Several styles as one source, found for the method that the controls or the kind of masks ask for. Raises ImpastoError."""
    if not styles:
        raise InputError("no style was given")
    if weights is not None and (len(weights) != len(styles) or not all(0 <= w < math.inf for w in weights) or sum(weights) <= 0):
        raise InputError("each style needs a weight of at least 0, and not all of them may be 0")
    if controls.method != AUTO:
        find_method(controls.method)
    method = implied_method(controls, methods(), kind)
    limit, cropped = controls.max_megapixels, kind != "regions"  # masks of a style image are of all of it
    return StyleSource([find_style(style, method=method, max_megapixels=limit, cropped=cropped) for style in styles], weights)


def facts_of(source: StyleSource) -> list[StyleFact]:
    """What decisions need to know of the styles."""
    return [_fact(style) for style in source.styles]


def _fact(style: Style) -> StyleFact:
    if style.method is None:
        return StyleFact(style.name)
    if style.file is None:
        return StyleFact(style.name, style.method)
    finishable = style.picture is not None or bool(style.file.seen_by(Controls.encoder))
    return StyleFact(style.name, style.method, methods()[style.method].steady(style.file), finishable)


def is_steady(file: StyleFile) -> bool:
    """Whether the network of a style file learned to paint stable films by itself."""
    method = methods().get(file.record.method)
    return method is not None and method.steady(file)
