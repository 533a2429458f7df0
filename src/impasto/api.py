"""What `import impasto` gives: paint photos, learn, mix, load and save styles."""

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import BinaryIO

import torch
from torch import Tensor

from impasto import __version__
from impasto.errors import InputError, StyleError, option, unknown
from impasto.events import Listener, silence
from impasto.files import check_folder, stamp
from impasto.interrupts import between_steps
from impasto.media.images import Picture, check_writable, fit_within, read_picture, resize, write_picture
from impasto.media.masks import Regions
from impasto.media.raw import RawReader, write_raw
from impasto.methods.declaration import Style, StyleSource
from impasto.methods.metastyle.cache import learned
from impasto.methods.metastyle.method import adaptation
from impasto.methods.solver.solver import Solver
from impasto.methods.solver.texture import FACTOR, SCALES_OF_TEXTURES, luminance
from impasto.methods.solver.texture import enlarge as enlarge_texture
from impasto.methods.table import (
    check_options,
    default_method,
    find_method,
    implied_method,
    is_steady,
    make_film_stylizer,
    make_stylizer,
    methods,
)
from impasto.motion.temporal import temporal_loss
from impasto.names import as_plain_name, is_plain_name
from impasto.networks.mixing import mix as mix_networks
from impasto.networks.style_network_file import bundled_start, network_of, to_style_file
from impasto.regions import RegionRequest, count_of, with_regions
from impasto.runtime.device import choose_place
from impasto.runtime.engine import Job, Outcome, Summary, as_sentence, plan, run
from impasto.runtime.film import film_size, painted_frames
from impasto.runtime.outputs import Outputs
from impasto.runtime.stylizer import Stylizer
from impasto.settings import AUTO, Controls
from impasto.styles.file import StyleFile, StyleRecord, read_style, write_style
from impasto.styles.registry import ASSETS, bundled

PathLike = str | os.PathLike[str]

STYLE_KEEP = 1024
"""Longer side, in pixels, that a style picture is kept at: more holds no stroke that a painting of usual size shows."""


def find_style(style: PathLike, *, method: str = AUTO, max_megapixels: int = Controls.max_megapixels) -> tuple[Style, str]:
    """The style of a bundled name, a style file or a picture, and the method that it is bound to ("auto" for pictures).

    A bundled name means its trained network, or for other methods its picture where that is bundled too. Raises StyleError
    or PictureError.
    """
    text = os.fspath(style)
    if not text:
        raise StyleError("a style is a picture, a style file or a name, and nothing was given")
    known, paintings = bundled("style"), bundled("painting")
    if text in paintings and method not in (AUTO, default_method("pictures")):
        text = str(ASSETS / "paintings" / paintings[text].file)
    elif text in known:
        text = str(ASSETS / "styles" / known[text].file)
    path = Path(text)
    if path.suffix.lower() == ".safetensors":
        return _from_style_file(path)
    if not path.exists() and "," in text:
        given = " ".join(f"-s {part.strip()}" for part in text.split(","))
        raise StyleError(f"there is no style {text!r}; several styles are given one by one: {given}")
    if not path.exists() and not path.suffix:
        raise StyleError(f"{unknown('style', text, known)}; or give a picture, or a style file")
    pixels = read_picture(path, max_pixels=max_megapixels * 1_000_000).pixels
    if max(pixels.shape[-2:]) > STYLE_KEEP:
        pixels = resize(pixels, fit_within((pixels.shape[-2], pixels.shape[-1]), STYLE_KEEP))
    if min(pixels.shape[-2:]) < 8:
        raise StyleError(f"{path} has {pixels.shape[-1]}x{pixels.shape[-2]} pixels, too few to show a style")
    return Style(as_plain_name(path.stem), pixels[None]), AUTO


def _from_style_file(path: Path) -> tuple[Style, str]:
    file = read_style(path)
    name, method = file.record.name, file.record.method
    if method not in methods():
        raise StyleError(f"{path} is for the method {method!r}, which this version does not have")
    if not find_method(method).keeps_picture:
        return Style(name, file=file), method
    picture = file.tensors.get("picture")
    if picture is None or picture.dtype != torch.uint8 or picture.ndim != 4 or picture.shape[:2] != (1, 3) or min(picture.shape[2:]) < 8:
        raise StyleError(f"{path} holds no style picture, which the method {method!r} needs")
    return Style(name, picture.float() / 255), method


def save_style(style: PathLike, output: PathLike, *, name: str | None = None, licence: str = "not stated", source: str = "") -> Path:
    """Make a style file from a picture for methods that need the picture itself (gatys): self-contained, with its record.

    Raises StyleError or PictureError.
    """
    target = Outputs([style]).asked(output)
    found, _ = find_style(style, method="gatys")
    (picture,) = StyleSource([found]).pictures
    record = StyleRecord(
        checked_name(name) or found.name, "gatys", licence=licence, source=source or str(Path(style).name), impasto_version=__version__
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
    pictures. controls.options: settings of `impasto.methods.metastyle.adaptation.Adaptation` and its training, by name, such as
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
    found, bound = find_style(painting, method="gatys", max_megapixels=controls.max_megapixels)
    if bound != AUTO:
        raise StyleError(f"{painting} is a style file already; a picture is what is learned")
    check_options(find_method("metastyle"), controls, StyleSource([found]))
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
    source, _ = gather_styles(styles, weights, Controls(method="metastyle"))
    files = [style.file for style in source.styles if style.file is not None]
    if len(files) != len(source.styles):
        raise StyleError("only trained styles are mixed into a file: impasto adapt makes one of a picture")
    shares = [1.0] * len(files) if weights is None else list(weights)
    parts = {style.name: round(share / sum(shares), 4) for style, share in zip(source.styles, shares, strict=True)}
    record = StyleRecord(
        name or source.name,
        "metastyle",
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


def gather_styles(
    styles: Sequence[PathLike], weights: Sequence[float] | None, controls: Controls, preferred: str = AUTO
) -> tuple[StyleSource, Controls]:
    """Several styles as one source, and the controls with the method that a style file binds to.

    preferred: the method where neither controls nor styles name one. Raises InputError.
    """
    if not styles:
        raise InputError("no style was given")
    if weights is not None and (len(weights) != len(styles) or not all(0 <= w < math.inf for w in weights) or sum(weights) <= 0):
        raise InputError("each style needs a weight of at least 0, and not all of them may be 0")
    implied = implied_method(controls, preferred)
    guessed, controls = implied != controls.method, replace(controls, method=implied)
    found = [find_style(style, method=controls.method, max_megapixels=controls.max_megapixels) for style in styles]
    bound = {method for _, method in found if method != AUTO}
    if len(bound) > 1:
        raise InputError(f"these styles need different methods ({', '.join(sorted(bound))}) and cannot be used together")
    if controls.method not in (AUTO, *bound) and bound:
        if guessed:
            check_options(find_method(next(iter(bound))), controls, StyleSource([style for style, _ in found]))
        name = next(style.name for style, method in found if method != AUTO)
        raise InputError(f"{name} is a trained style of {bound.pop()}; {controls.method} needs the picture that it was learned from")
    if bound:
        controls = replace(controls, method=bound.pop())
    return StyleSource([style for style, _ in found], weights), controls


def steady_versions(styles: Sequence[PathLike], controls: Controls) -> list[PathLike]:
    """The styles for films: a bundled one that is bundled for films too, as NAME-film, is taken as that, unless something else is asked."""
    known = bundled("style")
    if controls.stabilize not in (AUTO, "student") or controls.method not in (AUTO, "metastyle"):
        return list(styles)
    return [f"{style}-film" if os.fspath(style) in known and f"{style}-film" in known else style for style in styles]


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
    with between_steps(listener) as noticed:
        return _stylize(
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
            noticed,
            on_file,
            on_regions,
        )


def _stylize(
    inputs: Sequence[PathLike],
    styles: Sequence[PathLike],
    output: PathLike | None,
    weights: Sequence[float] | None,
    asked: RegionRequest,
    frames: bool,
    controls: Controls,
    listener: Listener,
    on_file: Callable[[int, int, Path], None],
    on_regions: Callable[[Regions], None],
) -> Summary:
    source, controls = gather_styles(styles, weights, controls, asked.method or AUTO)
    names = steady_versions(styles, controls)
    steady = source if names == list(styles) else gather_styles(names, weights, controls)[0]
    beside = [*styles, *asked.masks, *asked.style_masks, *files_of(controls)]
    planned = plan(inputs, output, source.name, frames=frames, regions=asked.show, beside=beside)
    jobs = planned.jobs
    if asked.masks and len(jobs) != 1:
        raise InputError("a mask belongs to one photo, and there are several")
    check_effects(controls, jobs)
    place = choose_place(controls.device, controls.precision)
    stamps = " ".join(f"{path} {stamp(path)}" for path in files_of(controls))

    def paint(own: list[Job], first: int, style: StyleSource, masks: Tensor | None) -> Summary:
        outcomes: list[Outcome] = []
        for moving, group in groupby(own, key=lambda job: job.moving):
            own_style = steady if moving and style is source else style
            stylizer = (make_film_stylizer if moving else make_stylizer)(own_style, controls, place, listener)
            before, told = first + len(outcomes), f"{own_style.identity} {stamps}"
            count = lambda index, _, path, before=before: on_file(before + index, len(jobs), path)  # noqa: E731
            done = run(stylizer, list(group), controls, place, masks=masks, identity=told, on_file=count, listener=listener)
            outcomes += done.outcomes
            if done.interrupted:
                return Summary(outcomes, True, planned.left_out)
        return Summary(outcomes, False, planned.left_out)

    if not asked.matching:
        return paint(jobs, 0, source, asked.shares(jobs[0], source, controls).to(place.device) if asked.masks else None)
    outcomes: list[Outcome] = []
    for number, job in enumerate(jobs):
        try:
            found = asked.matched(job, source, controls, place)
        except KeyboardInterrupt:
            return Summary(outcomes, True, planned.left_out)
        except Exception as error:
            outcomes.append(Outcome(job.source, error=as_sentence(error, job.source)))
            continue
        on_regions(found)
        summary = paint([job], number, with_regions(source, found), found.content.to(place.device))
        outcomes += summary.outcomes
        if summary.interrupted:
            return Summary(outcomes, True, planned.left_out)
    return Summary(outcomes, False, planned.left_out)


def files_of(controls: Controls) -> list[Path]:
    """The files that the controls name: other networks."""
    options = controls.options or {}
    named = [controls.encoder, *(options[name] for name in ("decoder", "solver") if options.get(name))]
    return [Path(name) for name in named if Path(name).is_file()]


def check_effects(controls: Controls, jobs: Sequence[Job]) -> None:
    """No control is silently without effect. Raises InputError."""
    if not any(job.moving for job in jobs):
        for name in ("rate", "consistency"):
            if name in (controls.options or {}):
                raise InputError(f"{option(name)} is for films, and there is none")
        if controls.stabilize != AUTO:
            raise InputError("--stabilize is for films, and there is none")
    if controls.keep_metadata and all(job.moving for job in jobs):
        raise InputError("--keep-metadata is for photos, and there is none")


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
    controls = controls or Controls()
    source, controls = gather_styles(steady_versions(styles, controls), weights, controls)
    place, reader = choose_place(controls.device, controls.precision), RawReader(incoming, size)
    painted_size = film_size(reader.info, controls, "the pipe")
    stylizer = make_film_stylizer(source, controls, place, listener)
    on_size(painted_size)
    number = 0
    for number, (_, picture) in enumerate(painted_frames(stylizer, reader, painted_size, controls, place), 1):
        try:
            write_raw(outgoing, picture)
        except BrokenPipeError:
            return number, "whoever read the frames is gone"
    return number, reader.problem


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
    controls = replace(controls or Controls(), method="solver")
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
