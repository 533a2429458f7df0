import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.perception.encoder import VGG16_DEPTHS, Encoder, fold_normalisation
from impasto.perception.weights import read_encoder
from tests.conftest import SHARED, random_encoder


@pytest.mark.parametrize(
    ("blocks", "depths", "parameters"),
    [(1, (1,), 1_792), (2, (2, 1), 112_576), (3, (2, 2, 1), 555_328), (4, (2, 2, 4, 1), 3_505_728), (5, (2, 2, 4, 4, 1), 12_944_960)],
)
def test_parameter_counts_are_those_of_vgg19(blocks, depths, parameters):
    encoder = Encoder((64, 128, 256, 512, 512)[:blocks], depths)
    assert sum(p.numel() for p in encoder.parameters()) == parameters


def test_layers_are_named_as_in_the_papers():
    assert Encoder().layers[-1] == "relu5_1"
    assert Encoder().layers.index("relu4_2") == 9
    assert "relu3_4" not in Encoder(depths=VGG16_DEPTHS).layers


def test_one_pass_gives_all_layers_with_their_strides(encoder):
    layers = ["relu1_1", "relu2_2", "relu3_4", "relu4_2", "relu5_1"]
    features = encoder(torch.rand(2, 3, 64, 48), layers)
    assert list(features) == layers
    assert [tuple(f.shape[2:]) for f in features.values()] == [(64, 48), (32, 24), (16, 12), (8, 6), (4, 3)]
    assert all(f.min() >= 0 for f in features.values())
    alone = encoder(torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(1)), ["relu3_1"])
    assert alone["relu3_1"].shape[1] == 8


def test_asking_for_less_computes_less(encoder, monkeypatch):
    used = []
    monkeypatch.setattr(encoder, "convolution", lambda name: used.append(name) or Encoder.convolution(encoder, name))
    encoder(torch.rand(1, 3, 32, 32), ["relu2_1"])
    assert used == ["1_1", "1_2", "2_1"]


def test_unknown_layers_are_named(encoder):
    with pytest.raises(ValueError, match="no layer 'relu6_1'"):
        encoder(torch.rand(1, 3, 32, 32), ["relu6_1"])


@settings(max_examples=20, deadline=None)
@given(height=st.integers(32, 90), width=st.integers(32, 90))
def test_odd_sizes_and_aspect_ratios(height, width):
    features = random_encoder(2, 2, 2, 2, 2)(torch.rand(1, 3, height, width), ["relu1_1", "relu5_1"])
    assert features["relu1_1"].shape[2:] == (height, width)
    assert features["relu5_1"].shape[2:] == (height // 16, width // 16)


def test_gradients_reach_the_pixels_and_not_the_weights(encoder):
    image = torch.rand(1, 3, 32, 32, requires_grad=True)
    encoder(image, ["relu4_1"])["relu4_1"].sum().backward()
    assert image.grad.abs().sum() > 0
    assert all(p.grad is None for p in encoder.parameters())


def test_gradient_check_in_float64():
    encoder = random_encoder(3, 4, dtype=torch.float64)
    image = torch.rand(1, 3, 6, 8, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: encoder(x, ["relu1_2", "relu2_2"])["relu2_2"], image)


def test_folding_the_normalisation_is_exact():
    plain, folded = random_encoder(5, dtype=torch.float64), random_encoder(5, dtype=torch.float64)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    weight, bias = fold_normalisation(plain.conv1_1.weight, plain.conv1_1.bias, mean=mean, std=std)
    folded.conv1_1.weight.data, folded.conv1_1.bias.data = weight.double(), bias.double()
    image = torch.rand(1, 3, 9, 9, dtype=torch.float64)
    normalised = (image - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    assert torch.allclose(folded(image, ["relu1_2"])["relu1_2"], plain(normalised, ["relu1_2"])["relu1_2"], atol=1e-5)


def test_average_pooling_is_a_choice():
    image = torch.rand(1, 3, 8, 8)
    encoder = random_encoder(3, 3)
    averaging = Encoder((3, 3), (2, 2), pool="avg")
    averaging.load_state_dict(encoder.state_dict())
    assert not torch.allclose(encoder(image, ["relu2_1"])["relu2_1"], averaging(image, ["relu2_1"])["relu2_1"])
    with pytest.raises(ValueError, match="'max' or 'avg'"):
        Encoder(pool="median")


def test_agrees_with_an_independent_implementation_on_the_real_weights(vgg19_file):
    sys.path.insert(0, str(SHARED / "weights"))
    from verify import Encoder as Independent

    image = torch.rand(1, 3, 70, 90, generator=torch.Generator().manual_seed(0))
    layers = ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu4_2", "relu5_1"]
    with torch.no_grad():
        ours, theirs = read_encoder(vgg19_file)(image, layers), Independent(vgg19_file)(image, layers)
    for layer in layers:
        assert torch.allclose(ours[layer], theirs[layer], rtol=1e-4, atol=1e-4)
