"""Rewritten convolutions: the same numbers as the plain ones, and gradients where they are wanted."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from impasto.networks.rewrites import enlarged_convolution, narrow_convolution
from impasto.networks.style_network import StyleNetwork

SIDES = st.integers(5, 23)


def made(inputs, outputs, side):
    torch.manual_seed(1)
    return nn.Conv2d(inputs, outputs, side, padding=side // 2, padding_mode="reflect")


@settings(max_examples=15, deadline=None)
@given(height=SIDES, width=SIDES, batch=st.integers(1, 3), last=st.booleans())
def test_the_numbers_are_those_of_the_plain_convolution(height, width, batch, last):
    x = torch.randn(batch, 6, height, width)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    three, nine = made(6, 5, 3), made(6, 3, 9)
    with torch.no_grad():
        torch.testing.assert_close(
            enlarged_convolution(x, three), three(F.interpolate(x, scale_factor=2.0, mode="nearest")), atol=1e-4, rtol=0
        )
        torch.testing.assert_close(narrow_convolution(x, nine), nine(x), atol=1e-4, rtol=0)


def test_half_precision_stays_as_near_to_exact_as_the_plain_convolution():
    x, three, nine = torch.randn(1, 32, 40, 40), made(32, 16, 3), made(32, 3, 9)
    with torch.no_grad():
        for rewritten, plain, convolution in (
            (enlarged_convolution, lambda x, c: c(F.interpolate(x, scale_factor=2.0, mode="nearest")), three),
            (narrow_convolution, lambda x, c: c(x), nine),
        ):
            exact = plain(x, convolution)
            half = convolution.bfloat16()
            ours, theirs = ((way(x.bfloat16(), half).float() - exact).abs().mean() for way in (rewritten, plain))
            assert ours < 1.5 * theirs


@pytest.mark.parametrize("wanted", ["input", "weights"])
def test_where_gradients_are_wanted_the_plain_way_is_taken(wanted):
    x = torch.randn(1, 6, 9, 9, requires_grad=wanted == "input")
    for function, convolution in ((enlarged_convolution, made(6, 5, 3)), (narrow_convolution, made(6, 3, 9))):
        convolution.requires_grad_(wanted == "weights")
        function(x, convolution).sum().backward()
        found = x.grad if wanted == "input" else convolution.weight.grad
        assert found is not None
        assert found.abs().sum() > 0


@pytest.mark.parametrize("size", [(16, 16), (37, 50), (64, 41)])
def test_the_network_paints_what_it_painted_before(size):
    torch.manual_seed(0)
    network, photo = StyleNetwork(8, 2), torch.rand(2, 3, *size)
    plain = network(photo)
    assert plain.requires_grad
    with torch.inference_mode():
        torch.testing.assert_close(network(photo), plain.detach(), atol=1e-4, rtol=0)
