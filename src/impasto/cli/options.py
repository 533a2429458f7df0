"""Options of the command line: those that several commands share, and those that come from the settings of methods."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from impasto.cli.choices import Choice, choice_of, with_parameters
from impasto.errors import InputError
from impasto.methods.declaration import Method
from impasto.methods.table import methods
from impasto.settings import Controls, typed

DEFAULT = Controls()


def rarely(help: str, *flags: str, **more: Any) -> Any:
    """An option that few people need, in a panel of help of its own."""
    return typer.Option(*flags, help=help, rich_help_panel="For all methods", **more)


Encoder = Annotated[str, rarely("Network that sees: compact, vgg19, or a safetensors file.")]
Device = Annotated[str, rarely("auto, cpu, cuda, cuda:1, mps.")]
Precision = Annotated[str, rarely("auto, float32, bfloat16, float16; to paint with learned networks also int8, with OpenVINO.")]
Backend = Annotated[
    str,
    rarely(
        "What learned networks run on: torch, openvino (--precision int8 there is the fastest) or onnx. "
        "auto: for films, of PyTorch and OpenVINO what is faster here; for photos PyTorch."
    ),
]
Inputs = Annotated[
    list[Path],
    typer.Argument(help="Photos, films, or folders of them; - for raw frames from a pipe, with --raw-size.", show_default=False),
]
Styles = Annotated[
    list[str],
    typer.Option("--style", "-s", help="A picture, a style file or a bundled name; several with weights as NAME:0.7.", show_default=False),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        help="A file, or a folder, with / at its end to be sure. (default: PHOTO-STYLE.png or FILM-STYLE.mp4 here)",
        show_default=False,
    ),
]
Memory = Annotated[
    str | None,
    rarely(
        "What painting a photo may take in all, as 4G; larger ones are painted by tiles. (default: half of what is free)",
        show_default=False,
    ),
]
Exact = Annotated[bool, rarely("Tiles have the statistics of the whole photo: slower, and the same as in one piece.", "--exact")]


OfAll = Annotated[
    str | None,
    rarely(
        "Paint one part of all, such as 3/8: every eighth photo from the third on, and the third of eight stretches of each film; "
        "impasto join puts films together.",
        show_default=False,
    ),
]


OnCluster = Annotated[
    str | None,
    rarely(
        "Work on a Ray cluster: HOST:PORT, or auto for the one of this machine, begun if there is none. Files go by name where its "
        "machines see them, else by their bytes; the same command resumes.",
        show_default=False,
    ),
]


Again = Annotated[bool, rarely("Paint again what lies there already, made from the same input with the same settings.", "--again")]


def chosen(options: dict[str, Any]) -> dict[str, Any]:
    """The options that were given; the others keep their default, which lives in the library."""
    return {key: value for key, value in options.items() if value is not None}


def split_weights(styles: list[str]) -> tuple[list[str], list[float] | None]:
    """Take `NAME:WEIGHT` apart; all styles have a weight or none. Raises InputError for a mixture."""
    names, weights = [], []
    for style in styles:
        name, colon, weight = style.rpartition(":")
        try:
            weights.append(float(weight) if colon else None)
            names.append(name if colon else style)
        except ValueError:
            weights.append(None)
            names.append(style)
    if all(weight is None for weight in weights):
        return names, None
    if any(weight is None for weight in weights):
        raise InputError("give every style a weight, as in --style a.jpg:0.3 --style b.jpg:0.7, or none")
    return names, [weight for weight in weights if weight is not None]


def method_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameter `options` collects the options of all methods: one for each setting, in a panel of help for each method.

    A name that several methods have is one option, in the panel of the first; its help names them all with their defaults.
    """
    shared = [parameter for parameter in inspect.signature(command).parameters.values() if parameter.name != "options"]
    taken = {parameter.name for parameter in shared}
    found = {name: owners for name, owners in _owners().items() if name not in taken}
    choices = {name: replace(owners[0].choice, help=_help(owners)) for name, owners in found.items()}
    panels = {name: f"Of {owners[0].method.name}: {owners[0].method.title}" for name, owners in found.items()}

    @wraps(command)
    def run(**typed: Any) -> None:
        options = {name: choice.value(typed.pop(name)) for name, choice in choices.items()}
        command(**typed, options=chosen(options))

    return with_parameters(run, [*shared, *(choice.parameter(panels[name]) for name, choice in choices.items())])


@dataclass(frozen=True)
class _Owner:
    """A setting of one method, with its default."""

    method: Method
    choice: Choice
    default: Any = None


def _owners() -> dict[str, list[_Owner]]:
    found: dict[str, list[_Owner]] = {}
    for method in methods().values():
        for item in method.fields:
            if item.metadata["shown"]:
                found.setdefault(item.name, []).append(_Owner(method, choice_of(item, method.options[item.name]), item.default))
        for name, more in method.more.items():
            found.setdefault(name, []).append(_Owner(method, Choice(name, more.kind, more.help)))
    return found


def _help(owners: Sequence[_Owner]) -> str:
    first = owners[0]
    parts = [first.choice.help]
    others = [owner.method.name for owner in owners[1:]]
    if others:
        parts.append(f"Also of {', '.join(others)}.")
    defaults = {owner.method.name: typed(owner.default) for owner in owners if owner.default is not None and owner.choice.flag is None}
    if len(owners) > 1 and (len(defaults) < len(owners) or len(set(defaults.values())) > 1):
        parts += [f"(default: {', '.join(f'{name} {value}' for name, value in defaults.items())})"] * bool(defaults)
    elif defaults:
        parts.append(f"(default: {next(iter(defaults.values()))})")
    return " ".join(parts)


def usual_style_sizes() -> str:
    """What the methods bring style pictures to: those that differ by name, and what is usual with the others."""
    named = [f"{method.name} {method.style_size}" for method in methods().values() if method.style_size != Method.style_size]
    return ", ".join([*named, f"others {Method.style_size}"])
