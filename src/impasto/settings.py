"""What a user can turn, declared once: defaults, help, ranges, choices. Free of heavy imports: the command line reads it from here.

`Controls` are what all methods share. The settings of a method are a dataclass of its own, of fields made by `setting`; the options of the
command line, their panels of help, and the errors about them come from its fields.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from impasto.errors import InputError, option, unknown

AUTO = "auto"

BACKENDS = (AUTO, "torch", "openvino", "onnx")
"""What learned networks run on."""
INT8 = "int8"
"""The precision of eight bits, which only learned networks have, on OpenVINO; what is beside them is in the best precision."""

PHOTO_WEIGHT = 50.0
"""Weight of the matting Laplacian where a painted photo shall stay a photograph (Puy and Perez 2019, section 4.3)."""


PHOTO_SIDE, FILM_SIDE = 2048, 512
"""Longer sides, in pixels, that photos and films are painted at where no size is given; smaller ones keep theirs."""


@dataclass(frozen=True)
class Controls:
    """The controls that all methods share; see `impasto stylize --help`.

    method: "auto" or a name of `impasto.methods`.
    encoder: a registered name or a safetensors file.
    size: longer side of the painted picture in pixels; a smaller photo keeps its size, 0 keeps any; None for what is usual, see above.
    quality: "draft", what the method paints; "fine" or "best", finished by optimisation; "auto" is fine for photos and draft for films.
    stroke: shorter side of the painting against that of the picture, 1 if None; larger means larger strokes.
    style_size: shorter side that the style picture is brought to, None for what is usual with the method; larger means larger strokes.
    strength: 0 is the photo, 1 the full style.
    keep_color: None, "luma" or "coral".
    background: what transparency is laid on where a format cannot hold it, a colour's name or "#rrggbb".
    keep_metadata: keep EXIF, IPTC and XMP of photos; title, artist, dates, place, camera and timecode of videos. DPI are kept always.
    stabilize: how films are stabilised: "auto", "none", "student" (a network that learned it, without optical flow) or "flow".
    seed: for whatever is random.
    device: "auto", "cpu", "cuda", "cuda:1", "mps".
    backend: what learned networks run on: "auto", "torch", "openvino" or "onnx".
    precision: "auto", "float32", "bfloat16", "float16"; of learned networks "int8" too.
    memory: what painting a photo may take in all, such as "4G"; half of what is free if None. What needs more is painted by tiles.
    exact: tiles have the statistics of the whole picture, which takes several passes, instead of those of a sample.
    max_megapixels: larger pictures are refused.
    options: settings of the method itself, by name, e.g. {"iterations": 300}; their types and ranges are those of its fields.
    """

    method: str = AUTO
    encoder: str = "compact"
    size: int | None = None
    quality: str = AUTO
    stroke: float | None = None
    style_size: int | None = None
    strength: float = 1.0
    keep_color: str | None = None
    background: str = "white"
    keep_metadata: bool = False
    stabilize: str = AUTO
    seed: int = 0
    device: str = AUTO
    backend: str = AUTO
    precision: str = AUTO
    memory: str | None = None
    exact: bool = False
    max_megapixels: int = 100
    options: dict[str, Any] | None = None

    @property
    def strokes(self) -> float:
        """The stroke that is used: 1, the painting fills the picture, if nothing is said."""
        return 1.0 if self.stroke is None else self.stroke


def setting(
    default: Any,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    says: str = "",
    flag: Any = None,
    form: str = "",
    shown: bool = True,
) -> Any:
    """A field of a method's settings.

    help: one line for the command line and the studio, with the unit where there is one.
    low, high: the range, both included, of a number or of each number of a sequence.
    above: a lower end that is not included.
    says: what the error about a value out of range begins with.
    flag: the value that the bare option stands for, for settings that are switched on or off.
    form: how a sequence is written on the command line, or a switch.
    shown: whether it is an option of the command line; others are for Python.
    """
    return field(
        default=default,
        metadata={"help": help, "low": low, "high": high, "above": above, "says": says, "flag": flag, "form": form, "shown": shown},
    )


def strength(high: float = 1.0) -> Any:
    """The field of a strength, from 0, the photo, over 1 to the highest that a method takes."""
    return setting(1.0, "", low=0, high=high, says=_strength(high))


def check_strength(value: float) -> None:
    """A strength between the photo and the full style. Raises InputError."""
    if not 0 <= value <= 1:
        raise InputError(f"{_strength(1.0)}, not {value:g}")


def _strength(high: float) -> str:
    return "strength goes from 0, the photo, " + ("to 1, the full style," if high == 1 else f"over 1 to {high:g}") + " with this method"


@dataclass(frozen=True)
class Settings:
    """Base of the settings of all methods: types, ranges and choices are checked when they are made. Raises InputError."""

    def __post_init__(self) -> None:
        hints = hints_of(type(self))
        for item in fields(self):
            if "help" in item.metadata:
                check_value(item, hints[item.name], getattr(self, item.name))


def hints_of(settings: type) -> Mapping[str, Any]:
    """The types of the fields of a dataclass, by name."""
    return get_type_hints(settings)


def check_value(item: "Field[Any]", hint: Any, value: object) -> None:
    """A value is of the type of a field and within its range. Raises InputError."""
    choices = choices_of(hint)
    if choices and value not in choices and not fits(value, hint):
        raise InputError(unknown(item.name.replace("_", " "), value, choices))
    if not fits(_finite(value), hint):
        raise InputError(f"{option(item.name)} cannot be {value!r}")
    low, high, above, words = (item.metadata.get(key) for key in ("low", "high", "above", "says"))
    for number in value if isinstance(value, (tuple, list)) else value.values() if isinstance(value, Mapping) else [value]:
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            continue
        inside = (low is None or number >= low) and (high is None or number <= high) and (above is None or number > above)
        if not inside or not math.isfinite(number):
            raise InputError(f"{words or _range(item.name, low, high, above)}, not {number:g}")


def _finite(value: Any) -> Any:
    """A value with 0 for what is NaN or infinite, which is an error of its range, not of its type."""
    if isinstance(value, (tuple, list)):
        return tuple(_finite(part) for part in value)
    if isinstance(value, Mapping):
        return {name: _finite(part) for name, part in value.items()}
    return 0.0 if isinstance(value, float) and not math.isfinite(value) else value


def _range(name: str, low: float | None, high: float | None, above: float | None) -> str:
    words = name.replace("_", " ")
    if low is not None and high is not None:
        return f"{words} goes from {low:g} to {high:g}"
    begin = f"above {above:g}" if above is not None else "a number" if low is None else f"a number from {low:g} on"
    return f"{words} is {begin}" + ("" if high is None else f" and at most {high:g}")


def choices_of(hint: Any) -> tuple[str, ...]:
    """The choices of a Literal, or of an optional one; none for other types."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return next((choices_of(part) for part in get_args(hint) if get_origin(part) is Literal), ()) if _is_union(hint) else ()


def _is_union(hint: Any) -> bool:
    return isinstance(hint, UnionType) or get_origin(hint) is Union


def fits(value: object, hint: Any) -> bool:
    """Whether a value is what a type hint says; numbers are finite."""
    parts = get_args(hint)
    if _is_union(hint):
        return any(fits(value, part) for part in parts)
    if hint is None or hint is type(None):
        return value is None
    origin = get_origin(hint) or hint
    if origin is Literal:
        return value in parts
    if origin is bool:
        return isinstance(value, bool)
    if origin in (int, float):
        numeric = isinstance(value, int if origin is int else (int, float)) and not isinstance(value, bool)
        return numeric and math.isfinite(value)  # type: ignore[arg-type]
    if origin is str:
        return isinstance(value, (str, os.PathLike))
    if origin is tuple or origin is Sequence:
        inner = parts[0] if parts else object
        return isinstance(value, Sequence) and not isinstance(value, str) and all(fits(part, inner) for part in value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(fits(part, parts[1]) for part in value.values())
    if origin is Path:
        return isinstance(value, (str, os.PathLike))
    return True


def typed(value: Any) -> str:
    """A value as it would be typed on the command line."""
    if isinstance(value, Mapping):
        return ",".join(f"{name}={_number(number)}" for name, number in value.items()) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ",".join(map(_number, value if isinstance(value, tuple) else (value,)))


def _number(value: Any) -> str:
    """A number as short as it can be."""
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
