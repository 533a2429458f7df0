"""What `import impasto` gives: paint photos, learn, mix, load and save styles."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

from impasto.events import Listener, silence
from impasto.interrupts import between_steps
from impasto.job.build import make_film_stylizer, make_stylizer
from impasto.job.enlarge import enlarge_file
from impasto.job.export import export_file
from impasto.job.export_web import export_page
from impasto.job.learn import keep_picture, learn_painting, mix_styles
from impasto.job.look import make_look
from impasto.job.outcome import Summary
from impasto.job.parts import join_parts
from impasto.job.perform import perform
from impasto.job.pipe import paint_pipe
from impasto.job.request import PathLike, RegionRequest, Request, count_of, part_of
from impasto.job.styles import find_style, gather_styles
from impasto.media.masks import Regions
from impasto.methods.declaration import Style
from impasto.methods.solver.texture import FACTOR
from impasto.runtime.device import choose_place
from impasto.runtime.sized import Sized
from impasto.runtime.stylizer import Stylizer
from impasto.settings import Controls


def save_style(style: PathLike, output: PathLike, *, name: str | None = None, licence: str = "not stated", source: str = "") -> Path:
    """Make a style file from a picture for methods that need the picture itself (gatys): self-contained, with its record.

    style: a picture.
    output: the file, which ends in .safetensors.
    name: of the style; that of the file by default.
    licence, source: of the picture, for the record.

    Raises StyleError or PictureError.
    """
    return keep_picture(style, output, name, licence, source)


def adapt(
    painting: PathLike,
    output: PathLike | None = None,
    *,
    name: str | None = None,
    licence: str = "not stated",
    source: str = "",
    photos: Sequence[PathLike] | None = None,
    controls: Controls | None = None,
    force: bool = False,
    listener: Listener = silence,
) -> Path:
    """Learn a painting (Zhang et al. 2019, MetaStyle): a style file with a network of its own, that then paints in real time.

    painting: a picture.
    output: the file, NAME.safetensors in the current folder by default.
    name: of the style; that of the file by default.
    licence, source: of the painting, for the record.
    photos: folders of photos to learn on instead of made pictures.
    controls: its options are settings of the adaptation and of its training, such as {"steps": 100}; {"film": True} learns it for films.
    force: replace a style file that is there and holds another painting, or the same one learned with other settings.
    listener: is told of every step.

    An interrupted adaptation leaves no file, and is resumed the next time. Raises ImpastoError; ReplaceError for a file that would be
    replaced without `force`.
    """
    return learn_painting(painting, output, name, licence, source, photos, controls or Controls(), listener, force=force)


def lut(
    photo: PathLike,
    *styles: PathLike,
    output: PathLike | None = None,
    weights: Sequence[float] | None = None,
    size: int = 33,
    controls: Controls | None = None,
    listener: Listener = silence,
) -> Path:
    """Make a look: a table of colours, .cube, that grades other photos and films as a photo becomes in the style of a picture.

    photo: of what shall be graded.
    styles: pictures, style files or bundled names.
    output: the file, PHOTO-STYLE.cube in the current folder by default.
    weights: one per style, equal by default.
    size: colours of the table along each side, 2 to 129.
    controls: what paints the photo; by default the solver, photo-realistic (Puy and Perez 2019, section 4.3).
    listener: is told of the steps of whatever takes long.

    Raises ImpastoError.
    """
    return make_look(photo, list(styles), output, None if weights is None else list(weights), size, controls or Controls(), listener)


def mix(
    styles: Sequence[PathLike], weights: Sequence[float] | None = None, output: PathLike | None = None, *, name: str | None = None
) -> Path:
    """Write the style between several trained styles: the convex combination of their networks (MetaStyle, section 4.3).

    styles: style files or bundled names.
    weights: one per style, equal by default, brought to a sum of 1.
    output: the file, NAME.safetensors in the current folder by default.
    name: of the mixture.

    Raises InputError or StyleError.
    """
    return mix_styles(styles, weights, output, name)


def open_style(style: PathLike) -> Style:
    """A style, opened: a picture, a style file, a bundled name or one of the library. A notebook shows what it looks like.

    Raises StyleError or PictureError.
    """
    return find_style(style)


def load_style(
    *styles: PathLike,
    weights: Sequence[float] | None = None,
    controls: Controls | None = None,
    films: bool = False,
    listener: Listener = silence,
) -> Stylizer:
    """A stylizer for one or several styles: call it with pictures (B, 3, H, W), RGB in [0, 1], as often as you like.

    styles: pictures, style files or bundled names.
    weights: one per style, equal by default.
    controls: what all methods share, and the options of the method.
    films: stabilised as films are; where it has a `stream`, frames (3, H, W) go through that, in order: it remembers the one before.
    listener: is told of the steps of whatever is learned first.

    Raises ImpastoError for styles or controls that cannot be used; what it returns raises PictureError for sides below 32 pixels.
    """
    controls = controls or Controls()
    source = gather_styles(styles, weights, controls)
    make = make_film_stylizer if films else make_stylizer
    return Sized(make(source, controls, choose_place(controls.device, controls.precision, painting=True), listener))


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
    part: str | None = None,
    cluster: str | None = None,
    again: bool = False,
    controls: Controls | None = None,
    listener: Listener = silence,
    on_file: Callable[[int, int, Path], None] = lambda index, count, source: None,
    on_regions: Callable[[Regions], None] = lambda regions: None,
) -> Summary:
    """Paint photo files, films, or folders of photos, in one style or a mixture: the main job.

    photos: files or folders, one or several.
    styles: pictures, style files or bundled names.
    output: a file, a folder, or None for PHOTO-STYLE.png (FILM-STYLE.mp4) in the current folder.
    weights: one per style, equal by default.
    mask: a label map of the photo, with style_masks; or a grey picture for each style, white where it paints.
    style_masks: a label map of each style picture, with the same colours for matching regions.
    regions: "auto:4" finds four matching regions by itself.
    show_regions: also write PHOTO-STYLE-regions.png, the photo and the style pictures under the colours of their regions.
    frames: folders hold the frames of a film each.
    part: "3/8" paints the third of eight parts: every eighth photo, and a stretch of each film, which `join` puts together.
    cluster: "auto", or the address of a Ray cluster that paints everything.
    again: True paints again what lies there already, made from the same input with the same settings; such outcomes say `already`.
    controls: what all methods share, and the options of the method.
    listener: is told of every step.
    on_file: is told the number, the count and the source of each file before it is painted.
    on_regions: is told the regions that are used.

    An interrupted film is resumed the next time. Whatever cannot be painted is an outcome with an error in the summary; what concerns all
    of them raises ImpastoError at once.
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
        None if part is None else part_of(part),
        cluster,
        controls or Controls(),
        again,
    )
    with between_steps(listener) as noticed:
        return perform(request, noticed, on_file, on_regions)


def join(film: PathLike, output: PathLike) -> tuple[Path, str]:
    """Put the parts of a film together that `stylize` painted one by one; nothing is encoded anew, and the parts stay.

    film: what was painted, a film or a folder of frames; its sound, subtitles and chapters are carried over.
    output: as it was given for the parts, which lie beside it as NAME.part-3-of-8.mp4; a folder of frames holds them itself.

    Returns the output, and what there is to say of it ("" if nothing). Raises InputError where parts are missing or do not match.
    """
    return Path(output), join_parts(Path(film), Path(output))


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

    incoming, outgoing: where frames come from, and where painted ones go.
    size: height and width of the frames.
    styles, weights, controls, listener: see `load_style`.
    on_size: is told the height and the width of the painted frames.

    Returns how many were painted, and what was wrong with the stream ("" if nothing was). Raises ImpastoError.
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

    texture: a small picture.
    reference: a sharp picture of such a texture.
    output: the file, TEXTURE-xFACTOR.png in the current folder by default.
    factor: how many times as wide and as high.
    guided: False takes no detail from the reference, only what the small picture says.
    controls: strength, and as options the `scales` and the `solver`.

    Raises ImpastoError.
    """
    return enlarge_file(texture, reference, output, factor, guided, controls or Controls())


def export(
    name: PathLike,
    output: PathLike | None = None,
    *,
    part: str = "style",
    inputs: Sequence[str] = (),
    strength: float = 1.0,
    precision: str = "float32",
    layer: str = "relu4_1",
    photos: Sequence[PathLike] | None = None,
) -> Path:
    """Write the network of a trained style for other engines, for any height and width, and check it by running it.

    name: a bundled style or a style file; or an encoder, for the other parts.
    output: the file, NAME.onnx in the current folder by default, which needs the extra `onnx`; .xml is for OpenVINO, and needs that extra.
    part: "style", "encoder", photo to features, or "decoder", features to picture.
    inputs: what is an input of the file besides the photo: "grain", (1, 1, H, W) of unit deviation, "strength", 0 to 1.
    strength: what is part of the file instead.
    precision: "float32" or "float16", of .xml files "int8" too; what goes in and out is float32.
    layer: where a decoder is entered.
    photos: folders of photos that eight bits are calibrated on; pictures made from nothing if None.

    Pictures are (1, 3, H, W), RGB in [0, 1]. Raises ImpastoError.
    """
    return export_file(name, output, part, inputs=inputs, strength=strength, precision=precision, layer=layer, photos=photos)


def export_web(folder: PathLike, *styles: PathLike, listener: Listener = silence) -> Path:
    """Write a page that paints live in the browser, camera, pictures and films, for any server of static files; needs the extra `onnx`.

    folder: a new one, or that of an earlier page.
    styles: learned ones, by name or as files; all bundled small networks if there is none.
    listener: is told of the megabytes of onnxruntime-web, which is fetched once into the cache, and of each style.

    Raises ImpastoError.
    """
    return export_page(folder, styles, listener)
