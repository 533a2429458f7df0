"""All methods by name: ours, and those of other packages, which name them as entry points in the group `impasto.methods`."""

from collections.abc import Mapping
from dataclasses import fields, replace
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from impasto.errors import InputError, option, unknown
from impasto.events import Listener, silence
from impasto.methods.declaration import Method, StyleSource
from impasto.settings import AUTO, Controls, check_value, fits

if TYPE_CHECKING:
    from impasto.runtime.device import Place
    from impasto.runtime.stylizer import Stylizer
    from impasto.styles.file import StyleFile

GROUP = "impasto.methods"
_OURS = ("metastyle", "solver", "semantic", "adain", "patch_swap", "gatys", "doodle", "distillation", "johnson")
"""The folders, in the order of lists; the first that has an option is chosen for it."""


@lru_cache(maxsize=1)
def methods() -> Mapping[str, Method]:
    """Every method by its name; one of another package that cannot be loaded is left out, and `find_method` says why."""
    found = [import_module(f"impasto.methods.{folder}.method").METHOD for folder in _OURS]
    return {method.name: method for method in [*found, *_others()[0]]}


@lru_cache(maxsize=1)
def _others() -> tuple[list[Method], dict[str, str]]:
    """The methods of other packages, and sentences about those that are broken."""
    found, broken = [], {}
    for entry in entry_points(group=GROUP):
        try:
            method = entry.load()
        except Exception as error:
            broken[entry.name] = f"the method {entry.name!r} of {entry.value} cannot be loaded ({type(error).__name__}: {error})"
            continue
        if isinstance(method, Method) and method.name == entry.name and entry.name not in _OURS:
            found.append(method)
        else:
            broken[entry.name] = f"{entry.value} is no method by the name {entry.name!r}: a Method with that name is expected"
    return found, broken


def broken_methods() -> Mapping[str, str]:
    """Sentences about the methods of other packages that cannot be loaded, by name."""
    return _others()[1]


def find_method(name: str) -> Method:
    """The method of a name. Raises InputError if there is none, or if its package is broken."""
    if name in broken_methods():
        raise InputError(broken_methods()[name])
    if name not in methods():
        raise InputError(unknown("method", name, methods()))
    return methods()[name]


def default_method(kind: str) -> str:
    """What "auto" means for "pictures", or for styles with "regions" or "shares"."""
    return next(method.name for method in methods().values() if kind in method.default_for)


def implied_method(controls: Controls, preferred: str = AUTO) -> str:
    """The method that the controls name; else `preferred`, or the one that their options belong to. Raises InputError if there is none."""
    if controls.method != AUTO:
        return find_method(controls.method).name
    given = set(controls.options or {})
    able = [method.name for method in methods().values() if given <= set(method.options)]
    if not able:
        for name in sorted(given):
            _check_shared(name)
            if not any(name in method.options for method in methods().values()):
                raise InputError(unknown("setting", name, sorted({name for method in methods().values() for name in method.options})))
        parts = "; ".join(f"{option(name)} belongs to --method {_owners(name)}" for name in sorted(given))
        raise InputError(f"no method has all of these: {parts}")
    usual = default_method("pictures") if preferred == AUTO else preferred
    return preferred if usual in able else able[0]


def _owners(name: str) -> str:
    return " or ".join(method.name for method in methods().values() if name in method.options)


def check_options(method: Method, controls: Controls, source: StyleSource) -> None:
    """Every option is one that the method has, and of its type. Raises InputError that says whose it is."""
    for name, value in (controls.options or {}).items():
        if name not in method.options:
            _check_shared(name)
            trained = any(style.file is not None for style in source.styles) and method.films == "network"
            because = f"and {source.name} is a trained style of {method.name}" if trained else f"not to {method.name}"
            if not _owners(name):
                raise InputError(unknown(f"setting of {method.name}", name, sorted(method.options)))
            raise InputError(f"{option(name)} belongs to --method {_owners(name)}, {because}")
        item = next((item for item in method.fields if item.name == name), None)
        if item is not None:
            check_value(item, method.options[name], value)
        elif not fits(value, method.options[name]):
            raise InputError(f"{option(name)} cannot be {value!r}")


def _check_shared(name: str) -> None:
    if name in {item.name for item in fields(Controls)}:
        raise InputError(f"{name} is a control of all methods, not an option of one: Controls({name}=...)")


STABILIZE = (AUTO, "none", "student", "flow")
"""How films are stabilised."""


def is_steady(file: "StyleFile") -> bool:
    """Whether the network of a style file learned to paint stable films by itself."""
    method = methods().get(file.record.method)
    return method is not None and method.steady(file)


def make_film_stylizer(source: StyleSource, controls: Controls, place: "Place", listener: Listener = silence) -> "Stylizer":
    """The stylizer for films: as `make_stylizer`, stabilised as `controls.stabilize` says. Raises InputError.

    "student": networks alone; a style picture is learned for films, a style file has to have been. "flow": a stylizer that knows how to
    use optical flow (solver, a teacher) does, any other keeps a share of the frame before. "none": each frame for itself. "auto":
    student where there is one, flow for other networks and the solver, otherwise none.
    """
    from impasto.runtime.steadied import EachFrame, Steadied

    wanted, method = controls.stabilize, _method_of(source, controls)
    if wanted not in STABILIZE:
        raise InputError(unknown("way to hold films still", wanted, STABILIZE))
    unsteady = [style.name for style in source.styles if style.file is not None and not method.steady(style.file)]
    if wanted == AUTO:
        networks: dict[str, str] = {"network": "flow" if unsteady else "student", "flow": "flow", "frames": "none"}
        wanted = networks[method.films]
    if wanted == "student":
        if method.films != "network":
            raise InputError(
                f"{method.name} has no student: it paints a film by itself (--stabilize none) or with optical flow (--stabilize flow)"
            )
        if unsteady:
            raise InputError(
                f"the style {unsteady[0]!r} has not learned to hold films still without optical flow (--stabilize flow); "
                "impasto adapt PICTURE --for video learns it for films"
            )
        learns = any(style.file is None for style in source.styles)
        controls = replace(controls, options={"film": True, **(controls.options or {})}) if learns else controls
        return make_stylizer(source, controls, place, listener)
    if wanted == "none" and method.without_flow:
        controls = replace(controls, options={**method.without_flow, **(controls.options or {})})
    stylizer = make_stylizer(source, controls, place, listener)
    uses_flow = hasattr(stylizer, "flow")
    if wanted == "none":
        return EachFrame(stylizer) if uses_flow and not method.without_flow else stylizer
    return stylizer if uses_flow else Steadied(stylizer, place)


def _method_of(source: StyleSource, controls: Controls) -> Method:
    kind = "pictures" if source.masks is None else "regions"
    return find_method(default_method(kind) if controls.method == AUTO else controls.method)


def make_stylizer(source: StyleSource, controls: Controls, place: "Place", listener: Listener = silence) -> "Stylizer":
    """The stylizer of the method that the controls name. Raises InputError for an unknown name or setting."""
    method = _method_of(source, controls)
    check_options(method, controls, source)
    return method.build(source, controls, place, listener)
