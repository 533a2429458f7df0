import pytest
import torch

from impasto.perception.loss import PerceptualLoss
from impasto.runtime.device import Place
from impasto.training.data import Pictures
from tests.conftest import random_encoder


@pytest.fixture
def exact():
    """CPU in float32."""
    return Place(torch.device("cpu"), torch.float32)


@pytest.fixture
def loss():
    return PerceptualLoss(random_encoder(4, 6, 8, 8), "feedforward")


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(5)
    return Pictures([torch.rand(3, 40, 48, generator=generator).round() * 0.6 + 0.3 * k / 6 for k in range(6)])
