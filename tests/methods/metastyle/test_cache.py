"""The cache of learned paintings: the second time is immediate, and anything that matters makes it a new one."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

import impasto.methods.metastyle.cache as library
from impasto.errors import InputError
from impasto.evaluation.speed import multiply_adds
from impasto.methods.metastyle.cache import learned
from impasto.methods.metastyle.live import LIVE
from impasto.methods.metastyle.method import learned_films
from impasto.methods.metastyle.settings import FOR_FILMS, FOR_LIVE, Adaptation
from impasto.motion.temporal import temporal_loss
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import bundled_start, network_of
from impasto.storage.registry import ASSETS, bundled
from impasto.storage.style_file import read_style
from impasto.training.made_pictures import made_pictures
from impasto.training.settings import FittingSettings
from tests.conftest import random_encoder

QUICK = Adaptation(FittingSettings(steps=2, crop=64), style_size=48, made=2)


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "adapted"


@pytest.fixture
def start():
    torch.manual_seed(0)
    return StyleNetwork(4, 1)


def learn(start, exact, painting, settings=QUICK, **more):
    return learned("mine", [painting], settings, encoder="compact", place=exact, start=start, **more)


def test_the_second_time_nothing_is_computed(cache, start, exact, monkeypatch):
    painting = torch.rand(1, 3, 40, 40)
    first = learn(start, exact, painting)
    monkeypatch.setattr(library, "adapt", None)
    again = learn(start, exact, painting.clone())
    assert (again.record.steps, again.record.loss) == (first.record.steps, first.record.loss)
    assert all(torch.equal(first.tensors[name], again.tensors[name]) for name in first.tensors)


def test_another_painting_size_seed_or_start_is_learned_anew(cache, start, exact, photo):
    painting = torch.rand(1, 3, 40, 40)
    learn(start, exact, painting)
    learn(start, exact, 1 - painting)
    learn(start, exact, painting, Adaptation(QUICK.training, style_size=64, made=2))
    learn(start, exact, painting, Adaptation(FittingSettings(steps=2, crop=64, seed=1), style_size=48, made=2))
    learn(StyleNetwork(4, 1), exact, painting)
    learn(start, exact, painting, photos=[photo.parent])
    assert len(list(cache.glob("*.safetensors"))) == 6


def test_an_encoder_without_the_layers_of_the_loss_is_refused(cache, start, exact, tmp_path):
    short = random_encoder(4, 6, 8, depths=(2, 2, 4))
    save_file(short.state_dict(), tmp_path / "short.safetensors")
    with pytest.raises(InputError, match="cannot serve the loss strokes"):
        learned("mine", [torch.rand(1, 3, 40, 40)], QUICK, encoder=str(tmp_path / "short.safetensors"), place=exact, start=start)


def test_the_record_tells_how_it_was_learned(cache, start, exact):
    record = learn(start, exact, torch.rand(1, 3, 40, 40), licence="CC0", source="me").record
    assert (record.method, record.width, record.steps, record.licence, record.source) == ("metastyle", 4.0, 2, "CC0", "me")
    assert [row[0] for row in record.settings["curve"]] == [1, 2]
    assert record.loss == pytest.approx(sum(row[2] for row in record.settings["curve"]) / 2, rel=1e-3)


def test_an_interrupt_leaves_no_file_and_the_next_time_goes_on(cache, start, exact):
    painting, steps = torch.rand(1, 3, 40, 40), []

    def stop(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(start, exact, painting, listener=stop)
    assert not list(cache.glob("*.safetensors"))
    learn(start, exact, painting, listener=lambda event: steps.append(event.step))
    assert steps == [2]
    assert [path.suffix for path in cache.iterdir()] == [".safetensors"]


def test_a_damaged_file_in_the_cache_is_made_again(cache, start, exact):
    painting = torch.rand(1, 3, 40, 40)
    learn(start, exact, painting)
    (file,) = cache.glob("*.safetensors")
    file.write_bytes(file.read_bytes()[:-50])
    learn(start, exact, painting)
    read_style(file)


def test_the_bundled_network_is_the_published_one_and_comes_with_the_package():
    network = bundled_start()
    assert sum(parameter.numel() for parameter in network.parameters()) == 1_679_235
    painted = network(torch.rand(1, 3, 32, 32))
    assert 0.01 < painted.std() < 0.5


def test_for_live_a_large_network_is_learned_first_and_a_small_one_from_it(cache, exact, monkeypatch):
    """Both are kept: the second painting of the day needs neither, and another small one needs no large one."""
    training = FittingSettings(steps=1, crop=64)
    monkeypatch.setattr(library, "FOR_FILMS", replace(FOR_FILMS, training=training))
    painting, settings = torch.rand(1, 3, 40, 40), replace(FOR_LIVE, training=training, style_size=48, made=2)
    steps = []

    def learn_live(**changes):
        with_changes = replace(settings, training=replace(training, **changes))
        return learned(
            "mine",
            [painting],
            with_changes,
            encoder="compact",
            place=exact,
            temporal=temporal_loss,
            listener=lambda event: steps.append(event.step),
        )

    small = learn_live()
    assert (small.record.width, small.record.settings["patch"], small.record.settings["blocks"]) == (32, 2, 3)
    assert learned_films(small)
    assert small.statistics
    assert len(list(cache.glob("*.safetensors"))) == len(steps) == 2
    learn_live()
    assert len(steps) == 2
    learn_live(guide_weight=1.0)
    assert len(list(cache.glob("*.safetensors"))) == len(steps) == 3


def test_what_it_learns_from_draws_it_near(cache, exact):
    torch.manual_seed(0)
    guide, painting = StyleNetwork(8, 1), torch.rand(1, 3, 40, 40)
    contents = made_pictures(2, 96, torch.Generator().manual_seed(1))
    photo = contents.draw(4, 64, torch.Generator().manual_seed(2))
    apart = {}
    for weight in (0.0, 20.0):
        training = FittingSettings(steps=25, crop=64, guide_weight=weight, learning_rate=3e-3)
        settings = replace(FOR_LIVE, training=training, style_size=48, made=2)
        start = StyleNetwork(**LIVE | {"width": 8})
        torch.manual_seed(1)
        file = learned("mine", [painting], settings, encoder="compact", place=exact, start=start, guide=guide, temporal=temporal_loss)
        with torch.no_grad():
            apart[weight] = float((network_of(file)(photo) - guide(photo)).abs().mean())
    assert apart[20.0] < 0.8 * apart[0.0]


def test_bundled_networks_for_live_films_are_small():
    live = [record for name, record in bundled("style").items() if name.endswith("-live")]
    assert {record.name.removesuffix("-live") for record in live} == {name for name in bundled("style") if not name.endswith("-live")}
    assert bundled("network")["live"].size <= 300_000
    for record in live:
        file = read_style(ASSETS / "styles" / record.file)
        assert record.size <= 300_000
        assert file.record.method == "metastyle"
        assert learned_films(file)
        assert multiply_adds(network_of(file)) <= 28_000
