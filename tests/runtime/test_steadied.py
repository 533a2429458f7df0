"""Stabilised films: by flow they flicker less, a new shot begins anew, and a film can be taken up again."""

from itertools import pairwise

import pytest
import torch

from impasto.methods.distillation.networks import VideoNetwork
from impasto.methods.distillation.teacher import Teacher, shrunk
from impasto.motion.stability import stability
from impasto.runtime.device import Place
from impasto.runtime.steadied import Steadied
from impasto.training.made_pictures import made_pictures

CPU = Place(torch.device("cpu"), torch.float32)


class Flickering:
    """Paints every frame in a lightness of its own."""

    def __init__(self):
        self.painted = 0

    def __call__(self, image, *, masks=None):
        self.painted += 1
        return (0.8 * image + 0.2 * (self.painted % 2)).clamp(0, 1)


def film(count=6, height=64, width=96, seed=0):
    wide = made_pictures(1, 192, torch.Generator().manual_seed(seed)).picture(0).float() / 255
    return [wide[:, :height, 2 * t : 2 * t + width] for t in range(count)]


def pan(frames):
    flow = torch.tensor([2.0, 0.0]).view(2, 1, 1).expand(2, *frames[0].shape[-2:])
    mask = torch.ones(1, *frames[0].shape[-2:])
    return stability((one, other, flow, mask) for other, one in pairwise(frames)).e_stab


def test_flow_holds_any_stylizer_still():
    frames = film()
    flickering = Flickering()
    alone = [flickering(frame[None])[0] for frame in frames]
    steadied = list(Steadied(Flickering(), CPU).stream(iter(frames)))
    assert pan(steadied) < 0.6 * pan(alone)


def test_nothing_of_the_shot_before_is_seen_after_a_cut():
    shots = film(3) + [1 - frame for frame in film(3, seed=4)]
    painted = list(Steadied(lambda image, masks=None: image, CPU, share=1.0).stream(iter(shots)))
    assert torch.equal(painted[3], shots[3])
    teacher = Teacher(VideoNetwork(4, 1), CPU)
    streamed = list(teacher.stream(iter(shots)))
    torch.testing.assert_close(streamed[3], teacher(shots[3][None])[0])
    assert not torch.equal(streamed[4], teacher(shots[4][None])[0])


@pytest.mark.parametrize("kind", ["steadied", "teacher"])
def test_a_film_is_taken_up_where_it_was_left(kind):
    frames, network = film(), VideoNetwork(4, 1)
    stylizer = Teacher(network, CPU) if kind == "teacher" else Steadied(lambda image, masks=None: image.square(), CPU)
    whole = list(stylizer.stream(iter(frames)))
    rest = list(stylizer.stream(iter(frames[3:]), first=(frames[2], whole[2])))
    for one, other in zip(whole[3:], rest, strict=True):
        torch.testing.assert_close(one, other)


def test_a_single_frame_is_a_film():
    (frame,) = film(1)
    (painted,) = Steadied(lambda image, masks=None: 1 - image, CPU).stream([frame])
    torch.testing.assert_close(painted, 1 - frame)


def test_what_lies_near_an_untraced_place_is_not_trusted():
    mask = torch.ones(1, 1, 21, 21)
    mask[..., 10, 10] = 0
    assert shrunk(mask).sum() == 21 * 21 - 49


def test_strength_leads_to_the_film():
    frame = film(1)[0]
    torch.testing.assert_close(Teacher(VideoNetwork(4, 1), CPU, strength=0.0)(frame[None])[0], frame)
