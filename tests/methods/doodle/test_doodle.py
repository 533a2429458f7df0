"""The doodle: its loss falls, patches come from matching regions, and it stops when told."""

import pytest
import torch

from impasto.errors import InputError
from impasto.events import Interrupted
from impasto.methods.doodle.doodle import NeuralDoodle, _described
from impasto.methods.doodle.settings import DoodleSettings
from impasto.perception.patches import closest
from tests.conftest import random_encoder


@pytest.fixture
def photo():
    y, x = torch.meshgrid(torch.linspace(0, 1, 48), torch.linspace(0, 1, 64), indexing="ij")
    return torch.stack([x, y, 0.5 + 0.5 * torch.sin(20 * x)])[None]


@pytest.fixture
def style():
    return torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(3)).round()


def doodle(style, **settings):
    mask = settings.pop("mask", None)
    listener = settings.pop("listener", lambda event: None)
    return NeuralDoodle(random_encoder(6, 8, 8, 8), style, mask, DoodleSettings(**{"levels": 1, **settings}), listener)


def test_the_loss_falls(photo, style):
    losses = []
    painted = doodle(style, iterations=12, listener=lambda event: losses.append(event.values["loss"]))(photo)
    assert painted.shape == photo.shape
    assert 0 <= painted.min() <= painted.max() <= 1
    assert losses[-1] < 0.7 * losses[0]


def test_strength_zero_is_the_photo(photo, style):
    assert torch.equal(doodle(style, strength=0.0)(photo), photo)


def test_regions_outweigh_features_in_the_choice_of_patches():
    """The features say left, the regions say right: right it is; without regions the features have their way."""
    features = torch.rand(1, 4, 8, 12, generator=torch.Generator().manual_seed(0))
    own, other = torch.zeros(1, 2, 8, 12), torch.zeros(1, 2, 8, 12)
    own[:, 0, :, :6], own[:, 1, :, 6:] = 1, 1
    other[:, 1, :, :6], other[:, 0, :, 6:] = 1, 1
    free = closest(_described(features, None), _described(features, None))
    assert torch.equal(free, torch.arange(60))
    column = closest(_described(features, own), _described(features, other)) % 10
    inside = (torch.arange(60) % 10) < 4
    assert column[inside].min() >= 4


def test_the_picture_so_far_is_kept_when_stopped(photo, style):
    def stop(event):
        if event.step == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        doodle(style, iterations=5, listener=stop)(photo)
    assert stopped.value.picture.shape == photo.shape


def test_what_does_not_fit_is_said(photo, style):
    with pytest.raises(InputError, match="for both"):
        doodle(style)(photo, masks=torch.ones(1, 1, 48, 64))
    with pytest.raises(InputError, match="one photo at a time"):
        doodle(style)(photo.expand(2, -1, -1, -1))
    with pytest.raises(InputError, match="at least one"):
        DoodleSettings(iterations=0)
    with pytest.raises(InputError, match="strength"):
        DoodleSettings(strength=-1)
