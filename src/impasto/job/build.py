"""Stylizers, built as it was decided."""

from dataclasses import replace

from impasto.events import Listener, silence
from impasto.gradients import with_gradients
from impasto.job.resolve import Decision, Kind, resolve
from impasto.job.styles import facts_of
from impasto.methods.declaration import StyleSource
from impasto.methods.table import methods
from impasto.perception.style_sizes import StyleSizes, unpacked
from impasto.runtime.device import Place
from impasto.runtime.encoders import load_loss
from impasto.runtime.finished import BYTES_A_PIXEL, EFFORTS, Finished
from impasto.runtime.local_colors import LocalColors
from impasto.runtime.steadied import EachFrame, Steadied
from impasto.runtime.stylizer import Stylizer
from impasto.settings import Controls
from impasto.storage.registry import is_at_hand

VGG19 = "vgg19"
VGG19_TIMES = 5
"""How many times as much memory the wide encoders take as the compact one."""


@with_gradients
def for_pictures(decision: Decision, source: StyleSource, place: Place, listener: Listener = silence) -> Stylizer:
    """The stylizer for pictures, finished as it was decided. Raises ImpastoError."""
    draft = _draft(decision, source, place, listener)
    if any((decision.controls.options or {}).get(name) for name in decision.method.whole):
        return LocalColors(draft)  # what stays a photograph has its detail from the photo
    return draft if decision.quality == "draft" else _finished(draft, decision, source, place, listener)


def bytes_a_pixel(decision: Decision, place: Place) -> int:
    """What painting a photo in one piece takes for each of its pixels."""
    half = decision.method.bytes_a_pixel if decision.quality == "draft" else BYTES_A_PIXEL
    return half * (2 if place.dtype.itemsize > 2 else 1) * (1 if decision.controls.encoder == Controls.encoder else VGG19_TIMES)


@with_gradients
def for_films(decision: Decision, source: StyleSource, place: Place, listener: Listener = silence) -> Stylizer:
    """The stylizer for films, stabilised as it was decided. Raises ImpastoError."""
    stylizer = _draft(decision, source, place, listener)
    if decision.quality != "draft":
        stylizer = _finished(stylizer, decision, source, place, listener)
    uses_flow = hasattr(stylizer, "flow")
    if decision.film == "flow":
        return stylizer if uses_flow else Steadied(stylizer, place)
    return EachFrame(stylizer) if decision.film == "frames" and uses_flow else stylizer


def _draft(decision: Decision, source: StyleSource, place: Place, listener: Listener) -> Stylizer:
    """What the method paints."""
    return decision.method.build(source, decision.controls, place, listener)


def make_stylizer(source: StyleSource, controls: Controls, place: Place, listener: Listener = silence) -> Stylizer:
    """The stylizer for pictures of styles and controls, drafts if nothing else is said. Raises ImpastoError."""
    decision = _decided(source, replace(controls, stabilize=Controls.stabilize), moving=False)
    return for_pictures(decision, source, place, listener)


def make_film_stylizer(source: StyleSource, controls: Controls, place: Place, listener: Listener = silence) -> Stylizer:
    """The stylizer for films of styles and controls. Raises ImpastoError."""
    return for_films(_decided(source, controls, moving=True), source, place, listener)


def _decided(source: StyleSource, controls: Controls, *, moving: bool) -> Decision:
    kind: Kind = "pictures" if source.masks is None else "regions"
    return resolve(controls, facts_of(source), methods(), kind=kind, moving=moving, live=True)


def _finished(draft: Stylizer, decision: Decision, source: StyleSource, place: Place, listener: Listener) -> Stylizer:
    """What a stylizer paints, finished: by the styles' pictures, or by the statistics that their files hold."""
    controls, drawn = decision.controls, all(style.picture is not None for style in source.styles)
    encoder = controls.encoder if drawn else Controls.encoder
    if decision.quality == "best" and encoder == Controls.encoder and drawn and is_at_hand(VGG19, "encoder"):
        encoder = VGG19
    loss = load_loss(encoder, "finishing", place)
    styles = [
        unpacked(style.file.seen_by(encoder) if style.file else {}, loss.encoder, style.name) if style.picture is None else style.picture
        for style in source.styles
    ]
    shares = decision.kind == "shares"
    sizes = StyleSizes(loss, styles, source.weights, source.masks, apart=shares)
    usual = decision.method.style_size
    learned = int(usual) if usual.isdigit() and controls.style_size is not None else None
    stroke = controls.strokes if learned is None else (controls.style_size or learned) / learned
    fixed = None if learned is not None else controls.style_size
    effort = EFFORTS[decision.quality]
    return Finished(draft, sizes, loss, effort, controls.strength, stroke, style_size=fixed, shares=shares, listener=listener)
