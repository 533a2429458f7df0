"""What `import impasto` gives: paint photos, learn, mix, load and save styles."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from impasto import __version__
from impasto.errors import InputError, StyleError
from impasto.events import Listener, silence
from impasto.files import check_folder
from impasto.interrupts import between_steps
from impasto.job.build import make_stylizer
from impasto.job.engine import Summary
from impasto.job.perform import perform
from impasto.job.pipe import paint_pipe
from impasto.job.request import PathLike, RegionRequest, Request, count_of
from impasto.job.resolve import check_options, resolve
from impasto.job.styles import facts_of, files_of, find_style, gather_styles, is_steady
from impasto.media.images import Picture, check_writable, read_picture, resize, write_picture
from impasto.media.masks import Regions
from impasto.methods.declaration import Style, StyleSource
from impasto.methods.gatys.method import METHOD as GATYS
from impasto.methods.metastyle.cache import learned
from impasto.methods.metastyle.method import METHOD as METASTYLE
from impasto.methods.metastyle.method import adaptation
from impasto.methods.solver.method import METHOD as SOLVER
from impasto.methods.solver.solver import Solver
from impasto.methods.solver.texture import FACTOR, SCALES_OF_TEXTURES, luminance
from impasto.methods.solver.texture import enlarge as enlarge_texture
from impasto.methods.table import methods
from impasto.motion.temporal import temporal_loss
from impasto.names import is_plain_name
from impasto.networks.mixing import mix as mix_networks
from impasto.networks.style_network_file import bundled_start, network_of, to_style_file
from impasto.runtime.device import choose_place
from impasto.runtime.outputs import Outputs
from impasto.runtime.stylizer import Stylizer
from impasto.settings import Controls
from impasto.storage.style_file import StyleFile, StyleRecord, write_style


def save_style(style: PathLike, output: PathLike, *, name: str | None = None, licence: str = "not stated", source: str = "") -> Path:
    """Make a style file from a picture for methods that need the picture itself (gatys): self-contained, with its record.

    Raises StyleError or PictureError.
    """
    target = Outputs([style]).asked(output)
    found = find_style(style, method=GATYS.name)
    (picture,) = StyleSource([found]).pictures
    record = StyleRecord(
        checked_name(name) or found.name, GATYS.name, licence=licence, source=source or str(Path(style).name), impasto_version=__version__
    )
    return write_style(target, StyleFile(record, {"picture": picture.mul(255).round().byte()}))


def adapt(
    painting: PathLike,
    output: PathLike | None = None,
    *,
    name: str | None = None,
    licence: str = "not stated",
    source: str = "",
    photos: Sequence[PathLike] | None = None,
    controls: Controls | None = None,
    listener: Listener = silence,
) -> Path:
    """Learn a painting (MetaStyle): a style file with a network of its own, that then paints in real time.

    output: the file, NAME.safetensors in the current folder by default. photos: folders of photos to learn on instead of made
    pictures. controls.options: settings of `impasto.methods.metastyle.settings.Adaptation` and its training, by name, such as
    {"steps": 100, "parameters": "affine"}; {"film": True} learns it for films. An interrupted adaptation leaves no file, and is
    resumed the next time.
    Raises ImpastoError.
    """
    controls = controls or Controls()
    checked_name(name)
    outputs = Outputs([painting, *(photos or [])])
    target = outputs.chosen(f"{name or Path(painting).stem}.safetensors") if output is None else outputs.asked(output)
    if target.suffix != ".safetensors" or target.is_dir():
        raise StyleError(f"cannot write {target}: a style file's name ends in .safetensors")
    check_folder(target)
    found = find_style(painting, method=GATYS.name, max_megapixels=controls.max_megapixels)
    if found.method is not None:
        raise StyleError(f"{painting} is a style file already; a picture is what is learned")
    check_options(METASTYLE, controls, [], methods())
    settings, folders = adaptation(controls)
    style = learned(
        name or found.name,
        StyleSource([found]).pictures,
        settings,
        encoder=controls.encoder,
        place=choose_place(controls.device, controls.precision),
        photos=[Path(folder) for folder in photos] if photos is not None else folders,
        temporal=temporal_loss,
        listener=listener,
    )
    record = replace(style.record, name=name or found.name, licence=licence, source=source or Path(painting).name)
    return write_style(target, StyleFile(replace(record, impasto_version=__version__), style.tensors))


def mix(
    styles: Sequence[PathLike], weights: Sequence[float] | None = None, output: PathLike | None = None, *, name: str | None = None
) -> Path:
    """Write the style between several trained styles: the convex combination of their networks (MetaStyle, section 4.3).

    weights: one per style, equal by default, brought to a sum of 1. output: a file, NAME.safetensors in the current folder by default.
    Raises InputError or StyleError.
    """
    outputs = Outputs(styles)
    default = f"{checked_name(name) or '-'.join(Path(style).stem for style in styles)}.safetensors"
    target = outputs.chosen(default) if output is None else outputs.asked(output)
    source = gather_styles(styles, weights, Controls(method=METASTYLE.name))
    resolve(Controls(method=METASTYLE.name), facts_of(source), methods())
    files = [style.file for style in source.styles if style.file is not None]
    if len(files) != len(source.styles):
        raise StyleError("only trained styles are mixed into a file: impasto adapt makes one of a picture")
    shares = [1.0] * len(files) if weights is None else list(weights)
    parts = {style.name: round(share / sum(shares), 4) for style, share in zip(source.styles, shares, strict=True)}
    record = StyleRecord(
        name or source.name,
        METASTYLE.name,
        encoder=", ".join(dict.fromkeys(file.record.encoder for file in files)),
        licence="; ".join(dict.fromkeys(file.record.licence for file in files)),
        source="; ".join(dict.fromkeys(file.record.source for file in files)),
        settings={"mixed": parts, "film": all(is_steady(file) for file in files)},
        impasto_version=__version__,
    )
    only_affine = all(set(file.tensors) == {"affine"} for file in files)
    network = mix_networks([network_of(file) for file in files], shares)
    return write_style(target, to_style_file(network, record, start=bundled_start() if only_affine else None))


def checked_name(name: str | None) -> str | None:
    """A name for a style that can be a file's name too. Raises InputError."""
    if name is not None and not is_plain_name(name):
        raise InputError(f"{name!r} cannot be the name of a style: it has to be able to be a file's name")
    return name


def load_style(
    *styles: PathLike, weights: Sequence[float] | None = None, controls: Controls | None = None, listener: Listener = silence
) -> Stylizer:
    """A stylizer for one or several styles: call it with pictures (B, 3, H, W), RGB in [0, 1], as often as you like.

    weights: one per style, equal by default. Raises ImpastoError for styles or controls that cannot be used.
    """
    controls = controls or Controls()
    source = gather_styles(styles, weights, controls)
    return make_stylizer(source, controls, choose_place(controls.device, controls.precision), listener)


def stylize(
    photos: PathLike | Sequence[PathLike],
    *styles: PathLike,
    output: PathLike | None = None,
    weights: Sequence[float] | None = None,
    mask: PathLike | Sequence[PathLike] | None = None,
    style_masks: Sequence[PathLike] = (),
    regions: str | None = None,
    show_regions: bool = False,
    frames: bool = False,
    controls: Controls | None = None,
    listener: Listener = silence,
    on_file: Callable[[int, int, Path], None] = lambda index, count, source: None,
    on_regions: Callable[[Regions], None] = lambda regions: None,
) -> Summary:
    """Paint photo files, films, or folders of photos, in one style or a mixture: the main job.

    output: a file, a folder, or None for PHOTO-STYLE.png (FILM-STYLE.mp4) in the current folder. mask and style_masks: label maps, one
    for the photo and one per style, same colours for matching regions; or mask alone: a grey picture for each style, white where it
    paints. regions: "auto:4" finds four matching regions by itself. show_regions: also write PHOTO-STYLE-regions.png, the photo and
    the style pictures under the colours of their regions. frames: folders hold the frames of a film each. An interrupted film is resumed
    the next time. Whatever cannot
    be painted is an outcome with an error in the summary; what concerns all of them raises ImpastoError at once.
    """
    request = Request(
        [photos] if isinstance(photos, (str, os.PathLike)) else list(photos),
        styles,
        output,
        weights,
        RegionRequest(
            [] if mask is None else [mask] if isinstance(mask, (str, os.PathLike)) else list(mask),
            style_masks,
            None if regions is None else count_of(regions),
            show_regions,
        ),
        frames,
        controls or Controls(),
    )
    with between_steps(listener) as noticed:
        return perform(request, noticed, on_file, on_regions)


def stylize_pipe(
    incoming: BinaryIO,
    outgoing: BinaryIO,
    size: tuple[int, int],
    *styles: PathLike,
    weights: Sequence[float] | None = None,
    controls: Controls | None = None,
    on_size: Callable[[tuple[int, int]], None] = lambda size: None,
    listener: Listener = silence,
) -> tuple[int, str]:
    """Paint raw frames as they come: RGB, one byte each, row by row, nothing between frames (ffmpeg's rawvideo in rgb24).

    size: height and width of the frames. on_size: is told the size of the painted ones, which are written in the same way. Returns how many
    were painted, and what was wrong with the stream ("" if nothing was). Raises ImpastoError.
    """
    return paint_pipe(incoming, outgoing, size, styles, weights, controls or Controls(), on_size, listener)


def enlarge(
    texture: PathLike,
    reference: PathLike,
    output: PathLike | None = None,
    *,
    factor: int = FACTOR,
    guided: bool = True,
    controls: Controls | None = None,
) -> Path:
    """Enlarge a picture of a texture with the detail of a sharp reference (Flexible Convolutional Solver, section 4.5).

    output: a file, TEXTURE-xFACTOR.png in the current folder by default. guided=False takes no detail from the reference, only what the
    small picture says. controls: strength, and as options the `scales` and the `solver`. Raises ImpastoError.
    """
    controls = replace(controls or Controls(), method=SOLVER.name)
    outputs = Outputs([texture, reference, *files_of(controls)])
    target = outputs.chosen(f"{Path(texture).stem}-x{factor}.png") if output is None else outputs.asked(output)
    check_writable(target, inputs=(texture, reference))
    limit = controls.max_megapixels * 1_000_000
    small, sharp = read_picture(texture, max_pixels=limit), read_picture(reference, max_pixels=limit)
    if min(sharp.size) < 32:
        raise InputError(f"{reference} has {sharp.size[1]}x{sharp.size[0]} pixels, too few to show detail")
    place = choose_place(controls.device, controls.precision)
    grey = luminance(sharp.pixels[None]).expand(-1, 3, -1, -1)
    options = {"scales": SCALES_OF_TEXTURES, "grain": 0.0, **(controls.options or {})}
    style_size = controls.style_size or min(sharp.size)
    stylizer = make_stylizer(StyleSource([Style("reference", grey)]), replace(controls, options=options, style_size=style_size), place)
    assert isinstance(stylizer, Solver)
    pixels = enlarge_texture(stylizer, small.pixels[None], factor=factor, guided=guided)[0].cpu()
    alpha = None if small.alpha is None else resize(small.alpha, (pixels.shape[-2], pixels.shape[-1]))
    return write_picture(Picture(pixels, alpha), target)
