"""All methods by name: ours, and those of other packages, which name them as entry points in the group `impasto.methods`."""

from collections.abc import Mapping
from functools import lru_cache
from importlib import import_module
from importlib.metadata import entry_points

from impasto.errors import InputError, unknown
from impasto.methods.declaration import Method
from impasto.training.encoder_settings import RECIPE as ENCODER
from impasto.training.recipe import Recipe

GROUP = "impasto.methods"
_OURS = ("metastyle", "solver", "semantic", "adain", "patch_swap", "gatys", "doodle", "distillation", "johnson", "lut")
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


def recipes() -> Mapping[str, Recipe]:
    """Every training by its name: that of the encoder, and those of the methods."""
    return {recipe.name: recipe for recipe in (ENCODER, *(recipe for method in methods().values() for recipe in method.trainings))}


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
