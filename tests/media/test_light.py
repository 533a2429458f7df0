import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.media import light

STEPS = np.linspace(0, 1, 1001)


def pq_encoded(nits):
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = (nits / 10_000) ** m1
    return ((c1 + c2 * power) / (1 + c3 * power)) ** m2


def hlg_encoded(scene):
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), 0.17883277 * np.log(12 * np.maximum(scene, 1 / 12) - 0.28466892) + 0.55991073)


def test_srgb_is_inverted():
    assert np.allclose(light.srgb_decoded(light.srgb_encoded(STEPS)), STEPS, atol=1e-7)
    assert light.srgb_encoded(np.array([0.18])) * 255 == pytest.approx(117.6, abs=0.1)


def test_pq_is_in_parts_of_reference_white():
    nits = np.array([0, 0.1, 1, 100, 203, 1000, 10_000])
    assert np.allclose(light.pq_decoded(pq_encoded(nits)), nits / 203, rtol=1e-6, atol=1e-9)


def test_hlg_puts_reference_white_at_three_quarters():
    assert np.allclose(light.hlg_decoded(hlg_encoded(STEPS)), STEPS, atol=1e-6)
    grey = np.repeat(light.hlg_decoded(np.array([0.75]))[:, None], 3, 1)
    assert light.hlg_shown(grey, light.to_xyz(light.PRIMARIES[9])[1])[0, 0] == pytest.approx(1, abs=0.005)
    full = light.hlg_shown(np.ones((1, 3)), light.to_xyz(light.PRIMARIES[9])[1])
    assert np.allclose(full, 1000 / 203)


@pytest.mark.parametrize(("number", "matrix"), [
    (9, [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]]),  # ITU-R BT.2407
    (12, [[1.2249, -0.2249, 0.0], [-0.0421, 1.0421, 0.0], [-0.0196, -0.0786, 1.0983]]),  # Display P3, CSS Color 4
    (1, np.eye(3)),
])  # fmt: skip
def test_primaries_become_those_of_srgb(number, matrix):
    assert np.allclose(light.to_srgb_matrix(light.PRIMARIES[number]), matrix, atol=2e-4)


@pytest.mark.parametrize("number", sorted(light.PRIMARIES))
def test_white_stays_white(number):
    assert np.allclose(light.to_srgb_matrix(light.PRIMARIES[number]).sum(1), 1, atol=1e-9)


@pytest.mark.parametrize("points", [
    ((0.3, 0.3), (0.3, 0.3), (0.3, 0.3), (0.3, 0.3)), ((0.64, 0.33), (0.3, 0.6), (0.15, 0.06), (0.3127, 0.0)),
    ((0.1, 0.1), (0.2, 0.2), (0.4, 0.4), (0.3, 0.3)),
])  # fmt: skip
def test_primaries_that_span_nothing_are_refused(points):
    with pytest.raises(ValueError, match="no primaries"):
        light.to_srgb_matrix(points)


def test_the_tone_curve_leaves_what_is_dark_and_ends_at_white():
    steps = np.concatenate([STEPS, np.geomspace(1, 1e6, 500)])
    mapped = light.tone_mapped(steps[:, None, None])[:, 0, 0]
    assert np.array_equal(mapped[steps <= 0.85], steps[steps <= 0.85])
    assert (np.diff(mapped) >= 0).all()
    assert mapped.max() <= 1
    assert light.srgb_encoded(np.array(mapped[1000])) * 255 > 245  # white comes out close below white
    assert mapped[-1] > 0.9999


@given(st.lists(st.floats(0, 100), min_size=3, max_size=3), st.lists(st.floats(0, 100), min_size=3, max_size=3))
def test_the_tone_curve_keeps_hue_and_does_not_look_at_neighbours(pixel, other):
    alone = light.tone_mapped(np.array([[pixel]]))
    assert np.array_equal(light.tone_mapped(np.array([[pixel, other]]))[:, :1], alone)
    scale = max(pixel)
    if scale > 1e-3:
        assert np.allclose(alone[0, 0] / alone.max(), np.array(pixel) / scale, atol=1e-9)


def test_what_is_no_light_is_black():
    assert np.array_equal(light.tone_mapped(np.array([[[np.nan, -1.0, 0.5]]])), [[[0, 0, 0.5]]])
    assert light.tone_mapped(np.array([[[np.inf, 0.0, 0.0]]]))[0, 0, 0] == pytest.approx(1, abs=1e-6)
