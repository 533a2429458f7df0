"""Encoders by name: bundled, cached, fetched or from a file; each is loaded once."""

import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from impasto.errors import InputError, unknown
from impasto.files import remembered
from impasto.gradients import with_gradients
from impasto.perception.encoder import Encoder
from impasto.perception.loss import PerceptualLoss
from impasto.perception.presets import PRESETS, LossSettings
from impasto.perception.style_sizes import packed
from impasto.perception.weights import convert_torchvision, read_encoder
from impasto.runtime.device import Place, settle
from impasto.settings import Controls
from impasto.storage.registry import locate
from impasto.storage.style_file import marked


def load_encoder(name: str | os.PathLike[str], place: Place, *, pool: str = "max") -> Encoder:
    """The encoder of a registered name ("compact", "vgg19", ...) or of a safetensors file, frozen, at its place.

    Raises WeightsError for a file that is no encoder, UnavailableError for a name that cannot be had.
    """
    text = os.fspath(name)
    if text.endswith((".safetensors", ".pt", ".pth", ".bin", ".ckpt")) or os.sep in text:
        path = Path(text)
    else:
        path = locate(text, "encoder", convert=convert_torchvision)
    return _load(path, place, pool)


def load_loss(encoder: str, settings: str | LossSettings, place: Place) -> PerceptualLoss:
    """A perceptual loss over the encoder of a name, with the pooling that the loss was made for.

    Raises InputError for an unknown preset, or an encoder that lacks a layer of the loss; and what `load_encoder` raises.
    """
    name = settings if isinstance(settings, str) else "given"
    if isinstance(settings, str):
        if settings not in PRESETS:
            raise InputError(unknown("loss", settings, PRESETS))
        settings = PRESETS[settings]
    loaded = load_encoder(encoder, place, pool=settings.pool)
    try:
        return PerceptualLoss(loaded, settings)
    except ValueError as error:
        raise InputError(f"the encoder {encoder} cannot serve the loss {name}: {error}") from None


def measured_style(pictures: Sequence[Tensor]) -> dict[str, Tensor]:
    """The statistics that a style file keeps of its paintings (1, 3, h, w), as one style: those of the default encoder, in float32."""
    place = Place(torch.device("cpu"), torch.float32)
    return marked(packed(load_loss(Controls.encoder, "finishing", place), [picture.cpu() for picture in pictures]), Controls.encoder)


@remembered(4)
@with_gradients
def _load(path: Path, place: Place, pool: str) -> Encoder:
    return settle(read_encoder(path, pool=pool), place)
