"""The one table from a method's name to what makes its stylizer. A new method is a folder and a line here."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from torch import Tensor

from impasto.distillation.losses import temporal_loss
from impasto.distillation.network_file import TEACHER, from_teacher_file
from impasto.distillation.teacher import Teacher
from impasto.errors import InputError, StyleError, option, unknown
from impasto.events import Listener, silence
from impasto.metastyle.adaptation import FOR_FILMS, FOR_PHOTOS, Adaptation
from impasto.metastyle.library import learned, network_of
from impasto.metastyle.mixing import mix
from impasto.metastyle.stylizer import MetaStyle
from impasto.perception.encoder import Encoder
from impasto.reference.gatys import Gatys, GatysSettings
from impasto.reference.neural_doodle import DoodleSettings, NeuralDoodle
from impasto.runtime.device import Place
from impasto.runtime.encoders import load_encoder, load_loss
from impasto.runtime.steadied import EachFrame, Steadied
from impasto.runtime.stylizer import Stylizer
from impasto.semantic.decoder import Decoder
from impasto.semantic.network_file import load_decoder
from impasto.semantic.transfer import SemanticSettings, SemanticTransfer, StyleSwap
from impasto.settings import AUTO, Controls
from impasto.solver.network_file import SOLVER, load_solver
from impasto.solver.solver import Solver, Steering
from impasto.styles.file import StyleFile, checksum
from impasto.training.painter import PainterTraining


@dataclass(frozen=True)
class Style:
    """One style: a picture (1, 3, h, w) in [0, 1], or the style file that a method made of one."""

    name: str
    picture: Tensor | None = None
    file: StyleFile | None = None


@dataclass(frozen=True)
class StyleSource:
    """What a stylizer is made from: styles with weights and, for regions, masks (1, K, h, w) of their pictures."""

    styles: Sequence[Style]
    weights: Sequence[float] | None = None
    masks: Sequence[Tensor] | None = None

    @property
    def name(self) -> str:
        """The names of all styles, for the name of a result."""
        return "-".join(dict.fromkeys(style.name for style in self.styles))

    @property
    def identity(self) -> str:
        """A checksum of everything that makes the style."""
        tensors = {f"picture {n}": style.picture for n, style in enumerate(self.styles) if style.picture is not None}
        tensors |= {f"mask {n}": mask for n, mask in enumerate(self.masks or ())}
        for number, style in enumerate(self.styles):
            tensors |= {f"file {number} {name}": value for name, value in (style.file.tensors if style.file else {}).items()}
        return f"{checksum(tensors)} {list(self.weights or ())}"

    @property
    def pictures(self) -> list[Tensor]:
        """The style pictures. Raises StyleError for a style whose picture is not at hand."""
        for style in self.styles:
            if style.picture is None:
                raise StyleError(f"the style {style.name!r} is a trained network without its picture, which this method needs")
        return [style.picture for style in self.styles if style.picture is not None]


@dataclass(frozen=True)
class Method:
    """One line of the table. make builds the stylizer from styles, controls, a place and a listener.

    options: names of its settings, as in `Controls.options`, with what each may be. learns: whether a style picture is enough for it;
    otherwise it needs a style file. slow: left out where all methods are measured, unless it is named.
    """

    name: str
    title: str
    paper: str
    make: Callable[[StyleSource, Controls, Place, Listener], Stylizer]
    options: Mapping[str, Any] = field(default_factory=dict)
    learns: bool = True
    slow: bool = False


def _gatys(source: StyleSource, controls: Controls, place: Place, listener: Listener) -> Stylizer:
    options = dict(controls.options or {})
    loss = load_loss(controls.encoder, options.pop("loss", "impasto"), place)
    weights = {key: options.pop(key) for key in ("content_weight", "tv_weight") if key in options}
    settings = GatysSettings(strength=controls.strength, style_size=controls.style_size, seed=controls.seed, **options)
    return Gatys(loss.with_weights(**weights), source.pictures, settings, source.weights, source.masks, listener)


def adaptation(controls: Controls) -> tuple[Adaptation, list[Path] | None]:
    """How the controls want a painting to be learned, and the folders of photos to learn it on. Raises InputError."""
    options = dict(controls.options or {})
    photos = options.pop("photos", None)
    usual = FOR_FILMS if options.get("film") else FOR_PHOTOS
    training = {key: options.pop(key) for key in [*options] if key in {item.name for item in fields(PainterTraining)}}
    size = usual.style_size if controls.style_size is None else controls.style_size
    return replace(usual, training=replace(usual.training, seed=controls.seed, **training), style_size=size, **options), photos


def _metastyle(source: StyleSource, controls: Controls, place: Place, listener: Listener) -> Stylizer:
    if source.masks is not None:
        raise InputError("metastyle paints whole pictures; for regions choose --method semantic or solver")
    settings, photos = adaptation(controls)
    if all(style.file is not None for style in source.styles):
        _check_learned(source, controls)
    networks = []
    for style in source.styles:
        file = style.file
        if file is None:
            assert style.picture is not None
            file = learned(
                style.name,
                [style.picture],
                settings,
                encoder=controls.encoder,
                place=place,
                photos=photos,
                temporal=temporal_loss,
                listener=listener,
            )
        networks.append(network_of(file))
    return MetaStyle(mix(networks, source.weights) if len(networks) > 1 else networks[0], place, strength=controls.strength)


def _check_learned(source: StyleSource, controls: Controls) -> None:
    """What says how a picture is learned would be without effect on networks. Raises InputError."""
    given = list(controls.options or {})
    given += ["style_size"] * (controls.style_size is not None) + ["encoder"] * (controls.encoder != Controls.encoder)
    if given:
        raise InputError(f"{option(given[0])} says how a picture is learned, and {source.name} is learned already")


def _johnson(source: StyleSource, controls: Controls, place: Place, listener: Listener) -> Stylizer:
    if any(style.file is None for style in source.styles):
        raise InputError("johnson trains a network for hours before it paints: impasto train johnson PICTURE makes the style file")
    return _metastyle(source, controls, place, listener)


def _distillation(source: StyleSource, controls: Controls, place: Place, listener: Listener) -> Stylizer:
    files = [style.file for style in source.styles]
    if any(file is None for file in files):
        raise InputError(
            "distillation trains a network for a long time before it paints: impasto train student PICTURE makes the style file; "
            "impasto adapt PICTURE --for video makes a steady one in a minute"
        )
    if not any(file is not None and file.record.network == TEACHER for file in files):
        return _metastyle(source, controls, place, listener)
    if len(files) > 1 or files[0] is None:
        raise InputError("a teacher paints one style, and several were given")
    if source.masks is not None:
        raise InputError("distillation paints whole pictures; for regions choose --method semantic or solver")
    return Teacher(from_teacher_file(files[0]), place, strength=controls.strength)


def _solver(source: StyleSource, controls: Controls, place: Place, listener: Listener) -> Stylizer:
    options = dict(controls.options or {})
    network = load_solver(str(options.pop("solver", SOLVER)))
    steering = Steering(strength=controls.strength, shares=source.weights, **options)
    encoder = network.encoder if controls.encoder == Controls.encoder else controls.encoder
    return Solver(network, load_encoder(encoder, place), place, source.pictures, source.masks, controls.style_size, steering)


def _coded(options: dict[str, Any], controls: Controls, place: Place) -> tuple[Decoder, Encoder]:
    """The encoder that the controls name, and its decoder."""
    encoder = load_encoder(controls.encoder, place)
    return load_decoder(encoder, options.pop("decoder", None)), encoder


def _semantic(source: StyleSource, controls: Controls, place: Place, listener: Listener) -> Stylizer:
    options = dict(controls.options or {})
    decoder, encoder = _coded(options, controls, place)
    settings = SemanticSettings(strength=controls.strength, **options)
    return SemanticTransfer(decoder, encoder, place, source.pictures, source.masks, source.weights, controls.style_size, settings)


def _patch_swap(source: StyleSource, controls: Controls, place: Place, listener: Listener) -> Stylizer:
    if len(source.styles) > 1:
        raise InputError("patch-swap takes the patches of one style picture, and several were given")
    options = dict(controls.options or {})
    decoder, encoder = _coded(options, controls, place)
    mask = source.masks[0] if source.masks else None
    return StyleSwap(decoder, encoder, place, source.pictures[0], mask, controls.style_size, controls.strength, **options)


def _doodle(source: StyleSource, controls: Controls, place: Place, listener: Listener) -> Stylizer:
    if len(source.styles) > 1:
        raise InputError("doodle takes the patches of one style picture, and several were given")
    settings = DoodleSettings(strength=controls.strength, style_size=controls.style_size, **(controls.options or {}))
    mask = source.masks[0] if source.masks else None
    return NeuralDoodle(load_encoder(controls.encoder, place, pool="avg"), source.pictures[0], mask, settings, listener)


def _settings(*groups: type, without: Sequence[str] = (), **more: Any) -> dict[str, Any]:
    """Names and types of a method's own settings; those that all methods share are in `Controls`."""
    shared = {"strength", "style_size", "seed", *without}
    hints = {name: hint for group in groups for name, hint in get_type_hints(group).items()}
    return {item.name: hints[item.name] for group in groups for item in fields(group) if item.name not in shared} | more


METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "metastyle",
            "a network that learns the style in seconds, then paints in real time",
            "Zhang, Zhu and Zhu, MetaStyle: Three-Way Trade-Off Among Speed, Flexibility, and Quality in Neural Style Transfer, AAAI 2019",
            _metastyle,
            _settings(Adaptation, PainterTraining, without=["training"], photos=Sequence[Path]),
        ),
        Method(
            "solver",
            "a network for any style at once, steered at run time: scales, mixing, masks, photo-realism, films",
            "Puy and Perez, A Flexible Convolutional Solver for Fast Style Transfers, CVPR 2019",
            _solver,
            _settings(Steering, without=["shares"], solver=str),
        ),
        Method(
            "semantic",
            "matching regions of photo and painting, in one pass: masks, or regions found by itself",
            "Lu et al., Decoder Network over Lightweight Reconstructed Feature for Fast Semantic Style Transfer, ICCV 2017",
            _semantic,
            _settings(SemanticSettings, decoder=str),
        ),
        Method(
            "patch-swap",
            "the photo's features, made of patches of the painting's",
            "Chen and Schmidt, Fast Patch-based Style Transfer of Arbitrary Style, 2016",
            _patch_swap,
            {"decoder": str, "layer": str, "size": int},
        ),
        Method(
            "gatys",
            "optimisation of the picture, any style, the best quality, seconds to minutes",
            "Gatys, Ecker and Bethge, Image Style Transfer Using Convolutional Neural Networks, CVPR 2016; "
            "Gatys et al., Controlling Perceptual Factors in Neural Style Transfer, CVPR 2017",
            _gatys,
            _settings(GatysSettings, loss=str, content_weight=float, tv_weight=float),
        ),
        Method(
            "doodle",
            "optimisation by patches of matching regions, minutes to hours",
            "Champandard, Semantic Style Transfer and Turning Two-Bit Doodles into Fine Artworks, 2016",
            _doodle,
            _settings(DoodleSettings),
            slow=True,
        ),
        Method(
            "distillation",
            "stable films: a student without optical flow, and its teacher with it; from style files only",
            "Chen et al., Optical Flow Distillation: Towards Efficient and Stable Video Style Transfer, ECCV 2020",
            _distillation,
            learns=False,
        ),
        Method(
            "johnson",
            "a network per style, trained from scratch on photos for hours; from style files only",
            "Johnson, Alahi and Fei-Fei, Perceptual Losses for Real-Time Style Transfer and Super-Resolution, ECCV 2016",
            _johnson,
            learns=False,
        ),
    )
}


def default_method(source: StyleSource) -> str:
    """What "auto" means for style pictures: the fastest method that can do what is asked."""
    return "metastyle" if source.masks is None else "semantic"


def implied_method(controls: Controls, preferred: str = AUTO) -> str:
    """The method that the controls name; else `preferred`, or the one that their options belong to. Raises InputError if there is none."""
    if controls.method != AUTO:
        return _of_table(controls.method).name
    given = set(controls.options or {})
    able = [method.name for method in METHODS.values() if given <= set(method.options)]
    if not able:
        for name in sorted(given):
            _check_shared(name)
            if not any(name in method.options for method in METHODS.values()):
                raise InputError(unknown("setting", name, sorted({name for method in METHODS.values() for name in method.options})))
        parts = "; ".join(f"{option(name)} belongs to --method {_owners(name)}" for name in sorted(given))
        raise InputError(f"no method has all of these: {parts}")
    usual = "metastyle" if preferred == AUTO else preferred
    return preferred if usual in able else able[0]


def _of_table(name: str) -> Method:
    if name not in METHODS:
        raise InputError(unknown("method", name, METHODS))
    return METHODS[name]


def _owners(name: str) -> str:
    return " or ".join(method.name for method in METHODS.values() if name in method.options)


def check_options(method: Method, controls: Controls, source: StyleSource) -> None:
    """Every option is one that the method has, and of its type. Raises InputError that says whose it is."""
    for name, value in (controls.options or {}).items():
        if name not in method.options:
            _check_shared(name)
            trained = any(style.file is not None for style in source.styles) and method.name in _NETWORKS
            because = f"and {source.name} is a trained style of {method.name}" if trained else f"not to {method.name}"
            if not _owners(name):
                raise InputError(unknown(f"setting of {method.name}", name, sorted(method.options)))
            raise InputError(f"{option(name)} belongs to --method {_owners(name)}, {because}")
        if not _is_of(value, method.options[name]):
            raise InputError(f"{option(name)} cannot be {value!r}")


def _check_shared(name: str) -> None:
    if name in {item.name for item in fields(Controls)}:
        raise InputError(f"{name} is a control of all methods, not an option of one: Controls({name}=...)")


def _is_of(value: object, hint: Any) -> bool:
    """Whether a value is what a type hint says; numbers are finite."""
    parts = get_args(hint)
    if isinstance(hint, UnionType) or get_origin(hint) is Union:
        return any(_is_of(value, part) for part in parts)
    if hint is None or hint is type(None):
        return value is None
    origin = get_origin(hint) or hint
    if origin is bool:
        return isinstance(value, bool)
    if origin in (int, float):
        numeric = isinstance(value, int if origin is int else (int, float)) and not isinstance(value, bool)
        return numeric and math.isfinite(value)  # type: ignore[arg-type]
    if origin is str:
        return isinstance(value, (str, os.PathLike))
    if origin is tuple or origin is Sequence:
        inner = parts[0] if parts else object
        return isinstance(value, Sequence) and not isinstance(value, str) and all(_is_of(part, inner) for part in value)
    if origin is Path:
        return isinstance(value, (str, os.PathLike))
    return True


STABILIZE = (AUTO, "none", "student", "flow")
"""How films are held still."""

_NETWORKS = ("metastyle", "distillation", "johnson")


def is_steady(file: StyleFile) -> bool:
    """Whether the network of a style file learned to hold films still by itself."""
    settings = file.record.settings
    student = file.record.method == "distillation" and file.record.network != TEACHER
    return student or bool(settings.get("film") or settings.get("adaptation", {}).get("film"))


def make_film_stylizer(source: StyleSource, controls: Controls, place: Place, listener: Listener = silence) -> Stylizer:
    """The stylizer for films: as `make_stylizer`, held still as `controls.stabilize` says. Raises InputError.

    "student": networks alone; a style picture is learned for films, a style file has to have been. "flow": a stylizer that knows how to
    use optical flow (solver, a teacher) does, any other keeps a share of the frame before. "none": each frame for itself. "auto":
    student where there is one, flow for other networks and the solver, otherwise none.
    """
    wanted, name = controls.stabilize, default_method(source) if controls.method == AUTO else controls.method
    if wanted not in STABILIZE:
        raise InputError(unknown("way to hold films still", wanted, STABILIZE))
    unsteady = [style.name for style in source.styles if style.file is not None and not is_steady(style.file)]
    teacher = any(style.file is not None and style.file.record.network == TEACHER for style in source.styles)
    if wanted == AUTO:
        networks = "flow" if unsteady else "student"
        wanted = networks if name in _NETWORKS else "flow" if name == "solver" else "none"
    if wanted == "student":
        if name not in _NETWORKS:
            raise InputError(
                f"{name} has no student: it paints a film by itself (--stabilize none) or with optical flow (--stabilize flow)"
            )
        if unsteady:
            raise InputError(
                f"the style {unsteady[0]!r} has not learned to hold films still without optical flow (--stabilize flow); "
                "impasto adapt PICTURE --for video learns it for films"
            )
        controls = replace(controls, options={"film": True, **(controls.options or {})}) if _has_picture(source) else controls
        return make_stylizer(source, controls, place, listener)
    if name == "solver" and wanted == "none":
        controls = replace(controls, options={"consistency": 0.0, **(controls.options or {})})
    stylizer = make_stylizer(source, controls, place, listener)
    if wanted == "none":
        return EachFrame(stylizer) if teacher else stylizer
    return stylizer if name == "solver" or teacher else Steadied(stylizer, place)


def _has_picture(source: StyleSource) -> bool:
    return any(style.file is None for style in source.styles)


def make_stylizer(source: StyleSource, controls: Controls, place: Place, listener: Listener = silence) -> Stylizer:
    """The stylizer of the method that the controls name. Raises InputError for an unknown name or setting."""
    method = _of_table(default_method(source) if controls.method == AUTO else controls.method)
    check_options(method, controls, source)
    return method.make(source, controls, place, listener)
