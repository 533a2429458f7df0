"""The networks have the published numbers of weights, take any size, and start from a style that is learned already."""

import pytest
import torch

from impasto.errors import InputError, StyleError
from impasto.methods.distillation.networks import SightedNetwork, VideoNetwork, student_network, take_over
from impasto.methods.distillation.teacher_file import from_teacher_file, to_teacher_file
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import from_style_file, to_style_file
from impasto.storage.style_file import StyleRecord


def weights(network):
    return sum(parameter.numel() for parameter in network.parameters())


def test_numbers_of_weights_are_the_published_ones():
    assert weights(VideoNetwork()) == 1_679_235
    assert weights(VideoNetwork()) - 81 * 4 * 32 == 1_668_867
    assert [weights(student_network(name)) for name in ("reconet", "reconet-s", "reconet-xs")] == [3_098_307, 1_679_235, 615_459]
    assert weights(student_network("metastyle")) == 1_679_235
    with pytest.raises(InputError, match="reconet-xs, metastyle"):
        student_network("reconet-xl")


@pytest.mark.parametrize("size", [(16, 16), (21, 34), (40, 17)])
def test_any_size_comes_back(size):
    frame = torch.rand(2, 3, *size)
    for network in (VideoNetwork(8, 1), StyleNetwork(8, 1, inputs="bytes", outputs="tanh")):
        with torch.no_grad():
            painted = network(frame)
        assert painted.shape == frame.shape
        assert painted.min() > -0.19
        assert painted.max() < 1.12


def test_a_student_gives_its_feature_map():
    features = []
    network = StyleNetwork(8, 1)
    network(torch.rand(2, 3, 32, 24), features=features)
    assert features[0].shape == (2, 32, 8, 6)


def test_what_cannot_be_trusted_is_not_seen():
    torch.manual_seed(0)
    network = VideoNetwork(8, 1)
    frame, prior = torch.rand(2, 1, 3, 32, 32)
    nothing = torch.zeros(1, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(frame, prior, nothing), network(frame))
        assert not torch.allclose(network(frame, prior, nothing + 1), network(frame), atol=1e-3)


def test_a_teacher_takes_over_a_learned_style_and_begins_blind():
    torch.manual_seed(0)
    start, network = StyleNetwork(8, 2), VideoNetwork(8, 2)
    take_over(network, start)
    assert torch.equal(network.down[0].convolution.weight[:, :3], start.down[0].convolution.weight)
    assert torch.equal(network.up.convolution.weight, start.up[0].convolution.weight)
    assert torch.equal(network.residual[1].second.norm.weight, start.residual[1].second.norm.weight)
    frame, prior = torch.rand(2, 1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(network(frame, prior, torch.ones(1, 1, 32, 32)), network(frame))
    with pytest.raises(InputError, match="width 8"):
        take_over(network, StyleNetwork(4, 2))


def test_a_teacher_survives_its_file():
    torch.manual_seed(0)
    network = VideoNetwork(8, 1)
    style = to_teacher_file(network, StyleRecord("candy", "distillation"))
    frame = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(from_teacher_file(style)(frame), network(frame), atol=0.04, rtol=0)
    with pytest.raises(StyleError, match="is no teacher"):
        from_teacher_file(to_style_file(StyleNetwork(8, 1), StyleRecord("candy", "distillation")))


@pytest.mark.parametrize("start", [{}, {"inputs": "bytes", "outputs": "tanh"}, {"patch": 2}])
def test_a_student_with_four_inputs_more_begins_blind_and_learns_to_see(start):
    torch.manual_seed(0)
    student = StyleNetwork(8, 1, grain=0.0, **start)
    with torch.no_grad():
        student.last.weight.mul_(255 if student.outputs == "tanh" else 1)
    network = SightedNetwork(student)
    frame, prior = torch.rand(2, 1, 3, 30, 34)
    mask = torch.ones(1, 1, 30, 34)
    with torch.no_grad():
        torch.testing.assert_close(network(frame, prior, mask), student(frame))
        network.down[0].convolution.weight[:, student.down[0].convolution.in_channels :] += 0.1
        assert not torch.allclose(network(frame, prior, mask), student(frame), atol=1e-3)
        torch.testing.assert_close(network(frame, prior, 0 * mask), network(frame))
        torch.testing.assert_close(network.blind()(frame), network(frame))
        again = from_teacher_file(to_teacher_file(network, StyleRecord("candy", "distillation")))
        assert isinstance(again, SightedNetwork)
        torch.testing.assert_close(again(frame, prior, mask), network(frame, prior, mask), atol=0.06, rtol=0)


def test_a_student_survives_its_file():
    student = student_network("reconet-xs")
    style = to_style_file(student, StyleRecord("candy", "distillation"))
    again = from_style_file(style)
    assert (again.inputs, again.outputs, again.grain) == ("bytes", "tanh", 0.0)
    frame = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(again(frame), student(frame), atol=0.02, rtol=0)
