"""Pictures made from nothing."""

import pytest
import torch

from impasto.training.made_pictures import KINDS, fractal, made_pictures


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_kind_makes_pictures_that_differ_and_follow_the_seed(kind):
    make = KINDS[kind]
    first, again = (make(64, torch.Generator().manual_seed(3)) for _ in range(2))
    other = make(64, torch.Generator().manual_seed(4))
    assert first.shape == (3, 64, 64)
    assert 0 <= first.min() <= first.max() <= 1
    assert torch.equal(first, again)
    assert (first - other).abs().mean() > 0.02
    assert first.std() > 0.01


def test_fractals_have_the_spectrum_they_are_asked_for():
    field = fractal(256, torch.Generator().manual_seed(0), slope=1.0, channels=8)
    power = torch.fft.rfft2(field).abs().square().mean(0)[0]  # along one axis
    frequencies = torch.arange(4, 100)
    logs = torch.stack([frequencies.float().log(), torch.ones(96)], 1)
    slope = torch.linalg.lstsq(logs, power[frequencies].log()[:, None]).solution[0, 0]
    assert slope == pytest.approx(-2, abs=0.25)
    torch.testing.assert_close(field.std((1, 2)), torch.ones(8))


def test_kinds_come_in_turn():
    pictures = made_pictures(4, 48, torch.Generator().manual_seed(0), kinds=("clouds", "scenes"))
    assert len(pictures) == 4
    assert pictures.draw(2, 32, torch.Generator().manual_seed(0)).shape == (2, 3, 32, 32)
