"""The autocorrelation of flat places: cases whose answer is known, and what the term does to a picture that repeats."""

import pytest
import torch
import torch.nn.functional as F

from impasto.perception.autocorrelation import BANDS, TextureTerm, luminance, mean_autocorrelation, texture_term


def noise(size=192, seed=0):
    return 0.5 + 0.05 * torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(seed)).expand(-1, 3, -1, -1)


def woven(size=192, period=8):
    x = torch.arange(size) * (2 * torch.pi / period)
    return (0.5 + 0.1 * torch.sin(x)[:, None] * torch.sin(x)[None]).expand(1, 3, -1, -1)


FLAT = torch.full((1, 3, 192, 192), 0.5)


def test_a_period_shows_at_its_displacement_and_nowhere_else():
    found, count = mean_autocorrelation(luminance(woven()))
    assert count == 49
    assert found[0, 0, 0] == pytest.approx(1, abs=0.01)
    assert found[0, 0, 8] == pytest.approx(1, abs=0.1)
    assert found[0, -8, 0] == pytest.approx(1, abs=0.1)
    assert found[0, 4, 0] == pytest.approx(-1, abs=0.1)
    apart, _ = mean_autocorrelation(luminance(noise()))
    assert apart[0, 0, 8].abs() < 0.05


def test_windows_count_where_the_photo_is_flat_and_the_picture_is_not():
    half = FLAT.clone()
    half[..., 96:] = noise()[..., 96:]
    assert mean_autocorrelation(luminance(noise()), luminance(FLAT))[1] == 49
    assert 0 < mean_autocorrelation(luminance(noise()), luminance(half))[1] < 49
    assert mean_autocorrelation(luminance(FLAT), luminance(FLAT)) == (None, 0)
    assert mean_autocorrelation(luminance(noise(40))) == (None, 0)


def test_the_gradient_takes_what_repeats_out_of_a_picture():
    term = texture_term([noise(seed=1)])
    pixels = (0.8 * woven() + 0.2 * noise()).clone().requires_grad_(True)
    before = mean_autocorrelation(luminance(pixels.detach()))[0][0, 0, 8]
    optimiser = torch.optim.Adam([pixels], lr=2e-3)
    for _ in range(30):
        optimiser.zero_grad()
        term(pixels, FLAT).backward()
        optimiser.step()
    after = mean_autocorrelation(luminance(pixels.detach()))[0][0, 0, 8]
    assert before > 0.9
    assert after < 0.5


def test_a_mesh_of_few_pixels_is_taken_out_beside_large_strokes():
    strokes = F.interpolate(noise(24, seed=3), size=192, mode="bicubic")
    term = texture_term([strokes + 0.05 * (noise(seed=1) - 0.5)])
    pixels = (strokes + 0.1 * (woven(period=4) - 0.5)).clone().requires_grad_(True)
    fine = BANDS[1:]
    before = mean_autocorrelation(luminance(pixels.detach()), bands=[BANDS[0], *fine])[0]
    assert before[0, 0, 4] > 0.5  # of a broad stroke, not of the mesh
    optimiser = torch.optim.Adam([pixels], lr=5e-4)
    for _ in range(30):
        optimiser.zero_grad()
        term(pixels, FLAT).backward()
        optimiser.step()
    after = mean_autocorrelation(luminance(pixels.detach()), bands=[BANDS[0], *fine])[0]
    assert before[1, 0, 4] > 0.8
    assert after[1, 0, 4] < 0.6 * before[1, 0, 4]


def test_a_batch_without_flat_places_says_nothing_and_is_not_remembered():
    term = texture_term([noise(seed=1)])
    pixels = woven().clone().requires_grad_(True)
    assert term(pixels, noise(seed=2)) == 0
    assert term(pixels[..., :50, :50], FLAT[..., :50, :50]) == 0
    assert term.mean is None
    assert term(pixels, FLAT).requires_grad
    assert term.mean is not None


def test_paintings_without_texture_have_no_term_and_several_have_their_mean():
    assert texture_term([FLAT]) is None
    assert texture_term([noise(40)]) is None
    one, other = texture_term([noise(seed=1)]), texture_term([woven()])
    both = texture_term([noise(seed=1), woven(), FLAT])
    assert isinstance(both, TextureTerm)
    torch.testing.assert_close(both.goal, (one.goal + other.goal) / 2)
