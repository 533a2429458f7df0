"""The network that the fast methods share."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.networks.style_network import ConvolutionNorm, Residual, StyleNetwork, blobs, paint

TABLE = [
    ("down.0", 7_808 + 64), ("down.1", 18_496 + 128), ("down.2", 73_856 + 256),
    *((f"residual.{block}", 2 * 147_584 + 2 * 256) for block in range(5)),
    ("up.0", 73_792 + 128), ("up.1", 18_464 + 64), ("last", 7_779),
]  # fmt: skip


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_every_layer_has_the_published_number_of_parameters():
    network = StyleNetwork()
    assert count(network) == 1_679_235
    for name, parameters in TABLE:
        assert count(network.get_submodule(name)) == parameters, name
    assert network.affine().shape == (3_200,)


@settings(max_examples=12, deadline=None)
@given(height=st.integers(16, 70), width=st.integers(16, 200), batch=st.integers(1, 2))
def test_any_size_comes_out_as_it_went_in(height, width, batch):
    painted = StyleNetwork(4, 1)(torch.rand(batch, 3, height, width))
    assert painted.shape == (batch, 3, height, width)
    assert 0 <= painted.min() <= painted.max() <= 1


def test_a_convolution_with_norm_is_instance_norm_for_one_picture_and_for_several():
    torch.manual_seed(0)
    layer = ConvolutionNorm(3, 6, 3)
    torch.nn.init.normal_(layer.norm.weight)
    torch.nn.init.normal_(layer.norm.bias)
    for batch in (1, 3):
        x = torch.rand(batch, 3, 12, 10)
        torch.testing.assert_close(layer(x), torch.relu(layer.norm(layer.convolution(x))))
        affine = torch.randn(batch, 2, 6)
        own = torch.relu(F.instance_norm(layer.convolution(x)) * affine[:, 0, :, None, None] + affine[:, 1, :, None, None])
        torch.testing.assert_close(layer(x, affine), own)


def test_a_residual_block_adds_without_a_relu():
    block = Residual(4)
    torch.nn.init.zeros_(block.second.norm.weight)
    x = torch.randn(1, 4, 8, 8)
    torch.testing.assert_close(block(x), x)


def test_the_affine_vector_replaces_the_scales_and_shifts_of_every_norm():
    torch.manual_seed(1)
    network, other = StyleNetwork(4, 2), StyleNetwork(4, 2)
    picture = torch.rand(2, 3, 24, 20)
    vectors = torch.randn(2, len(network.affine()))
    both = network(picture, vectors)
    for index in range(2):
        other.load_state_dict(network.state_dict())
        other.load_affine(vectors[index])
        torch.testing.assert_close(other.affine(), vectors[index])
        torch.testing.assert_close(both[index], other(picture[index : index + 1])[0], atol=1e-5, rtol=1e-4)
    with pytest.raises(ValueError, match="affine parameters, not 7"):
        network(picture, torch.rand(7))


def test_published_inputs_are_bytes_and_ours_are_centred():
    picture = torch.rand(1, 3, 16, 16)
    official, ours = StyleNetwork(4, 1, inputs="bytes"), StyleNetwork(4, 1)
    seen = []
    official.down[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    ours.down[0].register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    official(picture)
    ours(picture)
    torch.testing.assert_close(seen[0], picture * 255)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    torch.testing.assert_close(seen[1], (picture - mean.view(1, 3, 1, 1)) / std.view(1, 3, 1, 1))
    with pytest.raises(ValueError, match="centred"):
        StyleNetwork(inputs="grey")


def test_the_grain_follows_the_generator_and_has_its_deviation():
    network, picture = StyleNetwork(4, 1, grain=0.1), torch.full((2, 3, 90, 70), 0.5)
    first, again = (network.grained(picture, torch.Generator().manual_seed(1)) for _ in range(2))
    assert torch.equal(first, again)
    assert torch.equal(first[:, 0], first[:, 2])
    assert not torch.equal(first[0], first[1])
    assert (first - picture).std() == pytest.approx(0.1, rel=0.2)
    assert StyleNetwork(4, 1, grain=0.0).grained(picture, torch.Generator()) is picture


def test_a_flat_picture_is_painted_with_more_than_one_repeated_pattern():
    torch.manual_seed(0)
    flat = torch.full((1, 3, 64, 64), 0.4)
    plain, grained = StyleNetwork(8, 2, grain=0.0), StyleNetwork(8, 2, grain=0.1)
    grained.load_state_dict(plain.state_dict())
    generator = torch.Generator().manual_seed(0)

    def repeats(network):
        inside = network(network.grained(flat, generator))[..., 24:40, 24:40]
        return (inside[..., :8, :8] - inside[..., 8:, 8:]).abs().mean() / inside.std()

    assert repeats(plain) < 0.05 < 0.3 < repeats(grained)


def test_crowding_does_not_depend_on_scale_and_shift():
    torch.manual_seed(0)
    layer = ConvolutionNorm(3, 5, 3)
    torch.nn.init.normal_(layer.norm.bias)
    layer.norm.weight.data = torch.tensor([1.0, -2.0, 0.5, 3.0, -0.2])
    x, crowding = torch.rand(2, 3, 16, 24), []
    layer(x, None, crowding)
    expected = F.instance_norm(layer.convolution(x)).square().mean(1).square().mean((1, 2))
    torch.testing.assert_close(crowding[0], expected, atol=1e-4, rtol=1e-4)


def test_the_penalty_against_blobs_sees_a_blob_and_nothing_else():
    torch.manual_seed(0)
    assert blobs([torch.tensor([3.0, 4.0])]) == 0
    assert blobs([torch.tensor([5.0, 6.0]), torch.tensor([1.0, 1.0])]) == pytest.approx((1 + 2) / 2 / 2)
    layer, plain, blob = ConvolutionNorm(1, 4, 3), [], []
    picture = torch.rand(1, 1, 64, 64)
    layer(picture, None, plain)
    picture[..., 20:23, 20:23] = 100.0
    layer(picture, None, blob)
    assert blobs(plain) == 0
    assert blobs(blob) > 20


def test_painting_with_other_parameters_reaches_them_with_its_gradient_in_any_precision():
    network = StyleNetwork(4, 1)
    own = {name: torch.zeros_like(value).requires_grad_(True) for name, value in network.named_parameters()}
    painted = paint(network, own, torch.rand(1, 3, 16, 16), torch.bfloat16)
    assert torch.allclose(painted, torch.tensor(0.5))
    painted.sum().backward()
    assert own["last.bias"].grad is not None
    assert own["last.bias"].grad.dtype == torch.float32
    assert own["last.bias"].grad.abs().min() > 0
    assert all(value.grad is None for value in network.parameters())


def test_smooth_noise_has_no_cells_with_edges():
    """The coarse parts change gradually: differences of neighbours do not gather at every eighth pixel."""
    from impasto.networks.style_network import noise

    def at_edges(smooth):
        drawn = noise((1, 1, 256, 256), torch.Generator().manual_seed(0), smooth=smooth)[0, 0]
        steps = (drawn[:, 1:] - drawn[:, :-1]).square().mean(0)
        return float(steps[15::16].mean() / steps[7::16].mean())

    assert at_edges(smooth=False) > 1.15
    assert 0.85 < at_edges(smooth=True) < 1.1


@pytest.mark.parametrize("patch", [2, 4])
def test_patches_are_as_a_whole_network_of_another_first_and_last_layer(patch):
    torch.manual_seed(0)
    network = StyleNetwork(8, 1, patch=patch)
    assert network.down[0].convolution.in_channels == network.last.out_channels == 3 * patch**2
    for size in ((16, 16), (37, 50)):
        painted = network(torch.rand(1, 3, *size))
        assert painted.shape == (1, 3, *size)
    again = network.empty_copy()
    assert again.shape == network.shape
    assert {name: value.shape for name, value in again.state_dict().items()} == {n: v.shape for n, v in network.state_dict().items()}
    with pytest.raises(ValueError, match="side of a patch"):
        StyleNetwork(8, 1, patch=3)


def test_levelled_patches_paint_what_is_flat_without_a_grid():
    torch.manual_seed(0)
    network = StyleNetwork(8, 1, patch=2).requires_grad_(False)
    flat = torch.full((1, 3, 64, 64), 0.7)

    def grid():
        inner = network(flat)[0, :, 16:-16, 16:-16]
        return float(inner.std((1, 2)).max())

    before, middle = grid(), float(network.last.weight.mean())
    network.level()
    assert before > 1e-3
    assert grid() < 1e-6
    assert float(network.last.weight.mean()) == pytest.approx(middle, abs=1e-6)
    plain = StyleNetwork(8, 1)
    weights = plain.last.weight.clone()
    plain.level()
    assert torch.equal(plain.last.weight, weights)
