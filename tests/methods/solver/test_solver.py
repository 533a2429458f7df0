"""The solver at work: what every control does, and that it costs one pass."""

import itertools
from dataclasses import replace

import pytest
import torch

from impasto.errors import ImpastoError, InputError
from impasto.methods.solver.proximal import Term
from impasto.methods.solver.solver import Solver, Steering
from impasto.runtime.device import Place

CPU = Place(torch.device("cpu"), torch.float32)


def style(seed, height=48, width=40):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def photo():
    return torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(9))


@pytest.fixture
def make(network, encoder):
    """A solver whose random updates are strong enough to be seen."""
    for update in network.updates:
        update.down[0][0].weight.mul_(30)

    def build(*styles, **given):
        return Solver(network, encoder, CPU, [style(seed) for seed in styles], **given)

    return build


def test_a_painted_photo_keeps_its_size_and_its_range(make, photo):
    painted = make(1)(photo)
    assert painted.shape == photo.shape
    assert painted.min() >= 0
    assert painted.max() <= 1
    assert (painted - photo).abs().max() > 0.01


def test_the_same_photo_twice_is_the_same_picture(make, photo):
    solver = make(1)
    assert torch.equal(solver(photo), solver(photo))


def test_without_strength_or_scales_the_photo_comes_back(make, photo):
    solver = make(1)
    assert torch.equal(solver.paint(photo, Steering(strength=0)), photo)
    assert torch.equal(solver.paint(photo, Steering(scales=(0, 0, 0, 0, 0))), photo)


def test_strength_moves_away_from_the_photo(make, photo):
    solver = make(1)
    weak, strong = (float((solver.paint(photo, Steering(strength=s)) - photo).abs().mean()) for s in (0.02, 0.2))
    assert 0 < weak < strong


def test_each_scale_has_its_part(make, photo):
    solver = make(1)
    whole = solver(photo)
    for scale in range(5):
        without = [float(level != scale) for level in range(5)]
        assert (solver.paint(photo, Steering(scales=without)) - whole).abs().max() > 1e-5, scale


def test_the_last_update_can_be_repeated(make, photo):
    solver = make(1)
    once, thrice, more = (solver.paint(photo, Steering(passes=passes)) for passes in (1, 3, 5))
    torch.testing.assert_close(thrice, solver(photo))
    assert (once - thrice).abs().mean() > 1e-4
    assert (more - thrice).abs().mean() > 1e-4


def test_one_of_two_styles_alone_is_that_style(make, photo):
    both = make(1, 2)
    first = both.paint(photo, Steering(shares=(1, 0)))
    torch.testing.assert_close(first, make(1)(photo), atol=1e-5, rtol=0)
    assert (both.paint(photo, Steering(shares=(1, 1))) - first).abs().max() > 1e-3


def test_shares_are_brought_to_a_sum_of_one(make, photo):
    both = make(1, 2)
    torch.testing.assert_close(both.paint(photo, Steering(shares=(0.3, 0.3))), both.paint(photo, Steering(shares=(0.5, 0.5))))


def test_two_equal_styles_are_either(make, photo):
    torch.testing.assert_close(make(1, 1)(photo), make(1)(photo), atol=1e-5, rtol=0)


def test_a_style_is_encoded_once_whatever_is_turned(make, photo, monkeypatch):
    solver = make(1, 2)
    solver(photo)
    calls = []
    real = type(solver)._encoded
    monkeypatch.setattr(type(solver), "_encoded", lambda self, image: calls.append(tuple(image.shape)) or real(self, image))
    for steering in (Steering(strength=0.5), Steering(shares=(0.2, 0.8)), Steering(scales=(1, 0, 0, 1, 1))):
        solver.paint(photo, steering)
    assert (1, 3, 48, 40) not in calls
    assert all(shape[-2:] == (40, 56) for shape in calls)


@pytest.mark.parametrize("network", [False], indirect=True, ids=["published"])
def test_masks_give_each_style_its_part(make):
    """Far from the border of the two parts, each looks as if its style were everywhere: the published wiring sees nothing global."""
    solver = make(1, 2)
    wide = torch.rand(1, 3, 40, 400, generator=torch.Generator().manual_seed(3))
    masks = torch.zeros(1, 2, 40, 400)
    masks[:, 0, :, :200], masks[:, 1, :, 200:] = 1, 1
    both = solver.paint(wide, solver.steering, masks=masks)
    torch.testing.assert_close(both[..., :40], make(1)(wide)[..., :40], atol=1e-4, rtol=0)
    torch.testing.assert_close(both[..., -40:], make(2)(wide)[..., -40:], atol=1e-4, rtol=0)


def test_a_mask_of_everything_is_no_mask(make, photo):
    torch.testing.assert_close(make(1)(photo, masks=torch.ones(1, 1, 40, 56)), make(1)(photo), atol=1e-4, rtol=0)


def test_soft_masks_change_gradually(make, photo):
    ramp = torch.linspace(0, 1, 56).expand(1, 1, 40, -1)
    solver = make(1, 2)
    soft = solver(photo, masks=torch.cat([ramp, 1 - ramp], 1))
    assert (soft - solver.paint(photo, Steering(shares=(1, 0)))).abs().mean() > 0


def test_regions_take_the_statistics_of_matching_regions(make, photo):
    """With the mask of the style on one part of it, only that part is its style."""
    half = torch.zeros(1, 1, 48, 40)
    half[..., :20] = 1
    solver = make(1, style_masks=[half])
    changed = make(1, style_masks=[half])
    changed.styles = [torch.cat([changed.styles[0][..., :20], torch.zeros(1, 3, 48, 20)], -1)]
    everywhere = torch.ones(1, 1, 40, 56)
    whole = make(1)(photo)
    assert (solver(photo, masks=everywhere) - whole).abs().max() > 1e-4
    # What the style shows outside its mask matters only next to the border.
    near = float((solver(photo, masks=everywhere) - changed(photo, masks=everywhere)).abs().mean())
    other = make(1)
    other.styles = changed.styles
    assert near < float((whole - other(photo)).abs().mean())


def test_a_region_that_no_style_has_stays_as_it_is(make):
    """Away from the border of the regions, where receptive fields reach over."""
    left = torch.zeros(1, 2, 48, 40)
    left[:, 0] = 1
    masks = torch.zeros(1, 2, 40, 400)
    masks[:, 0, :, :200], masks[:, 1, :, 200:] = 1, 1
    wide = torch.rand(1, 3, 40, 400, generator=torch.Generator().manual_seed(3))
    painted = make(1, style_masks=[left])(wide, masks=masks)
    torch.testing.assert_close(painted[..., -30:], wide[..., -30:], atol=1e-4, rtol=0)
    assert (painted[..., :200] - wide[..., :200]).abs().mean() > 1e-3


def test_a_photoreal_picture_moves_colours_and_keeps_edges(make):
    """A photo of two flat halves: painted with the matting Laplacian, each half stays nearly flat."""
    flat = torch.full((1, 3, 40, 48), 0.3)
    flat[..., 24:] = 0.7
    flat += 0.01 * torch.rand(flat.shape, generator=torch.Generator().manual_seed(1))
    solver = make(1)
    plain, real = solver(flat), solver.paint(flat, Steering(photoreal=50.0))
    assert real[..., 4:20].std((2, 3)).max() < plain[..., 4:20].std((2, 3)).max() / 2


def test_a_batch_is_painted_as_its_pictures(make):
    solver = make(1)
    batch = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(2))
    for steering in (Steering(), Steering(photoreal=50.0)):
        alone = torch.cat([solver.paint(picture[None], steering) for picture in batch])
        torch.testing.assert_close(solver.paint(batch, steering), alone, atol=2e-3, rtol=0)


def test_a_film_is_steadier_with_consistency(make):
    """A still film with noise: what the eye sees as flicker is less with the frame before."""
    solver = make(1)
    still = torch.rand(3, 40, 48, generator=torch.Generator().manual_seed(2))
    frames = [(still + 0.02 * torch.randn(still.shape, generator=torch.Generator().manual_seed(n))).clamp(0, 1) for n in range(4)]

    def flicker(consistency):
        solver.steering = replace(solver.steering, consistency=consistency)
        painted = list(solver.stream(frames))
        return sum(float((b - a).square().mean()) for a, b in itertools.pairwise(painted))

    assert flicker(0.37) < 0.8 * flicker(0.0)


def test_a_film_that_goes_on_is_the_film_in_one_go(make):
    solver = make(1)
    frames = [torch.rand(3, 40, 48, generator=torch.Generator().manual_seed(n)) for n in range(4)]
    whole = list(solver.stream(frames))
    rest = list(solver.stream(frames[2:], first=(frames[1], whole[1])))
    torch.testing.assert_close(rest[-1], whole[-1])


def test_a_users_regulariser_acts_after_every_update(make, photo):
    class Bright:
        calls = 0

        def prox(self, y, weight):
            Bright.calls += 1
            return y.clamp_min(weight)

    painted = make(1).paint(photo, Steering(terms=[Term(Bright(), 0.5)]))
    assert Bright.calls == 3
    assert painted.min() >= 0.5


def test_a_broken_regulariser_is_named(make, photo):
    class Broken:
        def prox(self, y, weight):
            return y / 0

    with pytest.raises(ImpastoError, match="Broken"):
        make(1).paint(photo, Steering(terms=[Term(Broken(), 1.0)]))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"scales": (1, 1, 1)}, "five scales"),
        ({"scales": (1, 1, 1, 1, -1)}, "five scales"),
        ({"scales": (1, 1, 1, 1, float("nan"))}, "five scales"),
        ({"strength": 3.0}, "strength goes from 0"),
        ({"shares": (0, 0)}, "not all of them may be 0"),
        ({"shares": (float("nan"), 1)}, "weight of at least 0"),
        ({"photoreal": -1.0}, "photoreal is a number"),
        ({"passes": 0}, "1 to 64 iterations"),
        ({"consistency": float("inf")}, "consistency is a number"),
    ],
)
def test_controls_that_cannot_be_are_refused(given, sentence):
    with pytest.raises(InputError, match=sentence):
        Steering(**given)


def test_masks_that_do_not_fit_are_refused(make, photo):
    solver = make(1, 2)
    good = torch.rand(1, 2, 40, 56)
    for masks, sentence in (
        (good[..., 1:], "the mask has 55x40 pixels and the photo 56x40"),
        (good[:, :1], "there are 2 styles and 1 masks"),
        (good * float("nan"), "values from 0 to 1"),
        (-good, "values from 0 to 1"),
    ):
        with pytest.raises(InputError, match=sentence):
            solver(photo, masks=masks)
    with pytest.raises(InputError, match="2 styles and 3 weights"):
        solver.paint(photo, Steering(shares=(1, 1, 1)))
    regions = make(1, style_masks=[torch.ones(1, 2, 48, 40)])
    with pytest.raises(InputError, match="the photo has none"):
        regions(photo)
    with pytest.raises(InputError, match="3 regions and the styles 2"):
        regions(photo, masks=torch.rand(1, 3, 40, 56))


def test_an_encoder_of_other_widths_is_refused(network, encoder):
    from tests.conftest import random_encoder

    with pytest.raises(InputError, match="other widths"):
        Solver(network, random_encoder(3, 3, 3, 3, 3), CPU, [style(1)])
    with pytest.raises(InputError, match="no style"):
        Solver(network, encoder, CPU, [])
