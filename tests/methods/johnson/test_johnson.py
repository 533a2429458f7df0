"""The baseline of the fast methods."""

import pytest
import torch

from impasto.methods.johnson.training import train_johnson
from impasto.methods.johnson.training_settings import JohnsonTraining
from impasto.networks.style_network import StyleNetwork
from impasto.perception.loss import PerceptualLoss
from impasto.runtime.device import Place
from impasto.training.data import Pictures
from tests.conftest import random_encoder

PLACE = Place(torch.device("cpu"), torch.float32)
QUICK = JohnsonTraining(steps=80, batch=1, final_rate=0.1, zoom=(0.6, 1.6), crop=64, learning_rate=3e-3, style_size=48, width=4)


@pytest.fixture
def loss():
    return PerceptualLoss(random_encoder(4, 6, 8, 8), "feedforward")


@pytest.fixture
def contents():
    return Pictures([torch.rand(3, 80, 80, generator=torch.Generator().manual_seed(k)) * 0.5 for k in range(3)])


def test_it_learns_from_random_weights(loss, contents):
    network, curve = train_johnson(loss, [torch.rand(1, 3, 48, 48).round()], contents, QUICK, place=PLACE)
    assert network.width == 4
    assert sum(curve.losses[-8:]) < 0.85 * sum(curve.losses[:8])


def test_it_begins_at_other_weights_when_asked(loss, contents):
    start = StyleNetwork(6)
    network, _ = train_johnson(loss, [torch.rand(1, 3, 48, 48)], contents, JohnsonTraining(steps=0, crop=64), place=PLACE, start=start)
    assert torch.equal(network.last.weight, start.last.weight)


def test_the_published_schedule_is_the_default():
    training = JohnsonTraining()
    assert (training.steps, training.batch, training.crop, training.learning_rate, training.final_rate) == (40_000, 4, 256, 1e-3, 1.0)
