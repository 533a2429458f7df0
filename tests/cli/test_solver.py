"""The solver from the command line: any picture at once, its controls, films, textures, training; and what it refuses."""

import pytest
import torch

from impasto.cli.choices import numbers
from impasto.errors import InputError
from impasto.media.images import Picture, read_picture, write_picture
from impasto.media.videos import FilmReader
from tests.cli.runner import impasto_command
from tests.cli.test_cli import assert_sentence, said
from tests.conftest import scene
from tests.films import make_film


@pytest.fixture
def run(photo, painting, tmp_path):
    def run(*words):
        return impasto_command("stylize", photo, "--style", painting, "--method", "solver", *words, "-o", tmp_path / "out.png")

    return run


def test_any_picture_at_once(run, photo, tmp_path):
    result = run()
    assert result.returncode == 0, said(result)
    assert (read_picture(tmp_path / "out.png").pixels - read_picture(photo).pixels).abs().mean() > 0.01


def test_its_controls(run, tmp_path):
    pictures = []
    for words in ([], ["--scales", "1,1,0,0,0"], ["--strength", "0.4"], ["--photoreal"], ["--style-size", "32"]):
        result = run(*words)
        assert result.returncode == 0, said(result)
        pictures.append(read_picture(tmp_path / "out.png").pixels)
    assert all((pictures[0] - other).abs().mean() > 1e-3 for other in pictures[1:])


def test_styles_side_by_side_with_a_mask_for_each(photo, painting, tmp_path):
    left = torch.zeros(3, 72, 96)
    left[..., :48] = 1
    write_picture(Picture(left), tmp_path / "left.png")
    write_picture(Picture(1 - left), tmp_path / "right.png")
    styles = ["--style", painting, "--style", "dusk"]
    one = impasto_command("stylize", photo, *styles, "--mask", tmp_path / "left.png", "-o", tmp_path / "one.png")
    assert one.returncode == 0, said(one)
    masks = ["--mask", tmp_path / "left.png", "--mask", tmp_path / "right.png"]
    both = impasto_command("stylize", photo, *styles, *masks, "-o", tmp_path / "b.png")
    assert both.returncode == 0, said(both)
    assert torch.equal(read_picture(tmp_path / "one.png").pixels, read_picture(tmp_path / "b.png").pixels)


def test_a_film(painting, tmp_path):
    film = make_film(tmp_path / "film.mp4", count=4)
    result = impasto_command("stylize", film, "--style", painting, "--method", "solver", cwd=tmp_path)
    assert result.returncode == 0, said(result)
    assert "film-painting.mp4" in result.stdout
    assert len(list(FilmReader(tmp_path / "film-painting.mp4"))) == 4


def test_a_texture_enlarged(tmp_path):
    scene(40, 30).save(tmp_path / "small.png")
    scene(96, 96).save(tmp_path / "sharp.png")
    result = impasto_command("enlarge", tmp_path / "small.png", "--reference", tmp_path / "sharp.png", cwd=tmp_path)
    assert result.returncode == 0, said(result)
    assert read_picture(tmp_path / "small-x3.png").size == (90, 120)
    twice = impasto_command("enlarge", tmp_path / "small.png", "-r", tmp_path / "sharp.png", "--factor", "2", "-o", tmp_path / "two.png")
    assert twice.returncode == 0, said(twice)
    assert read_picture(tmp_path / "two.png").size == (60, 80)


def test_a_solver_trained_here_paints(photo, painting, tmp_path, monkeypatch):
    monkeypatch.setattr("impasto.methods.solver.training.METRIC_PICTURES", 8)
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(2):
        scene(80 + number, 72).save(folder / f"{number}.png")
    small = ["--steps", "2", "--batch", "1", "--crop", "64", "--width", "2", "--iterations", "2", "--passes", "3", "--log-every", "1"]
    trained = impasto_command("train", "solver", "--content", folder, "-o", tmp_path / "own.safetensors", *small)
    assert trained.returncode == 0, said(trained)
    assert "step 2/2" in trained.stdout
    result = impasto_command("stylize", photo, "-s", painting, "--solver", tmp_path / "own.safetensors", "-o", tmp_path / "out.png")
    assert result.returncode == 0, said(result)


def test_what_is_refused(run, photo, painting, tmp_path):
    write_picture(Picture(torch.ones(3, 72, 72)), tmp_path / "square.png")
    cases = [
        (run("--scales", "1,1"), "five scales"),
        (run("--scales", "a,b,c,d,e"), "five numbers"),
        (run("--strength", "5"), "strength goes from 0"),
        (run("--mask", tmp_path / "square.png"), "a mask has the photo's shape"),
        (run("--mask", photo, "--mask", photo), "1 style needs a mask each, and 2 were given"),
        (run("--solver", painting), "no (solver|whole)|were expected|there is no solver"),
        (run("--encoder", "nothing"), "nothing"),
        (run("--steps", "3"), "--steps belongs to --method metastyle, not to solver"),
    ]
    for result, sentence in cases:
        assert_sentence(result, 2 if "nothing" not in sentence else result.returncode, sentence)
    film = make_film(tmp_path / "heard.mp4", pictures=False)
    assert_sentence(impasto_command("stylize", film, "-s", painting, "--method", "solver", "-o", tmp_path / "o.mp4"), 2, "no video stream")
    assert_sentence(impasto_command("enlarge", photo, "--reference", tmp_path / "none.png"), 2, "does not exist")
    assert not (tmp_path / "out.png").exists()


def test_five_scales_are_read():
    assert numbers("1,0.5,0,0,2", "scales") == (1, 0.5, 0, 0, 2)
    with pytest.raises(InputError, match="five numbers"):
        numbers("one", "scales", "five numbers")
