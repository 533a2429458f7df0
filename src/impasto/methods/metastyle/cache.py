"""Learned paintings on this machine: the cache by content, so that the second photo is immediate."""

import copy
import hashlib
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from impasto.errors import StyleError, WeightsError
from impasto.events import Listener, silence
from impasto.files import stamp
from impasto.gradients import with_gradients
from impasto.methods.metastyle.adaptation import adapt
from impasto.methods.metastyle.settings import FOR_FILMS, Adaptation
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import LIVE_START, bundled_start, fingerprint, load_network, network_of, to_style_file
from impasto.runtime.device import Place, settle
from impasto.runtime.encoders import load_loss, measured_style
from impasto.settings import Controls
from impasto.storage.registry import bundled, cache_folder
from impasto.storage.style_file import StyleFile, StyleRecord, read_style, write_style
from impasto.training.checkpoint import load_checkpoint
from impasto.training.collection import pictures_of
from impasto.training.fitting import TemporalTerm

if TYPE_CHECKING:
    from impasto.training.collection import StreamedPictures
    from impasto.training.data import Pictures

MADE_OF = "made_of"
"""Setting in a style's record: see `made_of`."""


@with_gradients
def learned(
    name: str,
    paintings: list[Tensor],
    settings: Adaptation,
    *,
    encoder: str,
    place: Place,
    photos: list[Path] | None = None,
    start: StyleNetwork | None = None,
    guide: StyleNetwork | None = None,
    temporal: TemporalTerm | None = None,
    licence: str = "not stated",
    source: str = "",
    listener: Listener = silence,
) -> StyleFile:
    """The style file of one style, out of the cache if the same paintings were learned in the same way before.

    paintings: (1, 3, h, w) each. photos: folders of contents instead of made ones. temporal: needed where the settings are for films.
    guide: for live films, the large network that a small one learns from; learned first if it is not given. Interrupted, it is
    resumed the next time.
    """
    contents = None if photos is None else pictures_of(photos, settings.training.seed)
    asked = _asked(paintings, settings, encoder, place, contents)
    if settings.live and guide is None:
        large = replace(settings, live=False, training=replace(FOR_FILMS.training, seed=settings.training.seed))
        first = learned(name, paintings, large, encoder=encoder, place=place, photos=photos, temporal=temporal, listener=listener)
        guide = network_of(first)
    start = start or (load_network(LIVE_START) if settings.live else bundled_start())
    written = asdict(settings)
    key = _key(asked | {"start": fingerprint(start), "guide": None if guide is None else fingerprint(guide)})
    path = cache_folder() / "adapted" / f"{key}.safetensors"
    if path.is_file():
        try:
            known = read_style(path)
            known = replace(known, record=replace(known.record, settings=known.record.settings | {MADE_OF: _key(asked)}))
            return known if known.seen_by(Controls.encoder) else replace(known, statistics=measured_style(paintings))
        except StyleError:
            path.unlink()
    loss = load_loss(encoder, settings.loss, place)
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoint = path.with_suffix(".checkpoint")
    if not _usable(checkpoint):
        checkpoint.unlink(missing_ok=True)
    painter = None if guide is None else settle(copy.deepcopy(guide), place).requires_grad_(False)
    network, curve = adapt(
        start,
        loss,
        paintings,
        settings,
        contents=contents,
        temporal=temporal,
        guide=painter,
        place=place,
        checkpoint=checkpoint,
        listener=listener,
    )
    record = StyleRecord(
        name,
        "metastyle",
        encoder=Path(encoder).stem,
        steps=settings.training.steps,
        loss=curve.last(),
        licence=licence,
        source=source,
        settings={
            MADE_OF: _key(asked),
            "adaptation": written,
            "curve": curve.thinned(),
            "contents": "made" if contents is None else contents.described("photos"),
        },
    )
    only_affine = start if settings.training.parameters == "affine" else None
    style = to_style_file(network, record, start=only_affine)
    style = replace(style, statistics=measured_style(paintings))
    write_style(path, style)
    checkpoint.unlink(missing_ok=True)
    return style


def made_of(paintings: list[Tensor], settings: Adaptation, *, encoder: str, place: Place, photos: list[Path] | None = None) -> str:
    """What tells what is learned from something else: the record of its style file has the same under `MADE_OF`."""
    contents = None if photos is None else pictures_of(photos, settings.training.seed)
    return _key(_asked(paintings, settings, encoder, place, contents))


def _asked(
    paintings: list[Tensor], settings: Adaptation, encoder: str, place: Place, contents: "Pictures | StreamedPictures | None"
) -> dict[str, Any]:
    """Everything that a style is learned from, but for the bundled networks that it begins with."""
    written = asdict(settings)
    return {
        "paintings": [_digest(painting) for painting in paintings],
        "settings": written | {"training": {key: value for key, value in written["training"].items() if key != "preview_every"}},
        "encoder": _identity(encoder),
        "precision": str(place.dtype),
        "photos": None if contents is None else contents.digest,
    }


def _key(facts: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:32]


def _usable(checkpoint: Path) -> bool:
    """Whether a checkpoint of the cache can be read by this version: one that cannot is nobody's loss but some seconds'."""
    try:
        return not checkpoint.exists() or "begun" in load_checkpoint(checkpoint)
    except WeightsError:
        return False


def _identity(encoder: str) -> list[str]:
    """What tells one encoder from another: the checksum of a bundled one, time and size of a file."""
    known = bundled("encoder")
    if encoder in known:
        return [encoder, known[encoder].sha256]
    path = Path(encoder)
    return [str(path.resolve()), str(stamp(path))] if path.is_file() else [encoder]


def _digest(painting: Tensor) -> str:
    pixels = painting.mul(255).round().to(torch.uint8).contiguous()
    return hashlib.sha256(pixels.numpy().tobytes() + str(tuple(pixels.shape)).encode()).hexdigest()
