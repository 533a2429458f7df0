"""Styles that are made: learned from a picture, mixed from others, or a picture kept with its record."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from impasto import __version__
from impasto.errors import InputError, ReplaceError, StyleError
from impasto.events import Listener
from impasto.files import check_folder
from impasto.job.request import PathLike
from impasto.job.resolve import check_options, resolve
from impasto.job.styles import facts_of, find_style, gather_styles, is_steady
from impasto.methods.declaration import Style, StyleSource
from impasto.methods.gatys.method import METHOD as GATYS
from impasto.methods.metastyle.cache import MADE_OF, learned, made_of
from impasto.methods.metastyle.method import METHOD as METASTYLE
from impasto.methods.metastyle.method import adaptation
from impasto.methods.metastyle.settings import Adaptation
from impasto.methods.table import methods
from impasto.motion.temporal import temporal_loss
from impasto.names import is_plain_name
from impasto.networks.mixing import mix
from impasto.networks.style_network_file import bundled_start, network_of, to_style_file
from impasto.perception.style_sizes import mixed_statistics
from impasto.runtime.device import choose_place
from impasto.runtime.outputs import Outputs
from impasto.settings import Controls
from impasto.storage.style_file import StyleFile, StyleRecord, marked, read_style, write_style


def style_target(inputs: Sequence[PathLike], name: str, output: PathLike | None) -> Path:
    """Where a style file goes: where it was asked for, or NAME.safetensors in the current folder. Raises InputError or StyleError."""
    outputs = Outputs(inputs)
    target = outputs.only(f"{name}.safetensors") if output is None else outputs.asked(output)
    if target.suffix != ".safetensors" or target.is_dir():
        raise StyleError(f"cannot write {target}: a style file's name ends in .safetensors")
    check_folder(target)
    return target


def check_name(name: str | None) -> None:
    """A name for a style can be a file's name too. Raises InputError."""
    if name is not None and not is_plain_name(name):
        raise InputError(f"{name!r} cannot be the name of a style: it has to be able to be a file's name")


def keep_picture(style: PathLike, output: PathLike, name: str | None, licence: str, source: str) -> Path:
    """A style file that holds a picture itself, for methods that need it."""
    check_name(name)
    target = style_target([style], "", output)
    found = find_style(style, method=GATYS.name)
    (picture,) = StyleSource([found]).pictures
    record = StyleRecord(
        name or found.name, GATYS.name, licence=licence, source=source or str(Path(style).name), impasto_version=__version__
    )
    return write_style(target, StyleFile(record, {"picture": picture.mul(255).round().byte()}))


def learn_painting(
    painting: PathLike,
    output: PathLike | None,
    name: str | None,
    licence: str,
    source: str,
    photos: Sequence[PathLike] | None,
    controls: Controls,
    listener: Listener,
    *,
    force: bool = False,
) -> Path:
    """A style file with a network of its own, learned from a picture or taken from the cache.

    Raises ReplaceError, before anything is learned, for a file that is there and holds something else, unless `force` is given.
    """
    check_name(name)
    target = style_target([painting, *(photos or [])], name or Path(painting).stem, output)
    if not force:
        check_replaced(painting, target, photos, controls)
    found, settings, folders = _to_learn(painting, photos, controls)
    style = learned(
        name or found.name,
        StyleSource([found]).pictures,
        settings,
        encoder=controls.encoder,
        place=choose_place(controls.device, controls.precision),
        photos=folders,
        temporal=temporal_loss,
        listener=listener,
    )
    record = replace(style.record, name=name or found.name, licence=licence, source=source or Path(painting).name)
    return write_style(target, StyleFile(replace(record, impasto_version=__version__), style.tensors, style.statistics))


def _to_learn(painting: PathLike, photos: Sequence[PathLike] | None, controls: Controls) -> tuple[Style, Adaptation, list[Path] | None]:
    """A painting, how it is learned, and the folders of photos that it is learned on. Raises ImpastoError."""
    found = find_style(painting, method=GATYS.name, max_megapixels=controls.max_megapixels)
    if found.method is not None:
        raise StyleError(f"{painting} is a style file already; a picture is what is learned")
    check_options(METASTYLE, controls, [], methods())
    settings, folders = adaptation(controls)
    return found, settings, [Path(folder) for folder in photos] if photos is not None else folders


def check_replaced(painting: PathLike, target: Path, photos: Sequence[PathLike] | None, controls: Controls) -> None:
    """Whether a file that is there, if one is, was learned from this painting in this way. Raises ReplaceError if it was not."""
    if not target.exists():
        return
    found, settings, folders = _to_learn(painting, photos, controls)
    place = choose_place(controls.device, controls.precision)
    try:
        known = read_style(target).record.settings.get(MADE_OF)
    except StyleError:
        known = None
    if known != made_of(StyleSource([found]).pictures, settings, encoder=controls.encoder, place=place, photos=folders):
        raise ReplaceError(
            f"{target} is there already, and was not learned from this painting with these settings; "
            "give another output, or --force to replace it"
        )


def mix_styles(styles: Sequence[PathLike], weights: Sequence[float] | None, output: PathLike | None, name: str | None) -> Path:
    """The style file between several trained styles."""
    check_name(name)
    target = style_target(styles, name or "-".join(Path(style).stem for style in styles), output)
    source = gather_styles(styles, weights, Controls(method=METASTYLE.name))
    resolve(Controls(method=METASTYLE.name, quality="draft"), facts_of(source), methods())
    files = [style.file for style in source.styles if style.file is not None]
    if len(files) != len(source.styles):
        raise StyleError("only trained styles are mixed into a file: impasto adapt makes one of a picture")
    shares = [1.0] * len(files) if weights is None else list(weights)
    record = StyleRecord(
        name or source.name,
        METASTYLE.name,
        encoder=", ".join(dict.fromkeys(file.record.encoder for file in files)),
        licence="; ".join(dict.fromkeys(file.record.licence for file in files)),
        source="; ".join(dict.fromkeys(file.record.source for file in files)),
        settings={
            "mixed": {style.name: round(share / sum(shares), 4) for style, share in zip(source.styles, shares, strict=True)},
            "film": all(is_steady(file) for file in files),
        },
        impasto_version=__version__,
    )
    only_affine = all(set(file.tensors) == {"affine"} for file in files)
    network = mix([network_of(file) for file in files], shares)
    mixture = to_style_file(network, record, start=bundled_start() if only_affine else None)
    mixed = mixed_statistics([file.seen_by(Controls.encoder) for file in files], shares)
    return write_style(target, replace(mixture, statistics=marked(mixed, Controls.encoder)))
