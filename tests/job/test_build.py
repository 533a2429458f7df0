"""Stylizers as they were decided: which encoder finishes a picture, and films that are finished frame by frame."""

import pytest
import torch

from impasto.job import build
from impasto.job.build import make_stylizer
from impasto.job.styles import gather_styles
from impasto.media.videos import FilmReader
from impasto.methods.declaration import Style, StyleSource
from impasto.runtime.device import Place
from impasto.runtime.finished import Finished
from impasto.settings import Controls
from tests.cli.runner import impasto_command
from tests.films import make_film

PLACE = Place(torch.device("cpu"), torch.float32)
PICTURE = StyleSource([Style("sea", torch.rand(1, 3, 40, 40))])


@pytest.mark.parametrize(
    ("source", "asked", "at_hand", "encoder"),
    [
        (PICTURE, {"quality": "best"}, True, "vgg19"),
        (PICTURE, {"quality": "best"}, False, "compact"),
        (PICTURE, {"quality": "fine"}, True, "compact"),
        (gather_styles(["dusk"], None, Controls()), {"quality": "best"}, True, "compact"),
    ],
)
def test_the_best_pictures_are_finished_with_vgg_where_it_is_at_hand(source, asked, at_hand, encoder, monkeypatch):
    """A style file has the statistics of the compact encoder alone."""
    seen, load = [], build.load_loss
    monkeypatch.setattr(build, "is_at_hand", lambda name, kind: at_hand)
    monkeypatch.setattr(build, "load_loss", lambda name, preset, place: (seen.append((name, preset)), load("compact", preset, place))[1])
    assert isinstance(make_stylizer(source, Controls(**asked), PLACE), Finished)
    assert seen == [(encoder, "finishing")]


def test_pictures_for_somebody_who_waits_are_drafts():
    assert not isinstance(make_stylizer(PICTURE, Controls(), PLACE), Finished)
    assert not isinstance(make_stylizer(PICTURE, Controls(method="gatys"), PLACE), Finished)


def test_a_film_is_finished_if_that_is_asked_for(tmp_path):
    film = make_film(tmp_path / "film.mp4", count=3)
    for stabilize in ("none", "flow"):
        words = ("--method", "gatys", "--iterations", "1", "--stabilize", stabilize, "-o", tmp_path / f"{stabilize}.mp4")
        optimised = impasto_command("stylize", film, "-s", "dusk", *words)
        assert optimised.returncode == 0, optimised.stderr
    found = []
    for quality in ("auto", "draft", "fine"):
        output = tmp_path / f"{quality}.mp4"
        done = impasto_command("stylize", film, "-s", "dusk", "--quality", quality, "-o", output)
        assert done.returncode == 0, done.stderr
        assert len(list(FilmReader(output))) == 3
        found.append(output.read_bytes())
    assert found[0] == found[1] != found[2]
