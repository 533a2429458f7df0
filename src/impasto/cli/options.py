"""Options of the command line: those that several commands share, and those that come from the settings of methods."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import typer

from impasto.errors import InputError, option
from impasto.methods.declaration import Method
from impasto.methods.table import methods
from impasto.settings import Controls, choices_of

DEFAULT = Controls()


def rarely(help: str, *flags: str, **more: Any) -> Any:
    """An option that few people need, in a panel of help of its own."""
    return typer.Option(*flags, help=help, rich_help_panel="For all methods", **more)


Encoder = Annotated[str, rarely("Network that sees: compact, vgg19, or a safetensors file.")]
Device = Annotated[str, rarely("auto, cpu, cuda, cuda:1, mps.")]
Precision = Annotated[str, rarely("auto, float32, bfloat16, float16.")]


def chosen(given: dict[str, Any]) -> dict[str, Any]:
    """The options that were given; the others keep their default, which lives in the library."""
    return {key: value for key, value in given.items() if value is not None}


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


def whole_numbers(text: str, what: str) -> tuple[int, ...]:
    """`16,32,64` as numbers. Raises InputError."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{what} are numbers with commas between, not {text!r}") from None


def numbers(text: str, name: str, form: str = "") -> tuple[float, ...]:
    """`1,1,1,0,0` as numbers, of the option of a setting. Raises InputError that says how it is written."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option(name)} takes {form or 'numbers with commas between'}, not {text!r}") from None


def method_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameter `options` collects the options of all methods: one for each setting, in a panel of help for each method.

    A name that several methods have is one option, in the panel of the first; its help names them all with their defaults.
    """
    shared = [parameter for parameter in inspect.signature(command).parameters.values() if parameter.name != "options"]
    taken = {parameter.name for parameter in shared}
    found = {name: owners for name, owners in _owners().items() if name not in taken}
    parameters = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=_none(owners), annotation=_annotation(name, owners))
        for name, owners in found.items()
    ]

    @wraps(command)
    def run(**given: Any) -> None:
        options = {name: _value(name, owners, given.pop(name)) for name, owners in found.items()}
        command(**given, options=chosen(options))

    run.__signature__ = inspect.Signature([*shared, *parameters])  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in [*shared, *parameters]} | {"return": None}
    return run


@dataclass(frozen=True)
class _Owner:
    """A setting of one method: its type, help and default, the value that its bare option stands for, and how a sequence is written."""

    method: Method
    kind: Any
    help: str
    default: Any = None
    flag: Any = None
    form: str = ""


def _owners() -> dict[str, list[_Owner]]:
    found: dict[str, list[_Owner]] = {}
    for method in methods().values():
        for item in method.fields:
            told = item.metadata
            if told["shown"]:
                owner = _Owner(method, method.options[item.name], told["help"], item.default, told["flag"], told["form"])
                found.setdefault(item.name, []).append(owner)
        for name, more in method.more.items():
            found.setdefault(name, []).append(_Owner(method, more.kind, more.help))
    return found


def _none(owners: Sequence[_Owner]) -> Any:
    return False if owners[0].flag is not None else None


def _annotation(name: str, owners: Sequence[_Owner]) -> Any:
    first = owners[0]
    panel = f"Of {first.method.name}: {first.method.title}"
    given = typer.Option(option(name), help=_help(owners), show_default=False, rich_help_panel=panel)
    if first.flag is not None:
        return Annotated[bool, given]
    kind = _plain(first.kind)
    if kind is Path:
        return Annotated[list[Path] | None, given]
    return Annotated[(kind if kind in (int, float) else str) | None, given]


def _help(owners: Sequence[_Owner]) -> str:
    first = owners[0]
    parts = [first.help]
    choices = choices_of(first.kind)
    if choices:
        parts.append(f"One of {', '.join(choices)}.")
    others = [owner.method.name for owner in owners[1:]]
    if others:
        parts.append(f"Also of {', '.join(others)}.")
    defaults = {owner.method.name: _shown(owner.default) for owner in owners if owner.default is not None and owner.flag is None}
    if len(owners) > 1 and (len(defaults) < len(owners) or len(set(defaults.values())) > 1):
        parts += [f"(default: {', '.join(f'{name} {value}' for name, value in defaults.items())})"] * bool(defaults)
    elif defaults:
        parts.append(f"(default: {next(iter(defaults.values()))})")
    return " ".join(parts)


def _shown(value: Any) -> str:
    return ",".join(f"{part:g}" if isinstance(part, float) else str(part) for part in (value if isinstance(value, tuple) else (value,)))


def _plain(kind: Any) -> Any:
    """The type of one value: int of `int | None`, Path of `Sequence[Path]`, `tuple` of other sequences."""
    parts = [part for part in get_args(kind) if part is not NoneType]
    if get_origin(kind) in (tuple, Sequence) or getattr(get_origin(kind), "__name__", "") == "Sequence":
        return Path if parts[0] is Path else tuple
    if get_origin(kind) is not None and NoneType in get_args(kind):
        return parts[0]
    return kind


def _value(name: str, owners: Sequence[_Owner], given: Any) -> Any:
    first = owners[0]
    if first.flag is not None:
        return first.flag if given else None
    if given is None or _plain(first.kind) is not tuple:
        return given
    if get_args(first.kind)[0] is float:
        return numbers(given, name, first.form)
    return tuple(part.strip() for part in given.split(","))
