"""Adaptation: a painting is all that it needs, it learns, it can be stopped, and strange paintings are no trouble."""

from dataclasses import replace

import pytest
import torch

from impasto.errors import InputError
from impasto.methods.metastyle.adaptation import adapt, contents_for
from impasto.methods.metastyle.settings import FOR_FILMS, Adaptation
from impasto.motion.temporal import temporal_loss
from impasto.networks.style_network import StyleNetwork
from impasto.training.clips import MovingPictures
from impasto.training.data import Pictures
from impasto.training.fitting import Steadiness
from impasto.training.made_pictures import made_pictures
from impasto.training.settings import FittingSettings

QUICK = Adaptation(FittingSettings(steps=6, crop=64), style_size=48, made=3)


@pytest.fixture
def start():
    torch.manual_seed(0)
    return StyleNetwork(4, 1)


@pytest.fixture
def painting():
    return torch.rand(1, 3, 40, 56, generator=torch.Generator().manual_seed(2)).round()


def test_it_learns_from_the_painting_alone_and_leaves_the_start_as_it_was(start, painting, loss, exact):
    before = {name: value.clone() for name, value in start.state_dict().items()}
    settings = replace(QUICK, training=replace(QUICK.training, steps=60, learning_rate=3e-3))
    network, curve = adapt(start, loss, [painting], settings, place=exact)
    assert sum(curve.losses[-10:]) < 0.8 * sum(curve.losses[:10])
    assert len(curve.losses) == len(curve.seconds) == 60
    assert curve.seconds == sorted(curve.seconds)
    assert all(torch.equal(value, before[name]) for name, value in start.state_dict().items())
    assert not torch.equal(network.last.weight, start.last.weight)


def test_only_the_affine_parameters_change_when_asked_for(start, painting, loss, exact):
    settings = replace(QUICK, training=replace(QUICK.training, parameters="affine"))
    network, _ = adapt(start, loss, [painting], settings, place=exact)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, start.state_dict()[name])}
    assert changed
    assert all(".norm." in name for name in changed)


def test_the_same_seed_gives_the_same_network_and_no_steps_give_the_start(start, painting, loss, exact):
    first, second = (adapt(start, loss, [painting], QUICK, place=exact)[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    none, curve = adapt(start, loss, [painting], replace(QUICK, training=replace(QUICK.training, steps=0)), place=exact)
    assert all(torch.equal(value, start.state_dict()[name]) for name, value in none.state_dict().items())
    assert curve.last() is None


@pytest.mark.parametrize("parameters", ["all", "affine"])
def test_a_stopped_adaptation_goes_on_from_there(start, painting, loss, exact, tmp_path, parameters):
    settings = replace(QUICK, training=replace(QUICK.training, parameters=parameters))
    whole, curve = adapt(start, loss, [painting], settings, place=exact)

    def stop(event):
        if event.step == 4:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "style.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        adapt(start, loss, [painting], settings, place=exact, checkpoint=checkpoint, listener=stop)
    with pytest.raises(InputError, match=r"other data .style"):
        adapt(start, loss, [1 - painting], settings, place=exact, checkpoint=checkpoint)
    steps = []
    resumed, again = adapt(
        start, loss, [painting], settings, place=exact, checkpoint=checkpoint, listener=lambda event: steps.append(event.step)
    )
    assert steps == [5, 6]
    assert again.losses == pytest.approx(curve.losses)
    assert all(torch.allclose(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())


def test_flat_contents_are_held_to_the_texture_of_the_painting_and_that_is_resumed(start, loss, exact, tmp_path):
    painting = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3))
    flat = Pictures([torch.full((3, 120, 120), value) for value in (0.3, 0.6)])
    settings = replace(QUICK, training=replace(QUICK.training, crop=96, texture_weight=1e4))
    whole, _ = adapt(start, loss, [painting], settings, contents=flat, place=exact)
    plain = replace(settings, training=replace(settings.training, texture_weight=0))
    without, _ = adapt(start, loss, [painting], plain, contents=flat, place=exact)
    assert not torch.equal(whole.last.weight, without.last.weight)

    def stop(event):
        if event.step == 4:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "style.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        adapt(start, loss, [painting], settings, contents=flat, place=exact, checkpoint=checkpoint, listener=stop)
    resumed, _ = adapt(start, loss, [painting], settings, contents=flat, place=exact, checkpoint=checkpoint)
    assert torch.equal(whole.last.weight, resumed.last.weight)


def test_events_bring_loss_and_preview(start, painting, loss, exact):
    events = []
    settings = replace(QUICK, training=replace(QUICK.training, preview_every=3))
    adapt(start, loss, [painting], settings, place=exact, listener=events.append)
    assert [event.step for event in events] == [1, 2, 3, 4, 5, 6]
    assert [event.step for event in events if event.preview is not None] == [3, 6]
    assert events[2].preview.shape == (3, 64, 64)
    assert all(event.values["loss"] > 0 for event in events)


@pytest.mark.parametrize("shape", [(8, 600), (700, 9), (16, 16)])
def test_strips_and_tiny_paintings_are_learned_too(start, loss, exact, shape):
    network, curve = adapt(start, loss, [torch.rand(1, 3, *shape)], replace(QUICK, style_size=64), place=exact)
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())
    assert curve.losses[-1] < float("inf")


def test_a_painting_of_one_colour_is_learned(start, loss, exact):
    blue = torch.tensor([0.1, 0.2, 0.8])[None, :, None, None].expand(1, 3, 40, 40)
    settings = replace(QUICK, training=replace(QUICK.training, steps=60, learning_rate=3e-3), content_weight=0.0)
    network, curve = adapt(start, loss, [blue], settings, place=exact)
    assert curve.losses[-1] < 0.5 * curve.losses[0]
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_several_paintings_are_one_style(start, painting, loss, exact):
    one, _ = adapt(start, loss, [painting], QUICK, place=exact)
    two, _ = adapt(start, loss, [painting, painting], QUICK, place=exact)
    torch.testing.assert_close(two.last.weight, one.last.weight)


def test_the_style_size_changes_what_is_learned(start, painting, loss, exact):
    small, _ = adapt(start, loss, [painting], QUICK, place=exact)
    large, _ = adapt(start, loss, [painting], replace(QUICK, style_size=96), place=exact)
    assert not torch.equal(small.last.weight, large.last.weight)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"loss": "x"}, "no loss"),
        ({"style_size": 8}, "too small"),
        ({"kinds": ()}, "not as nothing"),
        ({"kinds": ("trees",)}, "not as trees"),
    ],
)
def test_settings_that_cannot_be_are_refused(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        Adaptation(**changes)


def test_training_settings_that_cannot_be_are_refused():
    with pytest.raises(InputError, match="affine"):
        FittingSettings(parameters="some")
    with pytest.raises(InputError, match="at least"):
        FittingSettings(crop=8)


def test_made_contents_follow_the_seed():
    first, again = contents_for(QUICK), contents_for(QUICK)
    other = contents_for(replace(QUICK, training=replace(QUICK.training, seed=1)))
    assert len(first) == 3
    assert torch.equal(first.picture(1), again.picture(1))
    assert not torch.equal(first.picture(1), other.picture(1))


def test_learning_for_films_is_learning_photos_with_grain_and_pairs_of_frames_in_turn(start, loss, painting, exact):
    settings = replace(FOR_FILMS, training=FittingSettings(steps=4, crop=64), made=2, style_size=64)
    pairs = []

    def noted(frames, flow, mask):
        pairs.append(len(frames))
        return temporal_loss(frames, flow, mask)

    network, curve = adapt(start, loss, [painting], settings, temporal=noted, place=exact)
    assert len(curve.losses) == 4
    assert pairs == [2, 2, 2]  # of four steps
    assert network.grain == start.grain > 0
    with pytest.raises(ValueError, match="temporal term"):
        adapt(start, loss, [painting], settings, place=exact)


@pytest.mark.parametrize(("share", "on_frames"), [(0.5, [1, 3, 5, 7]), (0.75, [1, 2, 3, 5, 6, 7]), (1.0, list(range(8))), (0.25, [3, 7])])
def test_the_share_of_steps_on_frames_is_spread_evenly(share, on_frames):
    steadiness = Steadiness(MovingPictures(contents_for(QUICK)), temporal_loss, 1.0, share=share)
    assert [step for step in range(8) if steadiness.counts(step)] == on_frames


def test_films_of_a_network_learned_for_them_are_steadier(start, loss, painting, exact):
    """The same network, the same contents, the same steps: what neighbours weigh makes the difference."""
    training = FittingSettings(steps=30, crop=64, learning_rate=3e-3)
    contents = made_pictures(4, 96, torch.Generator().manual_seed(1))
    clip = MovingPictures(made_pictures(3, 96, torch.Generator().manual_seed(2))).draw(4, 64, torch.Generator().manual_seed(3))
    apart = {}
    for weight in (0.0, 100.0):
        settings = Adaptation(training=training, style_size=64, film=True, temporal_weight=weight)
        network, _ = adapt(start, loss, [painting], settings, contents=contents, temporal=temporal_loss, place=exact)
        with torch.no_grad():
            apart[weight] = float(temporal_loss(network(clip.frames), clip.backward, clip.backward_traced))
    assert apart[100.0] < 0.8 * apart[0.0]
