"""Steady films from the command line: learned for video, by flow, through a pipe, in folders; training and judging."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.job.styles import is_steady
from impasto.media.videos import FilmReader
from impasto.methods.distillation.method import TEACHER
from impasto.methods.distillation.networks import VideoNetwork
from impasto.methods.distillation.teacher_file import to_teacher_file
from impasto.methods.metastyle.settings import FOR_FILMS
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import to_style_file
from impasto.storage.registry import ASSETS, bundled
from impasto.storage.style_file import StyleRecord, read_style, write_style
from tests.cli.runner import impasto_command
from tests.cli.test_cli import assert_sentence
from tests.films import make_film


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def film(tmp_path):
    return make_film(tmp_path / "film.mp4", count=5)


@pytest.fixture
def frames(tmp_path):
    folder = tmp_path / "shot"
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (10, 14, 3), np.uint8)
    wide = np.asarray(Image.fromarray(noise).resize((112, 80), Image.Resampling.BICUBIC))
    for number in range(7):
        Image.fromarray(wide[:, 2 * number : 2 * number + 80]).save(folder / f"{number:03d}.png")
    return folder


def style_file(path, *, teacher=False, film=False):
    torch.manual_seed(0)
    settings = {"adaptation": {"film": True}} if film else {}
    record = StyleRecord("small", "distillation" if teacher else "metastyle", settings=settings)
    return write_style(path, to_teacher_file(VideoNetwork(4, 1), record) if teacher else to_style_file(StyleNetwork(4, 1), record))


def test_a_painting_is_learned_for_video(painting, film, tmp_path):
    done = impasto_command("adapt", painting, "--for", "video", "--steps", "2", "-o", tmp_path / "steady.safetensors")
    assert done.returncode == 0, done.stderr
    record = read_style(tmp_path / "steady.safetensors").record
    assert record.settings["adaptation"]["film"]
    assert record.settings["adaptation"]["temporal_weight"] == FOR_FILMS.temporal_weight
    assert record.settings["grain"] > 0
    done = impasto_command("stylize", film, "-s", tmp_path / "steady.safetensors", "--stabilize", "student", "-o", tmp_path / "out.mp4")
    assert done.returncode == 0, done.stderr
    assert len(list(FilmReader(tmp_path / "out.mp4"))) == 5
    assert_sentence(impasto_command("adapt", painting, "--for", "cinema"), 2, "there is no purpose 'cinema'; there are photos, video, live")
    assert_sentence(impasto_command("adapt", painting, "--temporal-weight", "3"), 2, "--for video")
    assert_sentence(impasto_command("adapt", painting, "--precision", "int8"), 2, "eight bits are for painting")


def test_a_picture_is_learned_for_films_when_a_film_is_painted(painting, film, photo, tmp_path):
    done = impasto_command("stylize", film, photo, "-s", painting, "--steps", "2", "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    learned = [read_style(path).record.settings["adaptation"]["film"] for path in (tmp_path / "cache/adapted").glob("*.safetensors")]
    assert sorted(learned) == [False, True]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["film-painting.mp4", "photo-painting.png"]


def test_every_way_of_holding_a_film_still(film, tmp_path):
    photos, teacher = style_file(tmp_path / "photos.safetensors"), style_file(tmp_path / "teacher.safetensors", teacher=True)
    for style, way in ((photos, "none"), (photos, "flow"), (photos, "auto"), (teacher, "none"), (teacher, "flow")):
        output = tmp_path / f"{style.stem}-{way}.mp4"
        done = impasto_command("stylize", film, "-s", style, "--stabilize", way, "-o", output)
        assert done.returncode == 0, done.stderr
        assert len(list(FilmReader(output))) == 5
    assert (tmp_path / "photos-auto.mp4").read_bytes() == (tmp_path / "photos-flow.mp4").read_bytes()
    assert (tmp_path / "photos-none.mp4").read_bytes() != (tmp_path / "photos-flow.mp4").read_bytes()
    assert (tmp_path / "teacher-none.mp4").read_bytes() != (tmp_path / "teacher-flow.mp4").read_bytes()
    refused = impasto_command("stylize", film, "-s", photos, "--stabilize", "student", "-o", tmp_path / "o.mp4")
    assert_sentence(refused, 2, "has not learned to paint stable films without optical flow")
    assert_sentence(impasto_command("stylize", film, "-s", photos, "--stabilize", "glue"), 2, "no way to stabilise films .glue.")


def test_bundled_styles_paint_photos_and_steady_films(film, tmp_path):
    for way in ("auto", "student", "none", "flow"):
        done = impasto_command("stylize", film, "-s", "dusk", "--stabilize", way, "-o", tmp_path / f"{way}.mp4")
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "auto.mp4").read_bytes() == (tmp_path / "student.mp4").read_bytes()
    assert (tmp_path / "auto.mp4").read_bytes() == (tmp_path / "none.mp4").read_bytes(), "painted with the grain, which is flicker"
    assert (tmp_path / "auto.mp4").read_bytes() != (tmp_path / "flow.mp4").read_bytes()
    assert all(is_steady(read_style(ASSETS / "styles" / record.file)) for record in bundled("style").values())


def test_a_teacher_paints_photos_too(photo, tmp_path):
    teacher = style_file(tmp_path / "teacher.safetensors", teacher=True)
    done = impasto_command("stylize", photo, "-s", teacher, "-o", tmp_path / "out.png")
    assert done.returncode == 0, done.stderr
    assert "video" in impasto_command("info", teacher).stdout


def test_a_folder_of_frames(frames, tmp_path):
    done = impasto_command("stylize", frames, "--frames", "-s", style_file(tmp_path / "s.safetensors", film=True), "-o", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "out").glob("*.png"))) == 7
    assert "80x80" in done.stdout


def test_raw_frames_through_a_pipe(painting, tmp_path):
    style = style_file(tmp_path / "s.safetensors", film=True)
    frames = np.random.default_rng(0).integers(0, 256, (3, 48, 64, 3), np.uint8)
    command = ["stylize", "-", "--raw-size", "64x48", "-s", style]
    done = impasto_command(*command, stdin=frames.tobytes())
    assert done.returncode == 0, done.stderr
    assert len(done.data) == frames.size
    assert done.data != frames.tobytes()
    assert "3 frames" in done.stderr
    cut = impasto_command(*command, stdin=frames.tobytes()[:-5])
    assert len(cut.data) == frames.size * 2 // 3
    assert "ended within frame 2" in cut.stderr
    assert_sentence(impasto_command("stylize", "-", "-s", style), 2, "--raw-size")
    assert_sentence(impasto_command("stylize", "-", "-s", style, "--raw-size", "big"), 2, "640x360")
    for words in (["--mask", painting], ["--regions", "auto"], ["--frames"], ["--keep-metadata"]):
        assert_sentence(impasto_command(*command, *words), 2, f"{words[0]} is for files, and frames come through the pipe")


def test_teacher_and_student_are_trained_and_go_on(painting, frames, tmp_path):
    start = style_file(tmp_path / "start.safetensors")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "p.png").write_bytes(painting.read_bytes())
    quick = ("--content", tmp_path / "photos", "--film", frames, "--crop", "64", "--style-size", "64")
    wide = impasto_command("train", "teacher", painting, *quick, "--start", start, "--steps", "2", "-o", tmp_path / "t.safetensors")
    assert_sentence(wide, 2, "cannot start from a network of width 4")
    learned = tmp_path / "teacher.safetensors"
    done = impasto_command(
        "train", "teacher", painting, *quick, "--start", ASSETS / "styles" / "dusk.safetensors", "--steps", "2", "-o", learned
    )
    assert done.returncode == 0, done.stderr
    assert read_style(learned).record.network == TEACHER
    student = tmp_path / "student.safetensors"
    command = ("train", "student", painting, *quick, "--start", start, "--steps", "2", "--length", "3", "-o", student)
    assert_sentence(impasto_command(*command), 2, "need a teacher")
    assert_sentence(impasto_command(*command, "--teacher", learned, "--terms", "residual"), 2, "residual=1,rank=0.25")
    done = impasto_command(*command, "--teacher", learned, "--terms", "residual=1,temporal=0.5", "--rank-mode", "tail")
    assert done.returncode == 0, done.stderr
    record = read_style(student).record
    assert record.method == "distillation"
    assert set(record.settings["weights"]) == {"residual", "temporal"}
    assert not student.with_suffix(".checkpoint").exists()


def test_stability_is_judged(frames, tmp_path):
    style = style_file(tmp_path / "s.safetensors")
    done = impasto_command(
        "evaluate", "stability", frames, "-s", f"{style}@none", "-s", f"{style}@flow", "--json", tmp_path / "r.json",
        "--maps", tmp_path / "maps",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    sums = json.loads((tmp_path / "r.json").read_text())["sum"]
    assert sums["s.safetensors@flow"] < sums["s.safetensors@none"]
    assert (tmp_path / "maps" / "shot-errors.png").is_file()
    assert_sentence(impasto_command("evaluate", "stability"), 2, "nothing to judge on")


def test_a_mixture_of_steady_styles_is_steady(film, tmp_path):
    one, two = (style_file(tmp_path / f"{name}.safetensors", film=True) for name in ("one", "two"))
    unsteady = style_file(tmp_path / "three.safetensors")
    assert impasto_command("mix", f"{one}:1", f"{two}:1", "-o", tmp_path / "both.safetensors").returncode == 0
    assert impasto_command("mix", f"{one}:1", f"{unsteady}:1", "-o", tmp_path / "half.safetensors").returncode == 0
    assert read_style(tmp_path / "both.safetensors").record.settings["film"]
    assert not read_style(tmp_path / "half.safetensors").record.settings["film"]
