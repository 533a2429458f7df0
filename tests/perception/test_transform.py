"""The transforms against their definitions: Eq. 4 and its printed fixed point, covariances, optimal transport, the cubic, regions."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.errors import InputError
from impasto.perception.transform import (
    TRANSFORMS,
    Statistics,
    cubic_root,
    linear_maps,
    mixed,
    ost,
    regular,
    statistics,
    transform,
    usable,
    wct,
)


def lambda_to_t(weight: float, positions: int, channels: int) -> float:
    """The strength t in [0, 1) of `mean` that the weight lambda of Eq. 4 stands for: lambda / (lambda + 2 N C^2).

    One lambda for all regions paints small regions more strongly; t is the same for all, and is what users turn.
    """
    return weight / (weight + 2 * positions * channels**2)


C, N, M = 5, 7 * 6, 8 * 9


def features(height=7, width=6, *, seed=0, shift=0.0, channels=C):
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(channels, channels, generator=generator, dtype=torch.float64)
    maps = torch.einsum("ij,jhw->ihw", mixing, torch.randn(channels, height, width, generator=generator, dtype=torch.float64))
    return (maps + shift)[None]


def eq_4(output, content, style, weight):
    """1/2 |F_o - F_c|^2 + lambda / (4 C^2) MMD^2, the MMD written out with the linear kernel over all pairs of positions."""
    o, c, s = (each[0].flatten(1) for each in (output, content, style))
    n, m = o.shape[1], s.shape[1]
    mmd = (o.T @ o).sum() / n**2 + (s.T @ s).sum() / m**2 - 2 * (o.T @ s).sum() / (n * m)
    return 0.5 * (o - c).square().sum() + weight / (4 * C**2) * mmd


@pytest.mark.parametrize("weight", [1.0, 500.0, 1e6])
def test_the_mean_shift_is_where_the_gradient_of_eq_4_vanishes(weight):
    content, style = features(), features(8, 9, seed=1, shift=2.0)
    t = lambda_to_t(weight, N, C)
    output = transform(content, statistics(style), kind="mean", strength=t).requires_grad_(True)
    (gradient,) = torch.autograd.grad(eq_4(output, content, style, weight), output)
    assert gradient.abs().max() < 1e-12
    away = (output.detach() + 0.1).requires_grad_(True)
    assert torch.autograd.grad(eq_4(away, content, style, weight), away)[0].abs().max() > 1e-2


def iterated(content, style, weight, *, self_term, steps):
    """F <- F_c + lambda / (2 M N C^2) sum F_s - self_term * sum F_o, averaged with what was there so that it converges."""
    m_s = style[0].flatten(1).mean(1)[None, :, None, None]
    output, a = content.clone(), weight / (2 * N * C**2)
    for _ in range(steps):
        proposed = content + a * m_s - self_term * output.sum((2, 3), keepdim=True)
        output = output.lerp(proposed, 1 / (1 + self_term * N))
        if (proposed - output).abs().max() < 1e-14:
            break
    return output


@pytest.mark.parametrize("weight", [10.0, 2 * N * C**2 * 0.5, 2 * N * C**2 * 6.1])
def test_the_closed_form_is_what_the_iteration_converges_to(weight):
    content, style = features(), features(8, 9, seed=1, shift=2.0)
    converged = iterated(content, style, weight, self_term=weight / (2 * N**2 * C**2), steps=500)
    closed = transform(content, statistics(style), kind="mean", strength=lambda_to_t(weight, N, C))
    torch.testing.assert_close(closed, converged, atol=1e-4, rtol=0)
    torch.testing.assert_close(closed, converged, atol=1e-10, rtol=0)


def test_the_naive_iteration_diverges_where_lambda_is_large():
    content, style = features(), features(8, 9, seed=1, shift=2.0)
    m_s = statistics(style).mean[0, 0][None, :, None, None]
    errors = {}
    for a in (0.5, 1.5):
        output = content.clone()
        for _ in range(60):
            output = content + a * (m_s - output.mean((2, 3), keepdim=True))
        closed = transform(content, statistics(style), kind="mean", strength=a / (1 + a))
        errors[a] = float((output - closed).abs().max())
    assert errors[0.5] < 1e-12
    assert errors[1.5] > 1e6


def test_eq_5_as_printed_leads_somewhere_else():
    """Printed, the self term is lambda / (4 N C^2) instead of lambda / (2 N^2 C^2): a factor of N / 2.

    Its fixed point has the mean (m_c + a m_s) / (1 + lambda / (4 C^2)), which goes to 2 m_s / N where lambda grows, practically zero,
    instead of to the style's mean; and the gradient of Eq. 4 does not vanish there.
    """
    content, style, weight = features(), features(8, 9, seed=1, shift=2.0), 1e7
    m_c, m_s = statistics(content).mean[0, 0], statistics(style).mean[0, 0]
    printed = iterated(content, style, weight, self_term=weight / (4 * N * C**2), steps=500)
    a = weight / (2 * N * C**2)
    predicted = (m_c + a * m_s) / (1 + weight / (4 * C**2))
    torch.testing.assert_close(statistics(printed).mean[0, 0], predicted)
    torch.testing.assert_close(predicted, 2 * m_s / N, rtol=0.01, atol=1e-3)
    right = transform(content, statistics(style), kind="mean", strength=lambda_to_t(weight, N, C))
    torch.testing.assert_close(statistics(right).mean[0, 0], m_s, rtol=0.01, atol=1e-3)
    printed.requires_grad_(True)
    assert torch.autograd.grad(eq_4(printed, content, style, weight), printed)[0].abs().max() > 1


def test_strength_and_lambda():
    assert lambda_to_t(0, 100, 8) == 0
    assert lambda_to_t(2 * 100 * 64, 100, 8) == 0.5
    assert math.isclose(lambda_to_t(5.4e8, 64 * 64, 256), 0.5, rel_tol=0.01)


@pytest.mark.parametrize("kind", ["wct", "ost"])
def test_full_transforms_match_mean_and_covariance(kind):
    content, style = features(), features(8, 9, seed=1, shift=2.0)
    found, wanted = statistics(transform(content, statistics(style), kind=kind)), statistics(style)
    torch.testing.assert_close(found.mean, wanted.mean)
    torch.testing.assert_close(found.covariance, wanted.covariance, rtol=1e-3, atol=1e-3 * float(wanted.covariance.abs().max()))


def test_the_maps_match_covariances_exactly_and_ost_moves_least():
    """The squared motion of ost is the Bures distance, that of wct is more."""
    a, b = (regular(statistics(features(seed=seed)).covariance, torch.tensor([[99]]))[0, 0] for seed in (2, 3))
    for name in (wct, ost):
        t = name(a, b)
        torch.testing.assert_close(t @ a @ t.T, b, rtol=1e-9, atol=1e-9)
    root = torch.linalg.eigh(a)
    half = root.eigenvectors @ torch.diag(root.eigenvalues.sqrt()) @ root.eigenvectors.T
    bures = a.trace() + b.trace() - 2 * torch.linalg.eigvalsh(half @ b @ half).clamp_min(0).sqrt().sum()
    moved = {name.__name__: float(((t := name(a, b) - torch.eye(C)) @ a @ t.T).trace()) for name in (wct, ost)}
    assert math.isclose(moved["ost"], float(bures), rel_tol=1e-8)
    assert moved["wct"] > 1.01 * moved["ost"]


def test_ost_is_symmetric_and_positive():
    a, b = (regular(statistics(features(seed=seed)).covariance, torch.tensor([[99]]))[0, 0] for seed in (2, 3))
    t = ost(a, b)
    torch.testing.assert_close(t, t.T, rtol=1e-8, atol=1e-10)
    assert torch.linalg.eigvalsh(t).min() > 0


def test_adain_matches_every_channel():
    content, style = features(), features(8, 9, seed=1, shift=2.0)
    found, wanted = statistics(transform(content, statistics(style), kind="adain")), statistics(style)
    torch.testing.assert_close(found.mean, wanted.mean)
    diagonals = [each.covariance.diagonal(dim1=-2, dim2=-1) for each in (found, wanted)]
    torch.testing.assert_close(*diagonals, rtol=1e-3, atol=0)


@given(kappa=st.floats(0, 1e8), v_c=st.floats(1e-3, 1e3), v_s=st.floats(0, 1e3))
@settings(max_examples=200, deadline=None)
def test_the_cubic_has_its_positive_root(kappa, v_c, v_s):
    tau = float(cubic_root(*(torch.tensor(each, dtype=torch.float64) for each in (kappa, v_c, v_s))))
    assert tau > 0
    terms = (kappa * v_c * tau**3, tau, kappa * v_s * tau, 1.0)
    assert abs(terms[0] + terms[1] - terms[2] - terms[3]) <= 1e-9 * sum(terms)


def test_adain_lambda_minimises_its_loss():
    """1/2 |G - F|^2 + kappa N / 4 sum (var(G) - v_s)^2, by autograd in float64; kappa 0 is the content, no bound is AdaIN."""
    own = features(shift=3.0)
    centred = own - own.mean((2, 3), keepdim=True)
    v_c, v_s, kappa = centred[0].flatten(1).var(1, unbiased=False), torch.linspace(0.2, 4, C, dtype=torch.float64), 0.7
    tau = cubic_root(torch.tensor(kappa, dtype=torch.float64), v_c, v_s)
    output = (tau[:, None, None] * centred).requires_grad_(True)
    variance = output[0].flatten(1).var(1, unbiased=False)
    loss = 0.5 * (output - centred).square().sum() + kappa * N / 4 * (variance - v_s).square().sum()
    assert torch.autograd.grad(loss, output)[0].abs().max() < 1e-9
    torch.testing.assert_close(cubic_root(torch.tensor(0.0), v_c, v_s), torch.ones(C, dtype=torch.float64))
    torch.testing.assert_close(cubic_root(torch.tensor(1e12), v_c, v_s), (v_s / v_c).sqrt(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_strength_goes_from_the_content_to_the_style(kind):
    content, style = features(), features(8, 9, seed=1, shift=2.0)
    torch.testing.assert_close(transform(content, statistics(style), kind=kind, strength=0.0), content)
    means = [statistics(transform(content, statistics(style), kind=kind, strength=t)).mean[0, 0] for t in (0.0, 0.4, 1.0)]
    torch.testing.assert_close(means[1], means[0].lerp(means[2], 0.4))
    torch.testing.assert_close(means[2], statistics(style).mean[0, 0])
    spread = [float(linear_maps(kind, statistics(content), statistics(style), t).sub(torch.eye(C)).norm()) for t in (0.0, 0.4, 1.0)]
    assert spread[0] < 1e-9
    assert (0 < spread[1] < spread[2]) if kind != "mean" else spread == [0, 0, 0]


def halves(height, width):
    masks = torch.zeros(1, 2, height, width, dtype=torch.float64)
    masks[:, 0, :, : width // 2] = 1
    masks[:, 1, :, width // 2 :] = 1
    return masks


@pytest.mark.parametrize("kind", TRANSFORMS)
def test_regions_are_transformed_each_by_itself(kind):
    content, style = features(12, 16), features(10, 14, seed=1, shift=2.0)
    wanted = statistics(style, halves(10, 14))
    whole = transform(content, wanted, halves(12, 16), kind=kind)
    for k, (own, other) in enumerate(((slice(0, 8), slice(0, 7)), (slice(8, 16), slice(7, 14)))):
        part = transform(content[..., own], statistics(style[..., other]), kind=kind)
        torch.testing.assert_close(whole[..., own], part)
        torch.testing.assert_close(statistics(whole, halves(12, 16)).mean[0, k], wanted.mean[0, k])


def test_soft_masks_blend_the_regions():
    content, style = features(12, 16), features(10, 14, seed=1, shift=2.0)
    masks = halves(12, 16)
    masks[..., 6:10] = 0.5
    wanted = statistics(style, halves(10, 14))
    blended = transform(content, wanted, masks, kind="adain")
    found = statistics(content, masks)
    maps = linear_maps("adain", found, wanted)[0]
    at = content[0, :, 3, 7]
    each = [maps[k] @ (at - found.mean[0, k]) + wanted.mean[0, k] for k in range(2)]
    torch.testing.assert_close(blended[0, :, 3, 7], 0.5 * (each[0] + each[1]))


def test_what_belongs_to_no_region_is_kept():
    content, style = features(12, 16), features(10, 14, seed=1, shift=2.0)
    masks = halves(12, 16)[:, :1]
    result = transform(content, statistics(style), masks, kind="ost")
    assert torch.equal(result[..., 8:], content[..., 8:])
    assert (result[..., :8] - content[..., :8]).abs().mean() > 0.1


def test_regions_too_small_or_too_unequal_are_kept():
    few, many = torch.tensor([[11.0, 10.0, 2000.0, 50.0]]), torch.tensor([[1000.0, 50.0, 20.0, 60.0]])
    blank = torch.zeros(1, 4, C), torch.zeros(1, 4, C, C)
    assert usable(Statistics(*blank, few), Statistics(*blank, many)).tolist() == [[True, False, False, True]]
    content, style = features(12, 16), features(10, 14, seed=1, shift=2.0)
    masks = torch.zeros(1, 1, 12, 16)
    masks[..., 5, 5] = 1
    assert torch.equal(transform(content, statistics(style), masks, kind="ost"), content)


def test_few_positions_give_covariances_that_can_be_inverted():
    """Three positions of five channels: without shrinkage the inverse root would be the noise's."""
    few = statistics(features(1, 3))
    eigenvalues = torch.linalg.eigvalsh(regular(few.covariance, few.positions))
    assert eigenvalues.min() > 1e-3 * eigenvalues.max()
    assert torch.linalg.eigvalsh(few.covariance).min() < 1e-9
    result = transform(features(3, 4), statistics(features(8, 9, seed=1)), kind="wct")
    assert bool(result.isfinite().all())


@pytest.mark.parametrize("kind", ["wct", "ost"])
def test_covariances_that_rounding_made_indefinite_stay_finite(kind):
    """Summed in float32, a covariance with one strong direction has eigenvalues below zero by more than what is added to all."""
    vectors, _ = torch.linalg.qr(torch.randn(C, C, generator=torch.Generator().manual_seed(0), dtype=torch.float64))
    indefinite = vectors @ torch.diag(torch.tensor([1.0, 1e-3, 1e-6, 0.0, -1e-5], dtype=torch.float64)) @ vectors.T
    content = Statistics(torch.zeros(1, 1, C), indefinite[None, None], torch.tensor([[256.0]]))
    assert torch.linalg.eigvalsh(regular(content.covariance, content.positions)).min() < 0
    maps = linear_maps(kind, content, statistics(features(8, 9, seed=1)))
    assert bool(maps.isfinite().all())
    assert maps.abs().max() < 1e4


def test_features_without_any_variance_stay_finite():
    flat, style = torch.ones(1, C, 8, 8), statistics(features(8, 9, seed=1, shift=1.0).float())
    for kind in TRANSFORMS:
        result = transform(flat, style, kind=kind)
        assert bool(result.isfinite().all()), kind
        torch.testing.assert_close(result.mean((2, 3))[0], style.mean[0, 0], atol=1e-3, rtol=1e-3)


def test_a_batch_is_each_picture_by_itself():
    batch = torch.cat([features(), features(seed=5, shift=-1.0)])
    style = statistics(features(8, 9, seed=1, shift=2.0))
    together = transform(batch, style, kind="ost")
    torch.testing.assert_close(together[1:], transform(batch[1:], style, kind="ost"))


def test_several_styles_are_averaged_over_those_that_have_the_region():
    first, second = (statistics(features(10, 14, seed=seed, shift=seed), halves(10, 14)) for seed in (1, 2))
    shares = torch.tensor([[0.25, 1.0], [0.75, 0.0]], dtype=torch.float64)
    both = mixed([first, second], shares)
    torch.testing.assert_close(both.mean[0, 0], first.mean[0, 0].lerp(second.mean[0, 0], 0.75))
    torch.testing.assert_close(both.covariance[0, 1], first.covariance[0, 1])


def test_an_unknown_transform_is_refused():
    with pytest.raises(InputError, match="there are mean, adain, adain_lambda, wct, ost"):
        transform(features(), statistics(features()), kind="gram")
