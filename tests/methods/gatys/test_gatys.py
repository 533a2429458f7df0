import pytest
import torch

from impasto.errors import ImpastoError, InputError
from impasto.events import Interrupted
from impasto.media.images import style_at
from impasto.methods.gatys.gatys import Gatys
from impasto.methods.gatys.settings import GatysSettings
from impasto.perception.loss import PerceptualLoss
from impasto.runtime.size import pyramid
from tests.conftest import random_encoder


@pytest.fixture
def loss():
    return PerceptualLoss(random_encoder(6, 8, 8, 8), "impasto")


@pytest.fixture
def photo():
    y, x = torch.meshgrid(torch.linspace(0, 1, 48), torch.linspace(0, 1, 64), indexing="ij")
    return torch.stack([x, y, 0.5 + 0.5 * torch.sin(20 * x)])[None]


@pytest.fixture
def style():
    generator = torch.Generator().manual_seed(3)
    return torch.rand(1, 3, 40, 40, generator=generator).round()


def value(loss, picture, photo, style):
    return loss(picture, loss.content_target(photo), loss.style_target([style_at(style, 48)])).total.item()


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
@pytest.mark.parametrize("start", ["content", "noise"])
def test_the_loss_falls_from_either_start_with_either_optimiser(loss, photo, style, optimiser, start):
    painted = Gatys(loss, [style], GatysSettings(iterations=40, levels=1, optimiser=optimiser, start=start))(photo)
    assert painted.shape == photo.shape
    assert painted.min() >= 0
    assert painted.max() <= 1
    assert value(loss, painted, photo, style) < 0.5 * value(loss, photo, photo, style)


def test_more_iterations_reach_further(loss, photo, style):
    reached = [value(loss, Gatys(loss, [style], GatysSettings(iterations=n, levels=1))(photo), photo, style) for n in (3, 30)]
    assert reached[1] < 0.8 * reached[0]


def test_a_seed_makes_noise_starts_repeatable(loss, photo, style):
    paint = [Gatys(loss, [style], GatysSettings(iterations=3, levels=1, start="noise", seed=seed))(photo) for seed in (1, 1, 2)]
    assert torch.equal(paint[0], paint[1])
    assert not torch.equal(paint[0], paint[2])


def test_strength_goes_from_the_photo_to_the_style_monotonically(loss, photo, style):
    def distance(strength):
        painted = Gatys(loss, [style], GatysSettings(iterations=25, levels=1, strength=strength))(photo)
        return sum(v.item() for v in loss(painted, loss.content_target(photo), loss.style_target([style_at(style, 48)])).style.values())

    assert torch.equal(Gatys(loss, [style], GatysSettings(strength=0))(photo), photo)
    reached = [distance(s) for s in (0.0, 0.001, 0.03, 1.0)]
    assert reached == sorted(reached, reverse=True)
    assert reached[-1] < 0.6 * reached[0]


def test_levels_run_from_coarse_to_fine():
    assert pyramid((512, 768), 3) == [(128, 192), (256, 384), (512, 768)]
    assert pyramid((300, 400), 3) == [(150, 200), (300, 400)]
    assert pyramid((40, 60), 2) == [(40, 60)]
    assert pyramid((33, 35), 1) == [(33, 35)]


def test_style_pictures_follow_the_photo_and_strips_stay_small():
    assert style_at(torch.rand(1, 3, 100, 150), 200).shape[-2:] == (200, 300)
    assert style_at(torch.rand(1, 3, 8, 1024), 384).shape[-2:] == (32, 1536)
    assert style_at(torch.rand(1, 3, 10, 10), 16).shape[-2:] == (32, 32)


def test_the_style_target_is_made_once_per_size(loss, photo, style, monkeypatch):
    made = []
    original = PerceptualLoss.style_target
    monkeypatch.setattr(PerceptualLoss, "style_target", lambda self, *a, **k: made.append(1) or original(self, *a, **k))
    stylizer = Gatys(loss, [style], GatysSettings(iterations=1, levels=1))
    stylizer(photo)
    stylizer(photo.flip(-1))
    assert len(made) == 1


def test_events_count_every_iteration_and_show_previews(loss, photo, style):
    events = []
    Gatys(loss, [style], GatysSettings(iterations=20, levels=1, preview_every=5), listener=events.append)(photo)
    steps = [event.step for event in events]
    assert steps == sorted(steps)
    assert steps[-1] == events[0].total == 20
    assert any(event.preview is not None and event.preview.shape == (3, 48, 64) for event in events)
    losses = [event.values["loss"] for event in events if "loss" in event.values]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("optimiser", ["lbfgs", "adam"])
def test_an_interrupt_keeps_the_last_picture(loss, photo, style, optimiser):
    def stop(event):
        if event.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        Gatys(loss, [style], GatysSettings(iterations=50, levels=1, optimiser=optimiser), listener=stop)(photo)
    picture = stopped.value.picture
    assert picture.shape == photo.shape
    assert not torch.equal(picture, photo)
    assert value(loss, picture, photo, style) < value(loss, photo, photo, style)


def test_mixing_two_equal_styles_is_the_style_and_weight_one_is_its_own(loss, photo, style):
    settings = GatysSettings(iterations=5, levels=1)
    alone = Gatys(loss, [style], settings)(photo)
    assert torch.allclose(Gatys(loss, [style, style], settings, weights=[0.3, 0.7])(photo), alone, atol=1e-3)
    other = 1 - style
    assert torch.allclose(Gatys(loss, [style, other], settings, weights=[1, 0])(photo), alone, atol=1e-3)
    assert not torch.allclose(Gatys(loss, [style, other], settings, weights=[0, 1])(photo), alone, atol=1e-2)


def test_regions_take_their_own_style(loss):
    photo = torch.full((1, 3, 48, 64), 0.5) + 0.02 * torch.randn(1, 3, 48, 64, generator=torch.Generator().manual_seed(0))
    left = torch.zeros(1, 1, 48, 64)
    left[..., :32] = 1
    masks = torch.cat([left, 1 - left], 1)
    red, blue = (torch.tensor(c).view(1, 3, 1, 1).expand(1, 3, 48, 32) for c in ([0.9, 0.1, 0.1], [0.1, 0.1, 0.9]))
    painting = torch.cat([red, blue], -1)
    painted = Gatys(loss, [painting], GatysSettings(iterations=60, levels=1), style_masks=[masks])(photo, masks=masks)
    shift = (painted - photo)[0].mean(1)
    assert shift[0, 4:28].mean() > 0.05 + shift[0, 36:60].mean()
    assert shift[2, 36:60].mean() > 0.05 + shift[2, 4:28].mean()


def test_masks_on_one_side_only_are_refused(loss, photo, style):
    with pytest.raises(InputError, match="masks are needed for both"):
        Gatys(loss, [style])(photo, masks=torch.ones(1, 1, 48, 64))


def test_a_batch_is_painted_as_its_pictures_would_be(loss, photo, style):
    settings = GatysSettings(iterations=30, levels=1, optimiser="adam")
    batch = Gatys(loss, [style], settings)(torch.cat([photo, photo.flip(-1)]))
    alone = Gatys(loss, [style], settings)(photo)
    assert value(loss, batch[:1], photo, style) == pytest.approx(value(loss, alone, photo, style), rel=0.1)
    assert (batch[:1] - alone).abs().mean() < 0.03


@pytest.mark.parametrize(
    "wrong",
    [{"optimiser": "sgd"}, {"start": "black"}, {"iterations": 0}, {"levels": 0}, {"strength": -1}, {"strength": 11}, {"style_size": 4}],
)
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(InputError):
        GatysSettings(**wrong)


def test_values_that_run_away_are_reported(photo, style):
    broken = random_encoder(6, 8, 8, 8)
    broken.conv1_1.bias.data.fill_(float("nan"))
    loss = PerceptualLoss(broken, "impasto")
    with pytest.raises(ImpastoError, match="not finite"):
        Gatys(loss, [style], GatysSettings(iterations=3, levels=1, optimiser="adam"))(photo)


@pytest.mark.long
def test_reaches_the_known_optimum_on_real_pictures(vgg19_file, shared_data):
    """A short run, in the yardstick's own figures: 10 of 150 iterations already give most of the reduction."""
    from impasto.evaluation.fidelity import Judge, load_at, read_pairs, share
    from impasto.perception.weights import read_encoder

    encoder = read_encoder(vgg19_file)
    pair = read_pairs(shared_data / "reference.json")[0]
    content, painting = load_at(pair.content, pair_size := 256), load_at(pair.style, pair_size)
    painted = Gatys(PerceptualLoss(encoder, "yardstick"), [painting], GatysSettings(iterations=10, levels=1))(content)
    figures = Judge(encoder, content, painting)(painted)
    assert 0.85 < share(pair.photo, figures, pair.optimum) < 1.0
