"""Settings as options of the command line: how they are declared, typed and shown."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, get_args, get_origin

import typer

from impasto.errors import InputError, option
from impasto.settings import choices_of


def numbers(text: str, name: str, form: str = "", kind: type = float) -> tuple[Any, ...]:
    """`1,1,1,0,0` as numbers, of the option of a setting. Raises InputError that says how it is written."""
    try:
        return tuple(kind(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{option(name)} takes {form or 'numbers with commas between'}, not {text!r}") from None


def numbers_by_name(parts: Sequence[str], name: str, form: str) -> dict[str, float]:
    """`residual=1,rank=0.25` as numbers by name; `none=0` is none of them. Raises InputError."""
    found = {}
    for part in ",".join(parts).split(","):
        key, equals, number = part.strip().partition("=")
        try:
            if part.strip():
                found[key] = float(number if equals else "nothing")
        except ValueError:
            raise InputError(f"{option(name)} takes {form}, not {part!r}") from None
    found.pop("none", None)
    return found


@dataclass(frozen=True)
class Choice:
    """What a setting is as an option: its type, its help, the value of its bare option, how a sequence or a switch is written."""

    name: str
    kind: Any
    help: str
    flag: Any = None
    form: str = ""

    def parameter(self, panel: str | None) -> inspect.Parameter:
        """The parameter of a command that it becomes, None or False if it is not given."""
        plain = _plain(self.kind)
        spelled = (self.form or f"{option(self.name)}/--no-{option(self.name)[2:]}") if plain is bool else option(self.name)
        wanted = typer.Option(spelled, help=self.help, show_default=False, rich_help_panel=panel)
        kind = list[Path] if plain is Path else list[str] if plain is Mapping else plain if plain in (int, float, bool) else str
        annotation = Annotated[kind | None, wanted] if self.flag is None else Annotated[bool, wanted]
        default = None if self.flag is None else False
        return inspect.Parameter(self.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)

    def value(self, typed: Any) -> Any:
        """What was typed as the setting's value; None if it was not given. Raises InputError."""
        if self.flag is not None:
            return self.flag if typed else None
        plain = _plain(self.kind)
        if typed is None or plain not in (tuple, Mapping):
            return typed
        if plain is Mapping:
            return numbers_by_name(typed, self.name, self.form)
        inner = _parts(self.kind)[0]
        if inner in (int, float):
            return numbers(typed, self.name, self.form, inner)
        return tuple(part.strip() for part in typed.split(","))


def with_parameters(run: Callable[..., None], parameters: Sequence[inspect.Parameter]) -> Callable[..., None]:
    """A function of keywords as a command of these parameters."""
    run.__signature__ = inspect.Signature(list(parameters))  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters} | {"return": None}
    return run


def choice_of(item: "Field[Any]", kind: Any) -> Choice:
    """A field of settings as an option; its help says what it can be."""
    words, names = item.metadata["help"], choices_of(kind)
    if names and "(default" not in words:
        words = f"{words} One of {', '.join(names)}."
    return Choice(item.name, kind, words, item.metadata["flag"], item.metadata["form"])


def _parts(kind: Any) -> list[Any]:
    """The types inside a type; of an optional one, those inside of what it is else."""
    parts = [part for part in get_args(kind) if part is not NoneType]
    return _parts(parts[0]) if NoneType in get_args(kind) else parts


def _plain(kind: Any) -> Any:
    """The type of one value: int of `int | None`, Path of `Sequence[Path]`, `tuple` of other sequences, `Mapping` of mappings."""
    if NoneType in get_args(kind):
        return _plain(next(part for part in get_args(kind) if part is not NoneType))
    origin = get_origin(kind)
    if origin in (tuple, Sequence):
        return Path if get_args(kind)[0] is Path else tuple
    return Mapping if origin is Mapping else kind
