"""Recipes: what trains a network is data, and everything that cannot be is said before anything is trained."""

from dataclasses import fields, replace
from pathlib import Path
from pkgutil import resolve_name
from typing import get_args

import pytest
from safetensors.torch import save_file

from impasto.errors import InputError
from impasto.methods.table import recipes
from impasto.perception.presets import PRESETS, LossName
from impasto.settings import Settings
from impasto.training import schedules
from impasto.training.recipe import Materials, train_to_file
from tests.conftest import scene


@pytest.mark.parametrize("recipe", recipes().values(), ids=lambda recipe: recipe.name)
def test_every_recipe_is_whole(recipe):
    assert callable(resolve_name(recipe.run))
    assert set(recipe.takes) <= {item.name for item in fields(Materials)}
    for name, settings in recipe.presets.items():
        assert isinstance(settings, Settings), name
        assert recipe.settings(name) == settings
    for item in fields(recipe.settings()):
        assert item.metadata.get("help") or item.name == "unroll", f"{recipe.name}: {item.name} does not say what it is"


@pytest.mark.parametrize("recipe", recipes().values(), ids=lambda recipe: recipe.name)
def test_what_cannot_be_is_said_before_the_training(recipe, painting, tmp_path):
    given = Materials(painting=painting, content=[tmp_path], style=[tmp_path], film=[tmp_path], teacher="t", start="s")
    for output, words in ((tmp_path / "a.pt", r"ends in \.safetensors"), (painting / "a.safetensors", "not a folder")):
        with pytest.raises(InputError, match=words):
            train_to_file(recipe, given, output)
    with pytest.raises(InputError, match="no preset 'best'"):
        train_to_file(recipe, given, preset="best")
    with pytest.raises(InputError, match="no setting 'stepz'; did you mean steps"):
        train_to_file(recipe, given, changes={"stepz": 3})
    with pytest.raises(InputError, match="steps is a number from 0 on, not -1"):
        train_to_file(recipe, given, changes={"steps": -1})
    with pytest.raises(InputError):
        train_to_file(recipe, Materials(), tmp_path / "a.safetensors")
    assert not Path("a.safetensors").exists()


SHARED = [recipe for recipe in recipes().values() if hasattr(recipe.settings(), "start_share")]


@pytest.mark.parametrize("recipe", SHARED, ids=lambda recipe: recipe.name)
def test_a_share_of_the_start_needs_a_start_and_reaches_the_loop(recipe, encoder, tmp_path, monkeypatch):
    (tmp_path / "photos").mkdir()
    for name in ("a", "b"):
        scene(96, 80).save(tmp_path / "photos" / f"{name}.png")
    save_file({key: value.contiguous() for key, value in encoder.state_dict().items()}, tmp_path / "tiny.safetensors")
    given = Materials(content=[tmp_path / "photos"], style=[tmp_path / "photos"], encoder=str(tmp_path / "tiny.safetensors"))
    small = {"steps": 0, "crop": 64, "style_size": 64, "width": 2}
    changes = {key: value for key, value in small.items() if hasattr(recipe.settings(), key)}
    start = train_to_file(recipe, given, tmp_path / "start.safetensors", changes=changes, device="cpu", precision="float32")
    with pytest.raises(InputError, match="--start"):
        train_to_file(recipe, given, tmp_path / "n.safetensors", changes={**changes, "start_share": 0.4})
    shares, module = [], resolve_name(recipe.run.partition(":")[0])
    monkeypatch.setattr(module, "train", lambda *given, start_share, **more: shares.append(start_share))
    further = replace(given, start=str(start))
    train_to_file(recipe, further, tmp_path / "n.safetensors", changes={**changes, "start_share": 0.4}, device="cpu", precision="float32")
    assert shares == [0.4]


def test_the_names_of_losses_are_those_of_their_presets():
    assert set(get_args(LossName)) == set(PRESETS)


def test_schedules():
    assert [schedules.linear(step, 10, final=0.5) for step in (0, 5, 10)] == [1.0, 0.75, 0.5]
    assert [schedules.linear(step, 10, warmup=4) for step in (0, 3)] == [0.25, pytest.approx(0.7)]
    assert [schedules.cosine(step, 10, final=0.2) for step in (0, 5, 10)] == pytest.approx([1.0, 0.6, 0.2])
    assert schedules.inverse(4, decay=0.25) == 0.5
    assert [schedules.staircase(step, every=2, factor=2.0, least=0.3) for step in (0, 2, 4)] == [1.0, 0.5, 0.3]
