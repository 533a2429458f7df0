"""A tiny decoder for the tiny encoder of the tests."""

import pytest
import torch

from impasto.networks.decoder import Decoder, initialise
from impasto.networks.layers import LAYERS
from impasto.runtime.device import Place


@pytest.fixture
def cpu():
    return Place(torch.device("cpu"), torch.float32)


@pytest.fixture
def decoder(encoder):
    torch.manual_seed(0)
    own = Decoder(encoder.channels, encoder.depths, encoder="tiny")
    pictures = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    initialise(own, encoder(pictures, LAYERS), pictures)
    return own.requires_grad_(False)
