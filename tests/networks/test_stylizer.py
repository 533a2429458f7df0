"""The stylizer of an adapted network."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.errors import InputError
from impasto.networks.style_network import StyleNetwork
from impasto.networks.stylizer import NetworkStylizer
from impasto.runtime.device import Place

EXACT = Place(torch.device("cpu"), torch.float32)


def network():
    torch.manual_seed(0)
    return StyleNetwork(4, 1)


def test_strength_goes_from_the_photo_to_the_full_style_evenly():
    photo = torch.rand(1, 3, 32, 48)
    full = NetworkStylizer(network(), EXACT)(photo)
    distances = []
    for strength in (0.0, 0.25, 0.5, 0.75, 1.0):
        painted = NetworkStylizer(network(), EXACT, strength=strength)(photo)
        assert 0 <= painted.min() <= painted.max() <= 1
        distances.append((painted - photo).square().mean().item())
    assert distances[0] == 0
    assert distances == sorted(distances)
    torch.testing.assert_close(NetworkStylizer(network(), EXACT, strength=1.0)(photo), full)


@pytest.mark.parametrize("strength", [-0.1, 1.5, float("nan")])
def test_other_strengths_are_refused(strength):
    with pytest.raises(InputError, match="strength goes from 0"):
        NetworkStylizer(network(), EXACT, strength=strength)


@settings(max_examples=10, deadline=None)
@given(height=st.integers(32, 61), width=st.integers(32, 90))
def test_any_size_in_is_the_size_out(height, width):
    assert NetworkStylizer(network(), EXACT)(torch.rand(1, 3, height, width)).shape == (1, 3, height, width)


def test_the_same_photo_is_painted_the_same_every_time():
    stylizer, photo = NetworkStylizer(network(), EXACT), torch.rand(1, 3, 40, 48)
    first = stylizer(photo)
    stylizer(torch.rand(1, 3, 64, 64))
    assert torch.equal(stylizer(photo), first)


def test_films_are_painted_without_the_grain():
    photo, plain = torch.rand(1, 3, 32, 48), StyleNetwork(4, 1, grain=0.0)
    plain.load_state_dict(network().state_dict())
    still = NetworkStylizer(network(), EXACT, grain=False)(photo)
    assert torch.equal(still, NetworkStylizer(plain, EXACT)(photo))
    assert not torch.equal(still, NetworkStylizer(network(), EXACT)(photo))


def test_the_inside_does_not_depend_on_the_padding_to_multiples_of_four():
    photo, plain = torch.rand(1, 3, 64, 64), StyleNetwork(4, 1, grain=0.0)
    plain.load_state_dict(network().state_dict())
    cut = NetworkStylizer(plain, EXACT)(photo[..., :61, :62])
    assert cut.shape == (1, 3, 61, 62)
    whole = NetworkStylizer(plain, EXACT)(photo)[..., :61, :62]
    assert (cut - whole)[..., :40, :40].abs().mean() < 0.05


def test_half_precision_paints_nearly_the_same():
    photo = torch.rand(1, 3, 64, 64)
    cpu = NetworkStylizer(network(), EXACT)(photo)
    half = NetworkStylizer(network(), Place(torch.device("cpu"), torch.bfloat16))(photo)
    assert half.dtype == torch.float32
    assert (half - cpu).abs().mean() < 0.02


def test_regions_are_for_other_methods():
    with pytest.raises(InputError, match="--method solver"):
        NetworkStylizer(network(), EXACT)(torch.rand(1, 3, 32, 32), masks=torch.ones(1, 1, 32, 32))


def sizes_of(stylizer, photo):
    """The sizes that the network is given, and the picture."""
    seen = []
    stylizer.network.register_forward_pre_hook(lambda module, given: seen.append(tuple(given[0].shape[-2:])))
    return seen, stylizer(photo)


@pytest.mark.parametrize(
    ("size", "stroke", "painted"),
    [
        ((400, 640), 1.0, [(400, 640)]),
        ((401, 641), 1.0, [(200, 320), (401, 641)]),
        ((600, 1300), 1.0, [(150, 325), (300, 650), (600, 1300)]),
        ((400, 640), 2.0, [(200, 320), (400, 640)]),
        ((401, 641), 0.5, [(401, 641)]),
        ((170, 2000), 1.0, [(85, 1000), (170, 2000)]),
        ((64, 48), 8.0, [(64, 48)]),
    ],
)
def test_large_pictures_are_painted_coarse_to_fine_and_strokes_can_be_larger(size, stroke, painted):
    seen, picture = sizes_of(NetworkStylizer(network(), EXACT, stroke=stroke), torch.rand(1, 3, *size))
    assert seen == painted
    assert picture.shape == (1, 3, *size)
    assert 0 <= picture.min() <= picture.max() <= 1


def test_a_large_picture_keeps_the_photos_detail():
    photo = torch.full((1, 3, 400, 700), 0.5)
    photo[..., 200:, :] = 0.9
    picture = NetworkStylizer(network(), EXACT)(photo)
    steps = (picture[..., 1:, :] - picture[..., :-1, :]).abs().mean((0, 1, 3))
    assert abs(int(steps.argmax()) - 199) <= 4


def test_the_same_large_photo_is_painted_the_same_every_time():
    stylizer, photo = NetworkStylizer(network(), EXACT), torch.rand(1, 3, 330, 700)
    first = stylizer(photo)
    stylizer(torch.rand(1, 3, 330, 660))
    assert torch.equal(stylizer(photo), first)
