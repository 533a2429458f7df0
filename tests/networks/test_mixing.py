"""Mixing: convex, and at its corners the styles themselves."""

import pytest
import torch

from impasto.errors import InputError
from impasto.networks.mixing import mix
from impasto.networks.style_network import StyleNetwork
from impasto.networks.stylizer import NetworkStylizer


@pytest.fixture
def networks():
    made = []
    for seed in range(3):
        torch.manual_seed(seed)
        made.append(StyleNetwork(4, 1).requires_grad_(False))
    return made


def test_the_corners_are_the_styles_and_equals_stay_equal(networks):
    picture = torch.rand(1, 3, 24, 24)
    torch.testing.assert_close(mix(networks, [0, 1, 0])(picture), networks[1](picture))
    torch.testing.assert_close(mix([networks[0], networks[0]], [0.3, 0.7])(picture), networks[0](picture))


def test_every_parameter_is_the_convex_combination(networks):
    mixed = mix(networks, [1, 2, 1])
    for name, value in mixed.state_dict().items():
        parts = [network.state_dict()[name] for network in networks]
        torch.testing.assert_close(value, 0.25 * parts[0] + 0.5 * parts[1] + 0.25 * parts[2])


@pytest.mark.parametrize("weights", [[1, -1, 1], [0, 0, 0], [1, 1], [1, float("nan"), 1], [1, float("inf"), 1]])
def test_weights_that_mix_nothing_are_refused(networks, weights):
    with pytest.raises(InputError, match="weight of at least 0"):
        mix(networks, weights)


def test_networks_of_other_shape_are_refused(networks):
    with pytest.raises(InputError, match=r"width 4, 1 blocks.*width 8"):
        mix([networks[0], StyleNetwork(8, 1)])


def test_affine_styles_mix_at_run_time_in_one_batch(networks, cpu):
    network, picture = networks[0], torch.rand(1, 3, 24, 24)
    vectors = torch.stack([network.affine(), torch.randn(len(network.affine()))])
    shares = torch.tensor([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    stylizer = NetworkStylizer(network, cpu, affine=shares @ vectors)
    painted = stylizer(picture.expand(3, -1, -1, -1))
    for share, row in zip(shares, painted, strict=True):
        one = StyleNetwork(4, 1).requires_grad_(False)
        one.load_state_dict(network.state_dict())
        one.load_affine(share @ vectors)
        torch.testing.assert_close(row, NetworkStylizer(one, cpu)(picture)[0], atol=1e-5, rtol=1e-4)


def test_the_grain_of_a_mixture_does_not_depend_on_the_order():
    blocky, smooth = StyleNetwork(4, 1), StyleNetwork(4, 1, smooth=True)
    assert mix([blocky, smooth]).smooth
    assert mix([smooth, blocky]).smooth
    assert not mix([blocky, blocky]).smooth
