"""A small teacher and student, a style, and moving contents."""

import pytest
import torch

from impasto.methods.distillation.networks import VideoNetwork
from impasto.networks.style_network import StyleNetwork
from impasto.runtime.device import Place
from impasto.runtime.encoders import load_loss
from impasto.training.clips import MovingPictures
from impasto.training.made_pictures import made_pictures

CPU = Place(torch.device("cpu"), torch.float32)


@pytest.fixture(scope="session")
def pictures():
    return made_pictures(3, 96, torch.Generator().manual_seed(0))


@pytest.fixture(scope="session")
def moving(pictures):
    return MovingPictures(pictures)


@pytest.fixture(scope="session")
def loss():
    return load_loss("compact", "feedforward", CPU)


@pytest.fixture(scope="session")
def style(loss):
    painting = made_pictures(1, 96, torch.Generator().manual_seed(1), kinds=("clouds",)).sized(0, 96)
    return loss.style_target([painting])


@pytest.fixture
def student():
    torch.manual_seed(0)
    return StyleNetwork(4, 1, grain=0.0)


@pytest.fixture
def teacher():
    torch.manual_seed(1)
    return VideoNetwork(4, 1)
