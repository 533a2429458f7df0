"""What `import impasto` gives: paint photos, load a style, make a style file."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from impasto import __version__
from impasto.errors import InputError, StyleError
from impasto.events import Listener, silence
from impasto.media.images import fit_within, read_picture, resize
from impasto.media.masks import Regions, load_regions
from impasto.methods import METHODS, StyleSource, make_stylizer
from impasto.runtime.device import choose_place
from impasto.runtime.engine import Summary, plan, run, working_size
from impasto.runtime.stylizer import Stylizer
from impasto.settings import AUTO, Controls
from impasto.styles.file import StyleFile, StyleRecord, read_style, write_style
from impasto.styles.registry import ASSETS, bundled

PathLike = str | os.PathLike[str]

STYLE_KEEP = 1024
"""Longer side, in pixels, that a style picture is kept at: more holds no stroke that a painting of usual size shows."""


def find_style(style: PathLike, *, max_megapixels: int = Controls.max_megapixels) -> tuple[StyleSource, str]:
    """The style of a bundled name, a style file or a picture, and the method that it is bound to ("auto" for pictures).

    Raises StyleError or PictureError.
    """
    text = os.fspath(style)
    known = bundled("style")
    if text in known:
        text = str(ASSETS / "styles" / known[text].file)
    path = Path(text)
    if path.suffix == ".safetensors":
        return _from_style_file(path)
    if not path.exists() and not path.suffix:
        raise StyleError(f"there is no style {text!r}; a style is a picture, a style file, or one of {', '.join(known)}")
    pixels = read_picture(path, max_pixels=max_megapixels * 1_000_000).pixels
    if max(pixels.shape[-2:]) > STYLE_KEEP:
        pixels = resize(pixels, fit_within((pixels.shape[-2], pixels.shape[-1]), STYLE_KEEP))
    if min(pixels.shape[-2:]) < 8:
        raise StyleError(f"{path} has {pixels.shape[-1]}x{pixels.shape[-2]} pixels, too few to show a style")
    return StyleSource(path.stem, [pixels[None]]), AUTO


def _from_style_file(path: Path) -> tuple[StyleSource, str]:
    style = read_style(path)
    if style.record.method not in METHODS:
        raise StyleError(f"{path} is for the method {style.record.method!r}, which this version does not have")
    if "picture" not in style.tensors or style.tensors["picture"].dtype != torch.uint8 or style.tensors["picture"].ndim != 4:
        raise StyleError(f"{path} holds no style picture, which the method {style.record.method!r} needs")
    return StyleSource(style.record.name, [style.tensors["picture"].float() / 255]), style.record.method


def save_style(style: PathLike, output: PathLike, *, name: str | None = None, licence: str = "not stated", source: str = "") -> Path:
    """Make a style file from a picture for methods that need the picture itself (gatys): self-contained, with its record.

    Raises StyleError or PictureError.
    """
    found, _ = find_style(style)
    record = StyleRecord(name or found.name, "gatys", licence=licence, source=source or str(Path(style).name), impasto_version=__version__)
    return write_style(output, StyleFile(record, {"picture": found.pictures[0].mul(255).round().byte()}))


def gather_styles(styles: Sequence[PathLike], weights: Sequence[float] | None, controls: Controls) -> tuple[StyleSource, Controls]:
    """Several styles as one source, and the controls with the method that a style file binds to. Raises InputError."""
    if not styles:
        raise InputError("no style was given")
    if weights is not None and (len(weights) != len(styles) or not all(0 <= w < math.inf for w in weights) or sum(weights) <= 0):
        raise InputError("each style needs a weight of at least 0, and not all of them may be 0")
    found = [find_style(style, max_megapixels=controls.max_megapixels) for style in styles]
    bound = {method for _, method in found if method != AUTO}
    wanted = bound if controls.method == AUTO else bound | {controls.method}
    if len(wanted) > 1:
        raise InputError(f"these styles need different methods ({', '.join(sorted(wanted))}) and cannot be used together")
    if bound:
        controls = replace(controls, method=bound.pop())
    pictures = [picture for source, _ in found for picture in source.pictures]
    return StyleSource("-".join(dict.fromkeys(source.name for source, _ in found)), pictures, weights), controls


def load_style(
    *styles: PathLike, weights: Sequence[float] | None = None, controls: Controls | None = None, listener: Listener = silence
) -> Stylizer:
    """A stylizer for one or several styles: call it with pictures (B, 3, H, W), RGB in [0, 1], as often as you like.

    weights: one per style, equal by default. Raises ImpastoError for styles or controls that cannot be used.
    """
    source, controls = gather_styles(styles, weights, controls or Controls())
    return make_stylizer(source, controls, choose_place(controls.device, controls.precision), listener)


def stylize(
    photos: PathLike | Sequence[PathLike],
    *styles: PathLike,
    output: PathLike | None = None,
    weights: Sequence[float] | None = None,
    mask: PathLike | None = None,
    style_masks: Sequence[PathLike] = (),
    controls: Controls | None = None,
    listener: Listener = silence,
    on_file: Callable[[int, int, Path], None] = lambda index, count, source: None,
    on_regions: Callable[[Regions], None] = lambda regions: None,
) -> Summary:
    """Paint photo files, or folders of them, in one style or a mixture: the main job.

    output: a file, a folder, or None for PHOTO-STYLE.png in the current folder. mask and style_masks: label maps, one
    for the photo and one per style, same colours for matching regions. A photo that cannot be painted is an outcome
    with an error in the summary; what concerns all of them raises ImpastoError at once.
    """
    inputs = [photos] if isinstance(photos, (str, os.PathLike)) else list(photos)
    source, controls = gather_styles(styles, weights, controls or Controls())
    jobs = plan(inputs, output, source.name)
    place = choose_place(controls.device, controls.precision)
    masks = None
    if mask is not None or style_masks:
        if mask is None or not style_masks:
            raise InputError("regions need a mask of the photo and one of each style picture")
        if len(jobs) != 1:
            raise InputError("a mask belongs to one photo, and there are several")
        photo = read_picture(jobs[0].source, max_pixels=controls.max_megapixels * 1_000_000)
        size = working_size(photo.size, controls.size, str(jobs[0].source))
        style_sizes = [(picture.shape[-2], picture.shape[-1]) for picture in source.pictures]
        regions = load_regions(mask, list(style_masks), content_size=size, style_sizes=style_sizes)
        on_regions(regions)
        masks, source = regions.content.to(place.device), replace(source, masks=regions.styles)
    stylizer = make_stylizer(source, controls, place, listener)
    return run(stylizer, jobs, controls, place, masks=masks, on_file=on_file)
