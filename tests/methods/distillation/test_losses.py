"""The losses of distillation: gradients in float64, what vanishes when it should, and the two findings about the nuclear norm."""

import pytest
import torch
from torch.autograd import gradcheck

from impasto.methods.distillation.losses import (
    RANK_MODES,
    aligned,
    feature_loss,
    low_rank_loss,
    output_loss,
    rank_measure,
    residual_loss,
    singular_values,
    vanilla_loss,
)
from impasto.motion.temporal import temporal_loss


def films(*shape, count=1, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.rand(*shape, generator=generator, dtype=torch.float64) for _ in range(count)]


def motion(frames=3, height=6, width=7, seed=1):
    generator = torch.Generator().manual_seed(seed)
    # A quarter of a pixel and no more: away from the corners of bilinear interpolation, where no derivative exists.
    flow = 0.3 + 0.4 * torch.rand(frames, 2, height, width, generator=generator, dtype=torch.float64)
    mask = (torch.rand(frames, 1, height, width, generator=generator, dtype=torch.float64) > 0.3).double()
    return flow, mask


def shifting(count=4, height=16, width=24):
    """A picture that moves by two pixels a frame, its flow to the frame before, and everything traced."""
    wide = torch.rand(1, 3, height, width + 2 * count, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    frames = torch.cat([wide[..., 2 * t : 2 * t + width] for t in range(count)])
    backward = torch.tensor([2.0, 0.0], dtype=torch.float64).view(1, 2, 1, 1).expand(count - 1, 2, height, width)
    return frames, backward, torch.ones(count - 1, 1, height, width, dtype=torch.float64)


def test_gradients_are_those_of_the_formulas():
    (frames,) = films(3, 3, 6, 7)
    frames.requires_grad_(True)
    vanilla, taught, untaught, inputs = films(3, 3, 6, 7, count=4, seed=5)
    flow, mask = motion(2)
    far, seen = motion(3)
    assert gradcheck(lambda y: residual_loss(y, vanilla, taught, untaught), frames)
    assert gradcheck(lambda y: vanilla_loss(y, taught), frames)
    assert gradcheck(lambda y: temporal_loss(y, flow, mask), frames)
    assert gradcheck(lambda y: output_loss(y, inputs, flow, mask), frames)
    assert gradcheck(lambda y: feature_loss(y, *motion(2, 24, 28)), frames)
    reference = aligned(inputs, far, seen)
    for mode in RANK_MODES:
        for intersected in (True, False):
            assert gradcheck(
                lambda y, mode=mode, both=intersected: low_rank_loss(aligned(y, far, seen, intersected=both), reference, mode=mode),
                frames,
            )


def test_the_residual_is_what_the_flow_changes_and_not_how_the_teacher_paints():
    vanilla, untaught, change = films(2, 3, 4, 4, count=3)
    assert residual_loss(vanilla + change, vanilla, untaught + change, untaught) == pytest.approx(0, abs=1e-30)
    assert vanilla_loss(vanilla + change, untaught + change) > 0.01


def test_with_one_vanilla_network_the_residual_is_plain_distillation():
    painted, taught, vanilla = films(2, 3, 4, 4, count=3)
    assert residual_loss(painted, vanilla, taught, vanilla) == pytest.approx(vanilla_loss(painted, taught))


def test_a_centred_residual_does_not_teach_what_stays_the_same():
    vanilla, untaught, constant = films(2, 3, 4, 4, count=3)
    constant = constant.mean(0, keepdim=True)
    assert residual_loss(vanilla, vanilla, untaught + constant, untaught, centred=True) == pytest.approx(0, abs=1e-12)
    assert residual_loss(vanilla, vanilla, untaught + constant, untaught) > 0.01


def test_what_moves_along_its_flow_has_no_temporal_loss():
    frames, backward, traced = shifting()
    assert temporal_loss(frames, backward, traced) == pytest.approx(0, abs=1e-20)
    assert feature_loss(frames, backward, traced) == pytest.approx(0, abs=1e-20)
    flicker = frames + 0.1 * torch.arange(4, dtype=torch.float64).view(-1, 1, 1, 1)
    inside = 1 - 2 / 24
    assert temporal_loss(flicker, backward, traced) == pytest.approx(0.01 * inside)


def test_reconets_output_may_change_as_the_light_does():
    frames, backward, traced = shifting()
    dimmed = torch.tensor([0.0, 0.1, 0.05, 0.2], dtype=torch.float64).view(-1, 1, 1, 1)
    assert output_loss(0.5 * frames + dimmed, frames + dimmed, backward, traced) < 0.3 * output_loss(
        0.5 * frames + dimmed, frames, backward, traced
    )
    grey = frames[:, :1].expand(-1, 3, -1, -1)
    assert output_loss(grey + dimmed, grey + dimmed, backward, traced) == pytest.approx(0, abs=1e-20)


def test_singular_values_are_those_of_a_decomposition():
    (rows,) = films(5, 200)
    torch.testing.assert_close(singular_values(rows, eps=0.0), torch.linalg.svdvals(rows), rtol=1e-9, atol=1e-9)


def test_a_still_film_has_rank_one_with_intersected_masks_and_not_with_its_own():
    (picture,) = films(1, 3, 20, 20)
    frames = picture.expand(5, -1, -1, -1)
    still = torch.zeros(5, 2, 20, 20, dtype=torch.float64)
    masks = (torch.rand(5, 1, 20, 20, generator=torch.Generator().manual_seed(0)) > 0.3).double()
    tail = {both: float(rank_measure(aligned(frames, still, masks, intersected=both), mode="relative")) for both in (True, False)}
    assert tail[True] < 0.01
    assert tail[False] > 0.5


def test_at_rank_one_the_gradient_is_clean_where_that_of_a_decomposition_is_not():
    """Every subgradient U V^T + W of the nuclear norm fits there; a decomposition returns one of norm sqrt(K), of no meaning."""
    (row,) = films(1, 300)
    rows = row.repeat(5, 1).requires_grad_(True)
    (clean,) = torch.autograd.grad(singular_values(rows).sum(), rows)
    assert float(clean.norm()) == pytest.approx(1, abs=5e-3)
    u, _, vh = torch.linalg.svd(rows.detach() + 1e-13 * films(5, 300, seed=9)[0], full_matrices=False)
    assert float((u @ vh).norm()) == pytest.approx(5**0.5, abs=1e-6)


def test_brightness_moves_the_nuclear_norm_and_not_its_tail():
    (picture,) = films(1, 3, 40, 40)
    flicker = 0.02 * torch.randn(5, 3, 40, 40, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    dark = (picture + flicker).flatten(1)
    light = dark + 0.1
    moved = {mode: abs(float(rank_measure(light, mode=mode) / rank_measure(dark, mode=mode)) - 1) for mode in RANK_MODES}
    assert moved["nuclear"] > 0.1
    assert moved["tail"] < 0.01
    assert moved["centred"] < 0.01
    assert low_rank_loss(light, dark, mode="nuclear") > 100 * low_rank_loss(light, dark, mode="tail")


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="not 'rank'"):
        rank_measure(torch.eye(3), mode="rank")
