"""Graphs of repeated shapes: what is captured, when, and what happens where it fails; with a GPU also that it paints the same."""

import pytest
import torch

from impasto.networks.style_network import StyleNetwork
from impasto.runtime.cuda_graphs import MOST, RepeatedShapes


def picture(side):
    return torch.full((1, 3, side, side), 0.5)


def counting():
    """A capture that notes the shapes that it is asked for."""
    seen = []

    def capture(paint, example):
        seen.append(example.shape[-1])
        return lambda given: paint(given) + 1

    return seen, capture


def test_a_shape_is_captured_once_when_it_comes_again():
    seen, capture = counting()
    paint = RepeatedShapes(lambda given: 2 * given, capture=capture)
    found = [float(paint(picture(side)).mean()) for side in (8, 16, 8, 8, 16)]
    assert found == [1, 1, 2, 2, 2]
    assert seen == [8, 16]


def test_no_more_shapes_are_kept_than_there_is_memory_for():
    seen, capture = counting()
    paint = RepeatedShapes(lambda given: given, capture=capture)
    for side in range(8, 8 + MOST + 1):
        paint(picture(side))
        paint(picture(side))
    paint(picture(8))
    paint(picture(8))
    assert seen.count(8) == 2
    assert seen.count(8 + MOST) == 1


def test_what_cannot_be_captured_runs_as_it_is():
    def fail(paint, example):
        raise RuntimeError("an operation is not permitted")

    paint = RepeatedShapes(lambda given: 2 * given, capture=fail)
    assert [float(paint(picture(8)).mean()) for _ in range(3)] == [1, 1, 1]


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_graphs_paint_the_same():
    network = StyleNetwork(8, 1).cuda().requires_grad_(False)
    paint, photos = RepeatedShapes(network), torch.rand(4, 1, 3, 64, 80, device="cuda")
    with torch.inference_mode():
        for photo in photos:
            assert torch.allclose(paint(photo), network(photo), atol=1e-5)
