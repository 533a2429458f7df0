"""The stylizer: sizes, regions, several styles, layers, films; and what it refuses."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from impasto.errors import InputError
from impasto.methods.patch_swap.swap import StyleSwap
from impasto.methods.semantic.settings import SemanticSettings
from impasto.methods.semantic.transfer import SemanticTransfer
from impasto.motion.cuts import is_cut
from impasto.networks.coding import region_weights
from impasto.perception.transform import TRANSFORMS


def picture(height=64, width=80, *, seed=0, color=(0.5, 0.5, 0.5)):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(1, 3, height, width, generator=generator) - 0.5
    return (torch.tensor(color)[None, :, None, None] + 0.4 * noise).clamp(0, 1)


@pytest.fixture
def make(decoder, encoder, cpu):
    def make(*styles, masks=None, shares=None, size=None, **options):
        return SemanticTransfer(decoder, encoder, cpu, list(styles), masks, shares, size, SemanticSettings(**options))

    return make


def halves(height, width):
    masks = torch.zeros(1, 2, height, width)
    masks[:, 0, :, : width // 2], masks[:, 1, :, width // 2 :] = 1, 1
    return masks


@given(height=st.integers(32, 75), width=st.integers(32, 75))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_size_comes_out_as_it_went_in(make, height, width):
    photo = picture(height, width)
    painted = make(picture(seed=1))(photo)
    assert painted.shape == photo.shape
    assert painted.min() >= 0
    assert painted.max() <= 1


@pytest.mark.parametrize("size", [(16, 200), (200, 16), (17, 17)])
def test_extreme_shapes(make, size):
    assert make(picture(seed=1))(picture(*size)).shape[-2:] == size


@pytest.mark.parametrize("layers", [("relu2_1",), ("relu3_1",), ("relu4_1",), ("relu2_1", "relu4_1"), ("relu1_1", "relu2_1", "relu3_1")])
@pytest.mark.parametrize("transform", TRANSFORMS)
def test_every_transform_at_every_layer_moves_towards_the_style(make, layers, transform):
    photo, style = picture(color=(0.2, 0.5, 0.8)), picture(seed=1, color=(0.8, 0.4, 0.2))
    plain = make(photo, layers=layers, transform=transform)(photo)
    painted = make(style, layers=layers, transform=transform)(photo)
    assert bool(painted.isfinite().all())
    assert (painted - plain).abs().mean() > 1e-4


def test_strength_zero_is_the_photo_and_between_is_between(make):
    photo, style = picture(color=(0.2, 0.5, 0.8)), picture(seed=1, color=(0.8, 0.4, 0.2))
    assert torch.equal(make(style, strength=0.0)(photo), photo)
    ends = [make(style, strength=s)(photo) for s in (1e-6, 0.5, 1.0)]
    assert (ends[1] - ends[0]).square().mean() < (ends[2] - ends[0]).square().mean()


def test_a_region_depends_on_its_own_style_region_only(make):
    """Away from the border between them, by more than what a position sees."""
    photo, style = picture(96, 192), picture(64, 128, seed=1)
    other = style.clone()
    other[..., 64:] = picture(64, 64, seed=2, color=(0.1, 0.9, 0.1))
    masks, style_masks = halves(96, 192), halves(64, 128)
    style_masks[..., 56:72] = 0  # features see over the border: leave a gap
    one, two = (make(s, masks=[style_masks], size=64, layers=("relu2_1",))(photo, masks=masks) for s in (style, other))
    assert (one - two)[..., :80].abs().max() < 1e-6
    assert (one - two)[..., 112:].abs().mean() > 1e-3


def test_without_regions_nothing_leaks_in_or_out(make):
    """Everything of the photo outside the only region is decoded as it is."""
    photo, style = picture(64, 128), picture(seed=1, color=(0.8, 0.1, 0.1))
    masks = halves(64, 128)[:, :1]
    painted = make(style, masks=[torch.ones(1, 1, 64, 80)], layers=("relu2_1",))(photo, masks=masks)
    kept = make(photo, layers=("relu2_1",), strength=1e-9)(photo)
    torch.testing.assert_close(painted[..., 80:], kept[..., 80:], atol=1e-4, rtol=0)


def test_each_style_paints_its_mask(make):
    photo = picture(64, 192)
    first, second = picture(64, 96, seed=1, color=(0.9, 0.2, 0.2)), picture(64, 96, seed=2, color=(0.2, 0.2, 0.9))
    both = make(first, second, layers=("relu2_1",))(photo, masks=halves(64, 192))
    assert (both[..., :80] - both[..., 112:]).abs().mean() > 1e-3
    swapped = make(second, first, layers=("relu2_1",))(photo, masks=halves(64, 192).flip(1))
    torch.testing.assert_close(both, swapped)


def test_several_styles_and_weights(make):
    photo, first, second = picture(), picture(seed=1, color=(0.9, 0.2, 0.2)), picture(seed=2, color=(0.2, 0.2, 0.9))
    only = make(first)(photo)
    torch.testing.assert_close(make(first, second, shares=[1.0, 0.0])(photo), only)
    assert (make(first, second)(photo) - only).abs().mean() > 1e-4


def test_a_label_takes_its_statistics_from_the_style_that_has_it(make):
    """Two style pictures, one for each label."""
    photo, first, second = picture(64, 192), picture(64, 96, seed=1, color=(0.9, 0.2, 0.2)), picture(64, 96, seed=2, color=(0.2, 0.2, 0.9))
    own = [torch.zeros(1, 2, 64, 96) for _ in range(2)]
    own[0][:, 0], own[1][:, 1] = 1, 1
    painted = make(first, second, masks=own)(photo, masks=halves(64, 192))
    torch.testing.assert_close(painted, make(first, second)(photo, masks=halves(64, 192)))


def test_a_batch_is_each_picture_by_itself(make):
    batch = torch.cat([picture(), picture(seed=3, color=(0.3, 0.6, 0.4))])
    stylizer = make(picture(seed=1))
    torch.testing.assert_close(stylizer(batch)[1:], stylizer(batch[1:]), atol=1e-5, rtol=0)


def test_hard_masks_have_one_region_at_each_position():
    masks = torch.zeros(1, 2, 32, 32)
    masks[:, 0, :, :13], masks[:, 1, :, 13:30] = 1, 1
    soft, hard = (region_weights(masks, (4, 4), soft=soft) for soft in (True, False))
    assert 0 < soft[0, 0, 0, 1] < 1
    assert set(hard.unique().tolist()) == {0.0, 1.0}
    assert hard[0, :, 0].sum(0).tolist() == [1, 1, 1, 1]
    assert float(soft[0, :, 0, 3].sum()) == pytest.approx(0.75)
    assert hard[0, 0, 0].tolist() == [1, 1, 0, 0]


def frames(count, *, flicker=0.0):
    base = picture(48, 64)[0]
    return [(base + flicker * (-1) ** n).clamp(0, 1) for n in range(count)]


def unrest(film):
    return float(torch.stack([(a - b).abs().mean() for a, b in pairwise(film)]).mean())


def test_running_averages_take_out_flicker(make):
    """Where something comes and goes above, what is below and stands still changes less from frame to frame."""
    style, scene = picture(seed=1, color=(0.8, 0.4, 0.2)), picture(64, 64)[0] * torch.linspace(0.3, 1, 64)
    film = [scene if n % 2 else torch.cat([scene[:, :16] * 0.7, scene[:, 16:]], 1) for n in range(8)]
    assert not any(is_cut(a, b) for a, b in pairwise(film))
    steady, restless = (torch.stack(list(make(style, layers=("relu2_1",), rate=rate).stream(film)))[2:, :, 40:] for rate in (0.1, 1.0))
    assert unrest(steady) < 0.5 * unrest(restless)


def test_a_film_of_one_rate_is_each_frame_by_itself(make):
    stylizer = make(picture(seed=1), rate=1.0, grain=0.0)
    film = frames(3, flicker=0.1)
    for painted, frame in zip(stylizer.stream(film), film, strict=True):
        torch.testing.assert_close(painted, stylizer(frame[None])[0], atol=1e-5, rtol=0)


def test_films_have_no_grain_unless_it_is_asked_for(make):
    """Noise that stands still while the scene moves is unrest along the motion."""
    style, film = picture(seed=1), frames(2)
    plain, asked, without = (list(make(style, **options).stream(film))[1] for options in ({}, {"grain": 0.04}, {"grain": 0.0}))
    assert torch.equal(plain, without)
    assert (asked - without).abs().mean() > 1e-4


def test_averages_begin_anew_at_a_cut_and_go_on_from_the_frame_before(make):
    style = picture(seed=1, color=(0.8, 0.4, 0.2))
    dark, light = picture(48, 64, color=(0.15, 0.1, 0.1))[0], picture(48, 64, seed=5, color=(0.8, 0.85, 0.9))[0]
    stylizer = make(style, grain=0.0)
    cut = list(stylizer.stream([dark, dark, light]))
    torch.testing.assert_close(cut[2], stylizer(light[None])[0])
    whole = list(stylizer.stream([dark, (dark + 0.05).clamp(0, 1)]))
    resumed = list(stylizer.stream([(dark + 0.05).clamp(0, 1)], first=(dark, whole[0])))
    torch.testing.assert_close(resumed[0], whole[1])


def test_what_does_not_fit_is_said(make, decoder, encoder, cpu):
    photo, style = picture(), picture(seed=1)
    with pytest.raises(InputError, match="no style was given"):
        make()
    with pytest.raises(InputError, match="1 styles and 2 weights"):
        make(style, shares=[0.5, 0.5])
    with pytest.raises(InputError, match="at least 0"):
        make(style, shares=[0.0])
    with pytest.raises(InputError, match="give its mask too"):
        make(style, masks=[halves(64, 80)])(photo)
    with pytest.raises(InputError, match="each style needs its own mask"):
        make(style)(photo, masks=halves(64, 80))
    with pytest.raises(InputError, match="the photo has 1 regions and the styles 2"):
        make(style, masks=[halves(64, 80)])(photo, masks=halves(64, 80)[:, :1])
    with pytest.raises(InputError, match="80x64"):
        make(style, masks=[halves(64, 80)])(photo, masks=halves(32, 40))
    with pytest.raises(InputError, match="from 0 to 1"):
        make(style, masks=[halves(64, 80)])(photo, masks=-halves(64, 80))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"strength": 1.5}, "strength"),
        ({"detail": 2.0}, "detail"),
        ({"grain": -1.0}, "grain"),
        ({"rate": 0.0}, "rate"),
        ({"layers": ("relu5_1",)}, "relu5_1"),
        ({"layers": ()}, "no layer"),
        ({"transform": "x"}, "no transform"),
    ],
)
def test_settings_out_of_range_are_said(wrong, words):
    with pytest.raises(InputError, match=words):
        SemanticSettings(**wrong)


def test_patch_swap_paints_at_the_size(decoder, encoder, cpu):
    photo, style = picture(50, 70), picture(seed=1, color=(0.8, 0.2, 0.2))
    swap = StyleSwap(decoder, encoder, cpu, style)
    painted = swap(photo)
    assert painted.shape == photo.shape
    assert torch.equal(replace(swap, strength=0.0)(photo), photo)
    regions = replace(swap, style_mask=halves(64, 80))(photo, masks=halves(50, 70))
    assert (regions - painted).abs().mean() > 1e-4
    with pytest.raises(InputError, match="for both"):
        swap(photo, masks=halves(50, 70))
    with pytest.raises(InputError, match="too small for patches"):
        StyleSwap(decoder, encoder, cpu, style, layer="relu4_1", size=9)(photo)
    for wrong in ({"layer": "relu5_1"}, {"size": 0}, {"strength": 2.0}):
        with pytest.raises(InputError):
            StyleSwap(decoder, encoder, cpu, style, **wrong)
