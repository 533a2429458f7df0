"""Stylizers, built as it was decided."""

from dataclasses import replace

from impasto.events import Listener, silence
from impasto.job.resolve import Decision, resolve
from impasto.job.styles import facts_of
from impasto.methods.declaration import StyleSource
from impasto.methods.table import methods
from impasto.runtime.device import Place
from impasto.runtime.steadied import EachFrame, Steadied
from impasto.runtime.stylizer import Stylizer
from impasto.settings import Controls


def for_pictures(decision: Decision, source: StyleSource, place: Place, listener: Listener = silence) -> Stylizer:
    """The stylizer for pictures. Raises ImpastoError."""
    return decision.method.build(source, decision.controls, place, listener)


def for_films(decision: Decision, source: StyleSource, place: Place, listener: Listener = silence) -> Stylizer:
    """The stylizer for films, stabilised as it was decided. Raises ImpastoError."""
    stylizer = decision.method.build(source, decision.film_controls, place, listener)
    uses_flow = hasattr(stylizer, "flow")
    if decision.film == "flow":
        return stylizer if uses_flow else Steadied(stylizer, place)
    return EachFrame(stylizer) if decision.film == "frames" and uses_flow else stylizer


def make_stylizer(source: StyleSource, controls: Controls, place: Place, listener: Listener = silence) -> Stylizer:
    """The stylizer for pictures of styles and controls. Raises ImpastoError."""
    return for_pictures(_decided(source, replace(controls, stabilize=Controls.stabilize)), source, place, listener)


def make_film_stylizer(source: StyleSource, controls: Controls, place: Place, listener: Listener = silence) -> Stylizer:
    """The stylizer for films of styles and controls. Raises ImpastoError."""
    return for_films(_decided(source, controls), source, place, listener)


def _decided(source: StyleSource, controls: Controls) -> Decision:
    return resolve(controls, facts_of(source), methods(), kind="pictures" if source.masks is None else "regions")
