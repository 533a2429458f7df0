"""What the tests share: tiny networks, small pictures, and the real data where it lies beside the checkout."""

import os
from pathlib import Path

import pytest
import torch
from PIL import Image

from impasto.networks.decoder import Decoder, initialise
from impasto.networks.layers import LAYERS
from impasto.perception.encoder import Encoder
from impasto.runtime.device import Place

SHARED = Path(__file__).resolve().parents[2] / "shared"

# Processes with two threads each slow each other down: with pytest-xdist every worker has one, and so have the programs that it starts.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1 if "PYTEST_XDIST_WORKER" in os.environ else min(2, torch.get_num_threads()))
os.environ["IMPASTO_HOME"] = "/nonexistent/impasto"  # whoever runs the tests may have styles of their own
os.environ.setdefault("COLUMNS", "200")  # what the commands print is not broken into lines where tests look for it


def pytest_collection_modifyitems(items):
    """The long ones first: a worker that starts one at the end is waited for by all others."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


@pytest.fixture(scope="session")
def vgg19_file() -> Path:
    file = SHARED / "weights/vgg19_normalised_relu5_1.safetensors"
    if not file.exists():
        pytest.skip("the real VGG-19 weights are not on this machine")
    return file


@pytest.fixture(scope="session")
def shared_data() -> Path:
    folder = SHARED / "data"
    if not folder.exists():
        pytest.skip("the photographs and paintings for evaluation are not on this machine")
    return folder


def random_encoder(*channels: int, depths: tuple[int, ...] = (2, 2, 4, 4, 1), dtype: torch.dtype = torch.float32) -> Encoder:
    """He-initialised filters: every code path, no quality."""
    generator = torch.Generator().manual_seed(0)
    encoder = Encoder(channels, depths[: len(channels)])
    for name, parameter in encoder.named_parameters():
        scale = (2 / parameter[0].numel()) ** 0.5 if name.endswith("weight") else 0.1
        parameter.data = torch.randn(parameter.shape, generator=generator) * scale
    return encoder.requires_grad_(False).to(dtype)


@pytest.fixture
def encoder() -> Encoder:
    return random_encoder(4, 6, 8, 8, 8)


@pytest.fixture
def cpu() -> Place:
    return Place(torch.device("cpu"), torch.float32)


@pytest.fixture
def decoder(encoder: Encoder) -> Decoder:
    """A tiny decoder for the tiny encoder."""
    torch.manual_seed(0)
    own = Decoder(encoder.channels, encoder.depths, encoder="tiny")
    pictures = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    initialise(own, encoder(pictures, LAYERS), pictures)
    return own.requires_grad_(False)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A small picture with colour, edges and a gradient."""
    path = tmp_path / "photo.png"
    scene(96, 72).save(path)
    return path


@pytest.fixture
def painting(tmp_path: Path) -> Path:
    path = tmp_path / "painting.png"
    scene(80, 64).rotate(90, expand=True).quantize(6).convert("RGB").save(path)
    return path


def scene(width: int, height: int) -> Image.Image:
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    disc = ((x - 0.6) ** 2 + (y - 0.4) ** 2 < 0.06).float()
    waves = 0.5 + 0.5 * torch.sin(30 * x + 8 * y)
    pixels = torch.stack([x * (1 - disc) + disc, 0.7 * y + 0.3 * disc * waves, waves * (1 - disc)], -1)
    return Image.fromarray((pixels.clamp(0, 1) * 255).byte().numpy())
