"""The one place where a job is decided: its method, its controls, and how films are stabilised. Pure: nothing is opened or built."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

from impasto.errors import InputError, option, unknown
from impasto.methods.declaration import Method
from impasto.settings import AUTO, BACKENDS, INT8, Controls, check_value, fits

STABILIZE = (AUTO, "none", "student", "flow")
"""How films are stabilised."""

QUALITY = (AUTO, "draft", "fine", "best")
"""How much work a picture is."""

Kind = Literal["pictures", "regions", "shares"]
Default = Literal["pictures", "films", "regions", "shares", "names"]
Quality = Literal["draft", "fine", "best"]


@dataclass(frozen=True)
class StyleFact:
    """What decisions need to know of a style.

    method: the one that its style file is for; None for a picture.
    steady: whether its network learned to paint stable films by itself.
    finishable: whether the statistics of its painting are at hand.
    """

    name: str
    method: str | None = None
    steady: bool = False
    finishable: bool = True


@dataclass(frozen=True)
class Decision:
    """How a job is painted.

    method, controls: the method, and the controls that name it; of films with the options that stabilise them.
    kind: whether whole pictures are painted, regions, or each style its share.
    quality: "draft", what the method paints; "fine" or "best", finished.
    film: "alone": the stylizer paints films as it is; "frames": it does, and forgets the frame before; "flow": with optical flow, the
        stylizer's own if it has any, otherwise around it.
    remark: what could not be as it is usual, as a sentence; "" if all could.
    moving: whether it is for films.
    """

    method: Method
    controls: Controls
    kind: Kind = "pictures"
    quality: Quality = "draft"
    film: Literal["alone", "frames", "flow"] = "alone"
    remark: str = ""
    moving: bool = False


def resolve(
    controls: Controls,
    styles: Sequence[StyleFact],
    methods: Mapping[str, Method],
    *,
    kind: Kind = "pictures",
    moving: bool = False,
    live: bool = False,
    photos: bool = True,
    films: bool = True,
) -> Decision:
    """Decide. Raises InputError.

    kind: see `impasto.job.request.RegionRequest`.
    moving: whether films are painted, or photos.
    live: whether somebody waits for each picture, so that drafts are usual.
    photos, films: whether there are some in the whole of the job.
    """
    method, controls = _method(controls, styles, methods, kind, moving)
    check_options(method, controls, styles, methods)
    if kind == "regions" and "regions" not in method.masks:
        able = [other.name for other in methods.values() if "regions" in other.masks and not other.slow]
        raise InputError(f"{method.name} paints whole pictures; for regions choose --method {', '.join(able[:-1])} or {able[-1]}")
    if kind == "shares" and "shares" not in method.masks:
        raise InputError(
            f"{method.name} needs a mask of each style picture too; "
            f"--method {default_method('shares', methods)} takes a mask of the photo for each style"
        )
    _check_effects(controls, photos, films)
    controls = _backend(method, controls, moving)
    if method.own_size and controls.size is None:
        controls = replace(controls, size=0)
    quality, remark = _quality(method, controls, styles, usual="draft" if moving or live else "fine")
    if not moving:
        return Decision(method, controls, kind, quality, remark=remark)
    controls, film = _film(method, controls, styles)
    return Decision(method, controls, kind, quality, film, remark, moving=True)


def default_method(kind: Default, methods: Mapping[str, Method]) -> str:
    """What "auto" means for photos or films in the style of pictures, with regions or shares, or for bundled names."""
    return next(method.name for method in methods.values() if kind in method.default_for)


def _method(
    controls: Controls, styles: Sequence[StyleFact], methods: Mapping[str, Method], kind: Kind, moving: bool
) -> tuple[Method, Controls]:
    """A method that is named, or that a style file is for, or that alone has the options, or that the kind of masks asks for."""
    implied = implied_method(controls, methods, kind, moving=moving)
    bound = {style.method for style in styles if style.method is not None}
    if len(bound) > 1:
        raise InputError(f"these styles need different methods ({', '.join(sorted(bound))}) and cannot be used together")
    if bound and implied not in (AUTO, *bound):
        bound_to = next(iter(bound))
        if controls.method == AUTO:
            check_options(methods[bound_to], controls, styles, methods)
        name = next(style.name for style in styles if style.method is not None)
        raise InputError(f"{name} is a trained style of {bound_to}; {implied} needs the picture that it was learned from")
    name = next(iter(bound), default_method(_usual(kind, moving), methods) if implied == AUTO else implied)
    return methods[name], replace(controls, method=name)


def _usual(kind: Kind, moving: bool) -> Default:
    return "films" if moving and kind == "pictures" else kind


def implied_method(controls: Controls, methods: Mapping[str, Method], kind: Kind = "pictures", *, moving: bool = False) -> str:
    """The method that the controls name, or that their options or masks ask for; "auto" if nothing does. Raises InputError."""
    if controls.method != AUTO:
        if controls.method not in methods:
            raise InputError(unknown("method", controls.method, methods))
        return controls.method
    preferred = AUTO if kind == "pictures" else default_method(kind, methods)
    names = set(controls.options or {})
    able = [method.name for method in methods.values() if names <= set(method.options)]
    if not able:
        for name in sorted(names):
            _check_shared(name)
            if not _owners(name, methods):
                raise InputError(unknown("setting", name, sorted({name for method in methods.values() for name in method.options})))
        parts = "; ".join(f"{option(name)} belongs to --method {_owners(name, methods)}" for name in sorted(names))
        raise InputError(f"no method has all of these: {parts}")
    usual = default_method(_usual(kind, moving), methods)
    return preferred if usual in able else able[0]


def check_options(method: Method, controls: Controls, styles: Sequence[StyleFact], methods: Mapping[str, Method]) -> None:
    """Every option is one that the method has, of its type and within its range. Raises InputError that says whose it is."""
    for name, value in (controls.options or {}).items():
        if name not in method.options:
            _check_shared(name)
            trained = any(style.method is not None for style in styles) and method.films == "network"
            names = "-".join(dict.fromkeys(style.name for style in styles))
            because = f"and {names} is a trained style of {method.name}" if trained else f"not to {method.name}"
            if not _owners(name, methods):
                raise InputError(unknown(f"setting of {method.name}", name, sorted(method.options)))
            raise InputError(f"{option(name)} belongs to --method {_owners(name, methods)}, {because}")
        item = next((item for item in method.fields if item.name == name), None)
        if item is not None:
            check_value(item, method.options[name], value)
        elif not fits(value, method.options[name]):
            raise InputError(f"{option(name)} cannot be {value!r}")


def _owners(name: str, methods: Mapping[str, Method]) -> str:
    return " or ".join(method.name for method in methods.values() if name in method.options)


def _check_shared(name: str) -> None:
    if name in {item.name for item in fields(Controls)}:
        raise InputError(f"{name} is a control of all methods, not an option of one: Controls({name}=...)")


def _backend(method: Method, controls: Controls, moving: bool) -> Controls:
    """Networks can run elsewhere; by themselves they do where the same network paints many pictures."""
    if controls.backend not in BACKENDS:
        raise InputError(unknown("backend", controls.backend, BACKENDS))
    asked = {"--backend": controls.backend in (AUTO, "torch"), "--precision int8": controls.precision != INT8}
    for name, usual in asked.items():
        if method.films != "network" and not usual:
            raise InputError(f"{name} is for learned networks, and {method.name} paints otherwise: impasto adapt PICTURE makes one")
    elsewhere = moving or controls.backend != AUTO or controls.precision == INT8
    return controls if elsewhere else replace(controls, backend="torch")


def _check_effects(controls: Controls, photos: bool, films: bool) -> None:
    """No control is silently without effect."""
    if not films:
        for name in ("rate", "consistency"):
            if name in (controls.options or {}):
                raise InputError(f"{option(name)} is for films, and there is none")
        if controls.stabilize != AUTO:
            raise InputError("--stabilize is for films, and there is none")
    if controls.stroke is not None and controls.style_size is not None:
        raise InputError("--stroke is the size of the style picture against the photo, and --style-size that in pixels: give one of them")
    if controls.stroke is not None and not 0.05 <= controls.stroke <= 20:
        raise InputError(f"stroke goes from 0.05 over 1, the painting fills the picture, to 20, not {controls.stroke:g}")
    if not photos:
        asked = {"--memory": controls.memory is not None, "--exact": controls.exact}
        for name in (name for name, given in asked.items() if given):
            raise InputError(f"{name} is for photos, and there is none")


def _quality(method: Method, controls: Controls, styles: Sequence[StyleFact], *, usual: Quality) -> tuple[Quality, str]:
    """How much work each picture is, and a sentence if it cannot be as much as it is usual."""
    wanted = controls.quality
    if wanted not in QUALITY:
        raise InputError(unknown("quality", wanted, QUALITY))
    quality: Quality = usual if wanted == AUTO else wanted  # type: ignore[assignment]
    if quality == "draft":
        return "draft", ""
    whole = sorted(name for name in method.whole if (controls.options or {}).get(name))
    if whole or not method.finish:
        if wanted != AUTO:
            because = f"{option(whole[0])} keeps the picture a photograph" if whole else f"{method.name} optimises the picture itself"
            raise InputError(f"--quality {wanted} optimises what a method painted, and {because}: leave it out")
        return "draft", ""
    bare = [style.name for style in styles if not style.finishable]
    if bare:
        lacks = f"{bare[0]} does not hold the statistics of its painting that this version finishes by"
        return "draft", f"{lacks}, so its pictures are drafts; impasto adapt PICTURE makes a file that does"
    return quality, ""


def _film(method: Method, controls: Controls, styles: Sequence[StyleFact]) -> tuple[Controls, Literal["alone", "frames", "flow"]]:
    """How films are stabilised. "student": by networks that learned it; a picture is learned for films, a style file has to have been.

    "flow": by optical flow. "none": each frame for itself. "auto": student where there is one, flow for other networks and for methods
    that use it by themselves, otherwise none. A style file that learned films paints frames as it learned them, in all of these.
    """
    wanted = controls.stabilize
    if wanted not in STABILIZE:
        raise InputError(unknown("way to stabilise films", wanted, STABILIZE))
    unsteady = [style.name for style in styles if style.method is not None and not style.steady]
    learned = {**method.steadied, **(controls.options or {})}
    if all(style.steady for style in styles):
        controls = replace(controls, options=learned)
    if wanted == AUTO:
        networks = "flow" if unsteady else "student"
        wanted = networks if method.films == "network" else method.films.replace("frames", "none")
    if wanted == "flow":
        return controls, "flow"
    if wanted == "none":
        options = {**method.without_flow, **(controls.options or {})}
        return replace(controls, options=options), "alone" if method.without_flow else "frames"
    if method.films != "network":
        raise InputError(
            f"{method.name} has no student: it paints a film by itself (--stabilize none) or with optical flow (--stabilize flow)"
        )
    if unsteady:
        raise InputError(
            f"the style {unsteady[0]!r} has not learned to paint stable films without optical flow (--stabilize flow); "
            "impasto adapt PICTURE --for video learns it for films"
        )
    return replace(controls, options=learned), "alone"
