"""Enlarging textures: the reduction and its transpose, the exact proximal map, and that a reference adds detail."""

import pytest
import torch
import torch.nn.functional as F

from impasto.errors import InputError
from impasto.methods.solver.proximal import Quadratic
from impasto.methods.solver.solver import Solver, Steering
from impasto.methods.solver.texture import SCALES_OF_TEXTURES, Reduction, Resemblance, enlarge, luminance
from impasto.runtime.device import Place

CPU = Place(torch.device("cpu"), torch.float32)


def picture(*shape, seed=0, dtype=torch.float64):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def test_the_reduction_is_the_published_blur_and_stride():
    """17x17 Gaussian of deviation 3, reflected, then every third pixel from the middle of the first block."""
    x = picture(1, 1, 30, 36)
    places = torch.arange(-8, 9, dtype=torch.float64)
    kernel = torch.exp(-0.5 * (places / 3) ** 2)
    kernel /= kernel.sum()
    blurred = F.conv2d(F.pad(x, (8, 8, 8, 8), mode="reflect"), torch.outer(kernel, kernel)[None, None])
    torch.testing.assert_close(Reduction((30, 36))(x), blurred[..., 1::3, 1::3])


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_the_transpose_is_the_transpose(factor):
    reduction = Reduction((24, 36), factor)
    x, y = picture(1, 1, 24, 36), picture(1, 1, 24 // factor, 36 // factor, seed=1)
    torch.testing.assert_close((reduction(x) * y).sum(), (x * reduction.transposed(y)).sum())


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_constants_stay_constant(factor):
    assert (Reduction((24, 24), factor)(torch.full((1, 1, 24, 24), 0.3)) - 0.3).abs().max() < 1e-6


def test_the_proximal_map_is_exact():
    reduction = Reduction((24, 30))
    low, y = picture(1, 1, 8, 10), picture(1, 1, 24, 30, seed=1)
    regulariser = Resemblance(low, reduction, tolerance=1e-9, steps=100)
    assert isinstance(regulariser, Quadratic)
    x = regulariser.prox(y, 50.0).requires_grad_(True)
    (0.5 * (x - y).square().sum() + 50 * (low - reduction(x)).square().sum()).backward()
    assert x.grad.abs().max() < 1e-6
    through_small = torch.linalg.solve(
        torch.eye(80, dtype=torch.float64)
        + 100 * torch.stack([reduction(reduction.transposed(e.view(1, 1, 8, 10))).flatten() for e in torch.eye(80, dtype=torch.float64)]),
        (low - reduction(y)).flatten(),
    )
    torch.testing.assert_close(x.detach(), y + 100 * reduction.transposed(through_small.view(1, 1, 8, 10)), atol=1e-6, rtol=0)


def test_few_steps_are_enough():
    low, y = picture(1, 1, 16, 16, dtype=torch.float32), picture(1, 1, 48, 48, seed=1, dtype=torch.float32)
    solved = Resemblance(low, Reduction((48, 48))).solve(y, 50.0)
    assert solved.residual <= 1e-4
    assert solved.steps <= 24


@pytest.fixture
def solver(network, encoder):
    for update in network.updates:
        update.down[0][0].weight.mul_(30)
    return Solver(
        network, encoder, CPU, [picture(1, 3, 48, 48, dtype=torch.float32)], steering=Steering(scales=SCALES_OF_TEXTURES, grain=0.0)
    )


def test_an_enlarged_texture_made_small_again_is_the_texture(solver):
    coarse = F.avg_pool2d(picture(1, 3, 60, 66, seed=4, dtype=torch.float32), 15)
    small = F.interpolate(coarse, size=(12, 13), mode="bicubic")
    for guided in (True, False):
        large = enlarge(solver, small, guided=guided)
        assert large.shape == (1, 3, 36, 39)
        again = Reduction((36, 39))(luminance(large))
        assert (again - luminance(small)).abs().mean() < 0.02


def test_the_reference_adds_detail(solver):
    small = F.avg_pool2d(picture(1, 3, 60, 66, seed=4, dtype=torch.float32), 5)
    guided, plain = enlarge(solver, small), enlarge(solver, small, guided=False)
    assert (guided - plain).abs().mean() > 1e-3


def test_colours_are_those_of_the_small_picture(solver):
    """Only the luminance is invented: the difference of two channels is the bicubic one."""
    small = 0.3 + 0.4 * F.avg_pool2d(picture(1, 3, 60, 66, seed=4, dtype=torch.float32), 5)
    large = enlarge(solver, small)
    bicubic = F.interpolate(small, scale_factor=3, mode="bicubic")
    inside = ((large > 0) & (large < 1)).all(1)
    difference = ((large[:, 0] - large[:, 1]) - (bicubic[:, 0] - bicubic[:, 1]))[inside]
    assert difference.abs().max() < 1e-5


def test_impossible_enlargements_are_refused(solver):
    with pytest.raises(InputError, match="from 2 on"):
        enlarge(solver, torch.rand(1, 3, 20, 20), factor=1)
    with pytest.raises(InputError, match="too small to be enlarged"):
        enlarge(solver, torch.rand(1, 3, 2, 20))
