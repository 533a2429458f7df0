"""Warping, tracing and stability on motion that is known exactly."""

import pytest
import torch

from impasto.errors import InputError
from impasto.motion.flow import DenseInverseSearch
from impasto.motion.occlusion import disoccluded, motion_edges, reliability
from impasto.motion.stability import stability
from impasto.motion.warp import compose, warp


def picture(height=40, width=50, seed=0):
    coarse = torch.rand(1, 3, height // 4, width // 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic").clamp(0, 1)


def constant(dx, dy, height=40, width=50):
    return torch.tensor([dx, dy], dtype=torch.float32).view(1, 2, 1, 1).expand(1, 2, height, width).contiguous()


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_a_shift_by_whole_pixels_is_exact(mode):
    x = picture()
    warped, inside = warp(x, constant(3, -2), mode=mode)
    torch.testing.assert_close(warped[..., 2:, :-3], x[..., :-2, 3:], atol=1e-4, rtol=0)
    assert inside[..., 2:, :-3].min() == 1
    assert inside[..., :2, :].max() == 0
    assert warped[..., :2, :].abs().max() == 0


def test_half_a_pixel_is_the_mean_of_two():
    x = picture()
    warped, _ = warp(x, constant(0.5, 0))
    torch.testing.assert_close(warped[..., :-1], (x[..., :-1] + x[..., 1:]) / 2, atol=1e-5, rtol=0)


def test_flows_add_up():
    flow, inside = compose(constant(2, 1), constant(3, -1))
    torch.testing.assert_close(flow * inside, constant(5, 0) * inside)
    assert inside[..., 2].min() == 0
    assert inside[0, 0, 5, 5] == 1


def test_a_moving_square_uncovers_what_was_behind_it():
    """A square of 10x10 moves right by 4 on a still ground: its old left edge is new ground, and cannot be traced."""
    forward, backward = torch.zeros(1, 2, 40, 50), torch.zeros(1, 2, 40, 50)
    forward[:, 0, 15:25, 10:20] = 4
    backward[:, 0, 15:25, 14:24] = -4
    lost = disoccluded(backward, forward)[0, 0]
    assert lost[15:25, 10:14].all()
    assert not lost[16:24, 15:23].any()
    assert not lost[:13].any()
    mask = reliability(backward, forward)
    assert mask[0, 0, 15:25, 10:14].max() == 0
    assert motion_edges(backward)[0, 0, 20, 13]
    assert reliability(backward, forward, edges=False).sum() > mask.sum()
    before = torch.rand(1, 3, 40, 50, generator=torch.Generator().manual_seed(0))
    now = before.clone()
    now[..., 15:25, 14:24] = before[..., 15:25, 10:20]
    now[..., 15:25, 10:14] = 0.5
    warped, _ = warp(before, backward)
    assert (mask * (warped - now)).abs().max() < 1e-5


def test_dense_inverse_search_finds_a_shift():
    x = picture(64, 96)[0]
    flow = DenseInverseSearch()(x[:, :, 4:], x[:, :, :-4])
    assert flow.shape == (2, 64, 92)
    assert (flow[0, 10:-10, 10:-10] - 4).abs().median() < 0.5
    assert flow[1, 10:-10, 10:-10].abs().median() < 0.5


def test_tiny_frames_stand_still_and_unknown_presets_are_refused():
    assert DenseInverseSearch("fast")(torch.rand(3, 8, 8), torch.rand(3, 8, 8)).abs().max() == 0
    with pytest.raises(InputError, match="ultrafast, fast, medium"):
        DenseInverseSearch("best")


def test_a_film_that_moves_with_its_flow_is_stable():
    x = picture()[0]
    moved, inside = warp(x[None], constant(2, 0))
    still = stability([(moved[0], x, constant(2, 0)[0], inside[0])])
    assert still.e_stab < 1e-6
    assert still.pairs == 1


def test_e_stab_is_the_published_formula():
    """Every pixel and channel off by 0.1: sqrt(3 * 0.01); half of them masked: that times sqrt(1/2)."""
    one, other = torch.full((3, 10, 10), 0.5), torch.full((3, 10, 10), 0.6)
    flow, mask = torch.zeros(2, 10, 10), torch.ones(1, 10, 10)
    assert stability([(one, other, flow, mask)]).e_stab == pytest.approx(0.03**0.5)
    mask[:, :5] = 0
    assert stability([(one, other, flow, mask)] * 3).e_stab == pytest.approx(0.015**0.5)
    assert stability([]).pairs == 0


def test_low_contrast_does_not_buy_relative_stability():
    generator = torch.Generator().manual_seed(0)
    one, other = torch.rand(3, 10, 10, generator=generator), torch.rand(3, 10, 10, generator=generator)
    flow, mask = torch.zeros(2, 10, 10), torch.ones(1, 10, 10)
    full, pale = (stability([(s * one, s * other, flow, mask)]) for s in (1.0, 0.1))
    assert pale.e_stab == pytest.approx(full.e_stab / 10, rel=1e-4)
    assert pale.relative == pytest.approx(full.relative, rel=1e-4)
