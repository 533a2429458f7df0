import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.perception.statistics import gram, moments

torch.manual_seed(0)


def test_gram_is_the_mean_outer_product():
    features = torch.randn(2, 5, 6, 7, dtype=torch.float64)
    expected = torch.einsum("bihw,bjhw->bij", features, features) / 42
    assert torch.allclose(gram(features), expected, atol=1e-14)
    assert torch.allclose(gram(features, norm="chw"), expected / 5, atol=1e-14)


def test_one_full_mask_is_no_mask():
    features = torch.randn(2, 5, 6, 7, dtype=torch.float64)
    ones = torch.ones(1, 1, 6, 7)
    assert torch.allclose(gram(features, ones)[:, 0], gram(features), atol=1e-14)
    assert torch.allclose(moments(features, ones)[:, 0], moments(features), atol=1e-12)


def test_a_mask_counts_its_region_only():
    features = torch.randn(1, 3, 4, 10, dtype=torch.float64)
    left = torch.zeros(1, 1, 4, 10)
    left[..., :4] = 1
    both = torch.cat([left, 1 - left], 1)
    assert torch.allclose(gram(features, both)[:, 0], gram(features[..., :4]), atol=1e-14)
    assert torch.allclose(gram(features, both)[:, 1], gram(features[..., 4:]), atol=1e-14)
    assert torch.allclose(moments(features, both)[:, 1], moments(features[..., 4:]), atol=1e-12)


def test_an_empty_region_is_zero_and_finite():
    features = torch.randn(1, 3, 4, 4)
    empty = torch.zeros(1, 1, 4, 4)
    assert gram(features, empty).abs().max() == 0
    assert torch.isfinite(moments(features, empty)).all()


def test_half_precision_features_are_summed_in_float32():
    features = torch.full((1, 2, 300, 300), 3.0)
    for dtype in (torch.bfloat16, torch.float16):
        result = gram(features.to(dtype))
        assert result.dtype == torch.float32
        assert torch.allclose(result, torch.full((1, 2, 2), 9.0), rtol=1e-4)


def test_gradients_in_float64():
    features = torch.randn(1, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    mask = torch.rand(1, 2, 4, 5, dtype=torch.float64)
    assert torch.autograd.gradcheck(gram, features)
    assert torch.autograd.gradcheck(lambda f: gram(f, mask, norm="chw"), features)
    assert torch.autograd.gradcheck(moments, features)
    assert torch.autograd.gradcheck(lambda f: moments(f, mask), features)


def test_the_gradient_of_the_gram_loss_is_the_known_formula():
    features = torch.randn(1, 4, 3, 5, dtype=torch.float64, requires_grad=True)
    target = torch.randn(4, 4, dtype=torch.float64)
    target = target + target.T
    (gradient,) = torch.autograd.grad((gram(features) - target).square().sum(), features)
    flat = features.detach()[0].flatten(1)
    expected = 4 / 15 * (flat @ flat.T / 15 - target) @ flat
    assert torch.allclose(gradient[0].flatten(1), expected, atol=1e-13)


@settings(max_examples=30, deadline=None)
@given(channels=st.integers(1, 6), height=st.integers(1, 9), width=st.integers(1, 9), batch=st.integers(1, 3))
def test_gram_is_symmetric_and_positive(channels, height, width, batch):
    matrix = gram(torch.randn(batch, channels, height, width, dtype=torch.float64))
    assert torch.allclose(matrix, matrix.transpose(1, 2))
    assert torch.linalg.eigvalsh(matrix).min() > -1e-12


def test_unknown_norm():
    with pytest.raises(ValueError, match="'n' or 'chw'"):
        gram(torch.rand(1, 2, 3, 3), norm="hw")
