"""The model that is built of a network's weights does what the network does."""

import subprocess
import sys
from dataclasses import asdict

import pytest
import torch

from impasto.backends import openvino_graph
from impasto.backends.openvino_graph import network_graph, running
from impasto.networks.shape import Shape
from impasto.networks.style_network import StyleNetwork

pytest.importorskip("openvino", reason="the extra openvino is not installed")
SHAPES = [Shape(8, 2), Shape(8, 2, patch=2, outputs="tanh"), Shape(8, 1, patch=4, inputs="bytes", outputs="tanh")]


def both(shape, size=None):
    torch.manual_seed(0)
    network = StyleNetwork(**asdict(shape)).requires_grad_(False)
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    run = running(network_graph(weights, shape, size), precision="float32", threads=1)
    return network, lambda photo: torch.from_numpy(run([photo.permute(0, 2, 3, 1).contiguous().numpy()])).permute(0, 3, 1, 2)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_it_paints_what_the_network_paints_at_any_size(shape):
    network, run = both(shape)
    for batch, *size in ((1, 64, 80), (2, 61, 98), (1, 17, 31)):
        photo = torch.rand(batch, 3, *size)
        torch.testing.assert_close(run(photo), network(photo).clamp(0, 1), atol=1e-5, rtol=0)


def test_it_can_be_of_one_size():
    network, run = both(SHAPES[0], (45, 50))
    photo = torch.rand(1, 3, 45, 50)
    torch.testing.assert_close(run(photo), network(photo).clamp(0, 1), atol=1e-5, rtol=0)


def test_a_picture_is_not_changed_by_the_next_one():
    _, run = both(SHAPES[0])
    first = run(torch.zeros(1, 3, 32, 32))
    kept = first.clone()
    run(torch.ones(1, 3, 32, 32))
    assert torch.equal(first, kept)


def test_threads_are_not_bound_to_cores(monkeypatch):
    """Those of two programs would be bound to the same cores, and each take twice as long as needed."""
    whole, found = openvino_graph.core(), []

    class Watched:
        def compile_model(self, *given):
            found.append(whole.compile_model(*given))
            return found[-1]

    monkeypatch.setattr(openvino_graph, "core", Watched)
    both(SHAPES[0])
    assert [compiled.get_property("ENABLE_CPU_PINNING") for compiled in found] == [False]


SIGNALLED = """
import os, signal
import numpy, openvino
from openvino import opset13
from impasto.backends.openvino_graph import running

def run():
    x = opset13.parameter([1, 8], numpy.float32)
    return running(openvino.Model([opset13.relu(x)], [x]))

runs = [run() for _ in range(3)]
while runs:
    runs.pop(0)
signal.signal(signal.SIGINT, lambda *_: print("heard"))
os.kill(os.getpid(), signal.SIGINT)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals for one process")
def test_signals_are_heard_after_models_are_freed_in_the_order_they_were_made_in():
    """With an OpenVINO for every model, processors with AVX-512 ended here in a segmentation fault."""
    done = subprocess.run([sys.executable, "-c", SIGNALLED], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr
