"""LPIPS: against the formula written with PyTorch's own layers, as the published network computes it."""

from importlib.machinery import ModuleSpec

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from impasto.evaluation import lpips
from impasto.evaluation.fidelity import Judge
from impasto.evaluation.lpips import LAYERS, Lpips, lpips_at_hand
from impasto.networks.shape import IMAGENET_MEAN, IMAGENET_STD
from impasto.perception.encoder import VGG16_DEPTHS, Encoder, fold_normalisation
from impasto.runtime.device import Place

CHANNELS = (4, 6, 8, 10, 10)
CPU = Place(torch.device("cpu"), torch.float32)


@pytest.fixture
def published():
    """Filters as torchvision's VGG-16 has them: for normalised colours, zeros beyond the border."""
    torch.manual_seed(0)
    return nn.ModuleDict({name.replace("conv", ""): layer for name, layer in Encoder(CHANNELS, VGG16_DEPTHS).named_children()})


@pytest.fixture
def ours(published):
    encoder = Encoder(CHANNELS, VGG16_DEPTHS).requires_grad_(False)
    for name in encoder.names:
        encoder.convolution(name).load_state_dict(published[name].state_dict())
    first = encoder.convolution("1_1")
    first.weight.data, first.bias.data = fold_normalisation(first.weight, first.bias, mean=IMAGENET_MEAN, std=IMAGENET_STD)
    return Lpips(encoder, [torch.rand(count, generator=torch.Generator().manual_seed(count)) for count in CHANNELS])


@torch.no_grad()
def as_published(layers, weights, first, second):
    x = torch.cat([first, second]).sub(torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1)).div(torch.tensor(IMAGENET_STD).view(1, 3, 1, 1))
    total = 0.0
    for name, layer in layers.items():
        if name.endswith("_1") and name != "1_1":
            x = F.max_pool2d(x, 2, 2)
        x = F.relu(F.conv2d(x, layer.weight, layer.bias, padding=1))
        if f"relu{name}" in LAYERS:
            a, b = (part / (part.norm(dim=0, keepdim=True) + 1e-10) for part in x)
            total += float(F.conv2d((a - b)[None] ** 2, weights[int(name[0]) - 1].view(1, -1, 1, 1)).mean())
    return total


def test_it_is_the_published_formula(published, ours):
    first, second = (torch.rand(1, 3, 50, 67, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert ours(first, second) == pytest.approx(as_published(published, ours.weights, first, second), rel=1e-4)
    assert ours(first, second) == pytest.approx(ours(second, first), rel=1e-5)
    assert ours(first, first) == 0
    assert 0 < ours(first, first.lerp(second, 0.1)) < ours(first, first.lerp(second, 0.5))


def test_it_is_measured_where_its_weights_are_at_hand(ours, tmp_path, monkeypatch):
    file = tmp_path / "weights/v0.1/vgg.pth"
    file.parent.mkdir(parents=True)
    torch.save({f"lin{number}.model.1.weight": weight.view(1, -1, 1, 1) for number, weight in enumerate(ours.weights)}, file)
    package = ModuleSpec("lpips", None, is_package=True)
    package.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(lpips, "load_encoder", lambda name, place: ours.encoder)
    for there, fetched in ((package, True), (package, False), (None, True)):
        monkeypatch.setattr(lpips, "find_spec", lambda name, there=there: there)
        monkeypatch.setattr(lpips, "is_at_hand", lambda name, kind, fetched=fetched: fetched)
        assert (lpips_at_hand(CPU) is not None) == (fetched and there is not None)
    monkeypatch.setattr(lpips, "find_spec", lambda name: package)
    monkeypatch.setattr(lpips, "is_at_hand", lambda name, kind: True)
    photo, painting = (torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    encoder = Encoder(CHANNELS, (2, 2, 4, 4, 1)).requires_grad_(False)
    judge = Judge(encoder, photo, painting, lpips_at_hand(CPU))
    assert judge(painting).lpips == pytest.approx(ours(painting.mul(255).round().div(255), photo), rel=1e-5)
    assert Judge(encoder, photo, painting)(painting).lpips is None
    file.unlink()
    assert lpips_at_hand(CPU) is None
