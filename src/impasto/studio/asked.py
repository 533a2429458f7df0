"""What is asked of the studio, as JSON, and the same request as the library and the command line know it."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field

from impasto.errors import InputError, option, unknown
from impasto.job.request import RegionRequest, Request
from impasto.job.resolve import QUALITY, STABILIZE
from impasto.media.color import KEEP_COLOR
from impasto.methods.table import methods
from impasto.names import is_plain_name
from impasto.settings import AUTO, Controls, choices_of, typed
from impasto.storage.library import Library
from impasto.storage.registry import bundled
from impasto.studio.folders import Folders
from impasto.studio.shelf import Shelf

PICTURE = "picture:"
"""What the name of a style begins with that is a picture on the shelf."""
LARGEST = 16_384
"""Longer side, in pixels, of what is painted here."""
SHARED = (
    "method", "quality", "size", "stroke", "style_size", "strength", "keep_color", "background", "keep_metadata", "stabilize", "seed"
)  # fmt: skip
"""The controls that can be asked for: those that name no file and no part of this machine."""


CHOICES: Mapping[str, Sequence[str]] = {"quality": QUALITY, "stabilize": STABILIZE, "keep_color": (*KEEP_COLOR,)}
"""The controls that are one of some names."""


class Message(BaseModel):
    """Base of what is sent: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class StyleAsked(Message):
    """A style: a bundled name, a name of the library, or `picture:ID` of a picture on the shelf; and its weight among several."""

    style: str = Field(max_length=200)
    weight: float = Field(default=1.0, ge=0, le=1000)


class Controlled(Message):
    """The controls, as in `impasto.Controls`, and the options of the method in `options`."""

    method: str = Controls.method
    quality: str = Controls.quality
    size: int | None = Field(default=Controls.size, ge=0, le=LARGEST)
    stroke: float | None = Controls.stroke
    style_size: int | None = Field(default=Controls.style_size, ge=32, le=4096)
    strength: float = Field(default=Controls.strength, ge=0, le=10)
    keep_color: str | None = Controls.keep_color
    background: str = Field(default=Controls.background, max_length=30)
    keep_metadata: bool = Controls.keep_metadata
    stabilize: str = Controls.stabilize
    seed: int = Field(default=Controls.seed, ge=0, lt=2**31)
    options: dict[str, Any] = Field(default_factory=dict, max_length=40)


class PaintAsked(Controlled):
    """A picture to paint.

    photo, masks, style_masks: pictures on the shelf, as for the command line. regions: how many are found. format: of the result.
    selection: a grey image of the photo's shape; white is painted, black stays the photo, grey is between. It is a picture on the shelf, or
    a PNG in the request itself: `data:image/png;base64,...`.
    preview: a draft is painted from the studio's own copy of the photo, of 1024 px and 8 bits, which is faster.
    """

    photo: str
    styles: list[StyleAsked] = Field(min_length=1, max_length=8)
    masks: list[str] = Field(default_factory=list, max_length=8)
    style_masks: list[str] = Field(default_factory=list, max_length=8)
    regions: int | None = Field(default=None, ge=2, le=12)
    selection: str | None = Field(default=None, max_length=900_000)
    preview: bool = False
    format: Literal["png", "jpg", "tif", "webp"] = "png"


class FilmAsked(Controlled):
    """A film to paint: one inside an opened folder, by its number and path, or one on the shelf by `film`."""

    styles: list[StyleAsked] = Field(min_length=1, max_length=8)
    folder: int | None = None
    path: str = Field(default="", max_length=2000)
    film: str | None = None


class LearnAsked(Message):
    """A painting to learn: a picture on the shelf, for photos, for films too, or a small network for live films."""

    painting: str
    name: str = Field(max_length=100)
    purpose: Literal["photos", "video", "live"] = "photos"
    steps: int | None = Field(default=None, ge=1, le=20_000)
    style_size: int | None = Field(default=None, ge=32, le=2048)
    licence: str = Field(default="not stated", max_length=500)
    source: str = Field(default="", max_length=500)


class RegionsAsked(Message):
    """Matching regions to find in a photo and in style pictures."""

    photo: str
    styles: list[StyleAsked] = Field(min_length=1, max_length=4)
    count: int = Field(default=4, ge=2, le=12)


class Rename(Message):
    """A new name."""

    name: str = Field(max_length=100)


@dataclass(frozen=True)
class Place:
    """What one owner can ask about: the pictures, the styles, and the opened folders."""

    shelf: Shelf
    library: Library
    folders: Folders

    def style(self, asked: StyleAsked) -> tuple[Path | str, str]:
        """What a style is to the library, and what it is called. Raises InputError."""
        name = asked.style
        if name.startswith(PICTURE):
            return self.shelf.file(name.removeprefix(PICTURE)), self.shelf.find(name.removeprefix(PICTURE)).name
        if name in bundled("style"):
            return name, name
        if is_plain_name(name) and name in self.library:
            return self.library.file(name), name
        raise InputError(unknown("style", name, [*bundled("style"), *self.library.names()]))


def controls_of(asked: Controlled, *, max_megapixels: int, size: int | None = None, quality: str | None = None) -> Controls:
    """The controls that were asked for. size, quality: instead of what was asked for. Raises InputError."""
    options = {name: _value(name, value) for name, value in asked.options.items()}
    for name, choices in {"method": (AUTO, *methods()), **CHOICES}.items():
        value = getattr(asked, name)
        if value is not None and value not in choices:
            raise InputError(unknown(name.replace("_", " "), value, choices))
    shared = {name: getattr(asked, name) for name in SHARED}
    if size is not None:
        shared["size"] = size
    if quality is not None:
        shared["quality"] = quality
    return Controls(**shared, max_megapixels=max_megapixels, options=options)


def photo_request(asked: PaintAsked, place: Place, output: Path, controls: Controls, *, draft: bool = False) -> Request:
    """A picture that was asked for, as a request of files. draft: from the small copy of the photo. Raises InputError."""
    photo = place.shelf.view(asked.photo) if draft else _picture(asked.photo, place)
    selection = None if asked.selection is None else _picture(asked.selection, place)
    masks, style_masks = ([_picture(key, place) for key in keys] for keys in (asked.masks, asked.style_masks))
    regions = RegionRequest(masks, style_masks, asked.regions)
    return Request([photo], _files(asked.styles, place), output, _weights(asked.styles), regions, selection=selection, controls=controls)


def _picture(key: str, place: Place) -> Path:
    """The file of a picture as it was sent. Raises InputError for a film."""
    place.shelf.view(key)
    return place.shelf.file(key)


def film_request(asked: FilmAsked, place: Place, output: Path | None, controls: Controls) -> Request:
    """A film that was asked for, as a request of files. Raises InputError."""
    return Request([film_of(asked, place)], _files(asked.styles, place), output, _weights(asked.styles), controls=controls)


def film_of(asked: FilmAsked, place: Place) -> Path:
    """The film that was asked for. Raises InputError."""
    if (asked.film is None) == (asked.folder is None):
        raise InputError("a film lies in an opened folder, or was sent here: name one of them")
    if asked.folder is not None:
        return place.folders.film(asked.folder, asked.path)
    assert asked.film is not None
    if not place.shelf.find(asked.film).film:
        raise InputError(f"{place.shelf.find(asked.film).name} is no film")
    return place.shelf.file(asked.film)


def command(asked: PaintAsked | FilmAsked, place: Place, *, max_megapixels: int) -> str:
    """The command line that paints the same, with the names that files have for the user. Raises InputError."""
    if isinstance(asked, PaintAsked) and asked.selection is not None:
        raise InputError("selections are for the studio and its API: the command line has none")
    source = place.shelf.find(asked.photo).name if isinstance(asked, PaintAsked) else film_of(asked, place).name
    words = ["impasto", "stylize", source]
    several = _weights(asked.styles) is not None
    for style in asked.styles:
        words += ["--style", place.style(style)[1] + (f":{style.weight:g}" if several else "")]
    if isinstance(asked, PaintAsked):
        words += [word for key in asked.masks for word in ("--mask", place.shelf.find(key).name)]
        words += [word for key in asked.style_masks for word in ("--style-mask", place.shelf.find(key).name)]
        words += ["--regions", f"auto:{asked.regions}"] if asked.regions else []
        names = "-".join(Path(place.style(style)[1]).stem if style.style.startswith(PICTURE) else style.style for style in asked.styles)
        words += ["--output", f"{Path(source).stem}-{names}.{asked.format}"] if asked.format != "png" else []
    controls = controls_of(asked, max_megapixels=max_megapixels)
    for name in SHARED:
        value = getattr(controls, name)
        if value != getattr(Controls, name):
            words += [option(name)] if value is True else [option(name), typed(value)]
    for name, value in (controls.options or {}).items():
        words += _words(name, value)
    return shlex.join(words)


def _words(name: str, value: Any) -> list[str]:
    """An option of a method as it is typed."""
    for method in methods().values():
        for item in method.fields:
            if item.name != name:
                continue
            if item.metadata["flag"] is not None:
                return [option(name)] if value == item.metadata["flag"] else []
            if isinstance(value, bool):
                form = item.metadata["form"] or f"{option(name)}/--no-{option(name)[2:]}"
                return [form.split("/")[0 if value else 1]]
    return [option(name), typed(value)]


def offered() -> list[dict[str, Any]]:
    """What can be turned, of every method, for whoever shows it: made from what the methods declare of themselves."""
    return [
        {
            "name": method.name,
            "title": method.title,
            "paper": method.paper,
            "style": method.style,
            "masks": sorted(method.masks),
            "draft": method.finish or method.own_size,
            "default_for": sorted(method.default_for),
            "options": [_offered(item.name, item.metadata, item.default, method.options[item.name]) for item in _open(method)],
        }
        for method in methods().values()
    ]


def _open(method: Any) -> list[Any]:
    """The settings of a method that can be asked for here: those that are options of the command line and name no file."""
    shared = {item.name for item in fields(Controls)}
    wanted = [item for item in method.fields if item.metadata["shown"] and item.name not in shared]
    return [item for item in wanted if _kind(method.options[item.name]) != "other"]


def _offered(name: str, said: Mapping[str, Any], default: Any, hint: Any) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.replace("_", " "),
        "help": said["help"],
        "kind": _kind(hint),
        "choices": list(choices_of(hint)),
        "low": said["low"] if said["low"] is not None else said["above"],
        "high": said["high"],
        "flag": said["flag"],
        "default": list(default) if isinstance(default, tuple) else default,
    }


def _kind(hint: Any) -> str:
    """How a setting is shown: a switch, a number, one of some choices, or numbers in a row; "other" is not shown."""
    if choices_of(hint):
        return "choice"
    plain = next((part for part in get_args(hint) if part is not NoneType), hint) if NoneType in get_args(hint) else hint
    if plain in (bool, int, float):
        return {bool: "switch", int: "integer", float: "number"}[plain]
    if get_origin(plain) in (tuple, Sequence) and get_args(plain)[0] in (int, float):
        return "numbers"
    return "other"


def _value(name: str, value: Any) -> Any:
    """A setting as the library takes it. Raises InputError for one that cannot be asked for here."""
    if name not in {item.name for method in methods().values() for item in _open(method)}:
        raise InputError(unknown("setting", name, sorted({item.name for method in methods().values() for item in _open(method)})))
    return tuple(value) if isinstance(value, list) else value


def _files(styles: Sequence[StyleAsked], place: Place) -> list[Path | str]:
    return [place.style(style)[0] for style in styles]


def _weights(styles: Sequence[StyleAsked]) -> list[float] | None:
    weights = [style.weight for style in styles]
    return None if len(set(weights)) == 1 else weights
