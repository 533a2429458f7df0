"""Learning paintings from the command line: what a user does first, what goes wrong, and what is kept."""

import re
import signal
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from PIL import Image

from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import to_style_file
from impasto.storage.style_file import StyleRecord, read_style, write_style
from tests.cli.runner import impasto_command
from tests.cli.test_cli import ANNOUNCING, assert_sentence
from tests.conftest import scene


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))


def test_a_painting_becomes_a_style_file_that_paints(photo, painting, tmp_path):
    done = impasto_command(
        "adapt", painting, "-o", tmp_path / "mine.safetensors", "--steps", "2", "--licence", "CC0", "--source", "me, 2026"
    )
    assert done.returncode == 0, done.stderr
    record = read_style(tmp_path / "mine.safetensors").record
    assert (record.name, record.method, record.licence, record.source, record.steps) == ("painting", "metastyle", "CC0", "me, 2026", 2)
    assert len(record.settings["curve"]) == 2
    done = impasto_command("stylize", photo, "-s", tmp_path / "mine.safetensors", "-o", tmp_path / "out.png")
    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "out.png").size == Image.open(photo).size
    told = impasto_command("info", tmp_path / "mine.safetensors").stdout
    assert "metastyle" in told
    assert "compact" in told


def test_a_picture_is_learned_by_itself_and_the_second_photo_is_immediate(photo, painting, tmp_path):
    command = ("stylize", photo, "-s", painting, "--steps", "3", "-o")
    assert impasto_command(*command, tmp_path / "a.png").returncode == 0
    (made,) = (tmp_path / "cache/adapted").glob("*.safetensors")
    stamp = made.stat().st_mtime_ns
    assert impasto_command(*command, tmp_path / "b.png").returncode == 0
    assert made.stat().st_mtime_ns == stamp
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_bundled_styles_paint_at_once(photo, tmp_path):
    for strength in ("0", "0.5", "1"):
        done = impasto_command("stylize", photo, "-s", "dusk", "--strength", strength, "-o", tmp_path / f"{strength}.png")
        assert done.returncode == 0, done.stderr
    difference = [
        sum(abs(a - b) for a, b in zip(Image.open(photo).tobytes(), Image.open(tmp_path / f"{s}.png").tobytes(), strict=True))
        for s in ("0", "0.5", "1")
    ]
    assert difference[0] == 0
    assert difference[0] < difference[1] < difference[2]


def test_affine_styles_are_small_and_mix(photo, painting, tmp_path):
    for name, rotated in (("a", 0), ("b", 90)):
        Image.open(painting).rotate(rotated, expand=True).save(tmp_path / f"{name}.png")
        done = impasto_command(
            "adapt", tmp_path / f"{name}.png", "-o", tmp_path / f"{name}.safetensors", "--steps", "2", "--parameters", "affine"
        )
        assert done.returncode == 0, done.stderr
        style = read_style(tmp_path / f"{name}.safetensors")
        assert style.tensors["affine"].numel() * 2 < 8_000
        assert (tmp_path / f"{name}.safetensors").stat().st_size < 12_000 + 50_000 * len({key.split("/")[1] for key in style.statistics})
    mixed = tmp_path / "m.safetensors"
    done = impasto_command("mix", f"{tmp_path / 'a.safetensors'}:0.3", f"{tmp_path / 'b.safetensors'}:0.7", "-o", mixed)
    assert done.returncode == 0, done.stderr
    a, b, m = (read_style(tmp_path / f"{name}.safetensors").tensors["affine"].float() for name in "abm")
    torch.testing.assert_close(m, 0.3 * a + 0.7 * b, atol=1e-3, rtol=0)
    assert read_style(mixed).record.settings["mixed"] == {"a": 0.3, "b": 0.7}
    assert impasto_command("stylize", photo, "-s", mixed, "-o", tmp_path / "out.png").returncode == 0


def test_bundled_styles_mix_into_a_file_and_while_painting(photo, tmp_path):
    assert impasto_command("mix", "dusk:0.5", "woodcut:0.5", "-o", tmp_path / "m.safetensors").returncode == 0
    exact = ("--precision", "float32", "--quality", "draft")
    done = impasto_command("stylize", photo, "-s", tmp_path / "m.safetensors", "-o", tmp_path / "file.png", *exact)
    assert done.returncode == 0, done.stderr
    done = impasto_command("stylize", photo, "-s", "dusk:0.5", "-s", "woodcut:0.5", "-o", tmp_path / "at-once.png", *exact)
    assert done.returncode == 0, done.stderr
    one, two = (torch.tensor(list(Image.open(tmp_path / n).tobytes())).float() for n in ("file.png", "at-once.png"))
    assert (one - two).abs().mean() < 3  # the file holds 8 bits


def test_several_paintings_become_several_styles(painting, tmp_path):
    Image.open(painting).rotate(90, expand=True).save(tmp_path / "second.png")
    done = impasto_command("adapt", painting, tmp_path / "second.png", "-o", tmp_path / "styles", "--steps", "1")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "styles").iterdir()) == ["painting.safetensors", "second.safetensors"]
    assert_sentence(
        impasto_command("adapt", painting, tmp_path / "second.png", "-o", tmp_path / "one.safetensors"), 2, "give a folder as output"
    )


def test_what_cannot_be_is_said_in_one_sentence(photo, painting, tmp_path):
    narrow = write_style(tmp_path / "narrow.safetensors", to_style_file(StyleNetwork(8), StyleRecord("narrow", "metastyle")))
    style = read_style(narrow)
    wrong = write_style(
        tmp_path / "wrong.safetensors", type(style)(type(style.record)(**{**vars(style.record), "width": 32.0}), style.tensors)
    )
    newer = tmp_path / "newer.safetensors"
    newer.write_bytes(narrow.read_bytes().replace(rb"\"format\": 2", rb"\"format\": 9"))
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(narrow.read_bytes()[:-40])
    cases = [
        (["stylize", photo, "-s", wrong], "does not hold the weights of the network that it names"),
        (["stylize", photo, "-s", newer], "update Impasto"),
        (["stylize", photo, "-s", cut], "not a whole safetensors file"),
        (["stylize", photo, "-s", "dusk", "--strength", "2"], "strength goes from 0"),
        (["stylize", photo, "-s", "dusk", "--steps", "5"], "dusk is learned already"),
        (
            ["stylize", photo, "-s", "starry-night", "--iterations", "5"],
            "--iterations belongs to --method gatys or doodle, and starry-night",
        ),
        (
            ["stylize", photo, "-s", "dusk", "--style-size", "1024"],
            "--style-size says how a picture is learned, and dusk is learned already",
        ),
        (["stylize", photo, "-s", "dusk", "--encoder", "vgg19"], "--encoder says how a picture is learned, and dusk is learned already"),
        (["stylize", photo, "-s", painting, "--iterations", "5", "--passes", "3"], "no method has all of these: --iterations belongs to"),
        (["stylize", photo, "-s", "dsk"], "there is no style 'dsk'; did you mean dusk?"),
        (["stylize", photo, "-s", "dusk,scream"], "several styles are given one by one: -s dusk -s scream"),
        (["stylize", photo, "-s", painting, "--stabilize", "flow"], "--stabilize is for films, and there is none"),
        (["stylize", photo, "-s", painting, "--rate", "0.5"], "--rate is for films, and there is none"),
        (["stylize", photo, "-s", painting, "--method", "johnson"], "impasto train johnson"),
        (["stylize", photo, "-s", "starry-night", "--method", "gatys"], "gatys needs the picture that it was learned from"),
        (["stylize", photo, "-s", narrow, "-s", "dusk"], "width 8, 5 blocks, pixels by 1x1; width 32"),
        (["mix", narrow, painting, "-o", tmp_path / "m.safetensors"], "only trained styles are mixed"),
        (["mix", "dusk:0", "woodcut:0", "-o", tmp_path / "m.safetensors"], "not all of them may be 0"),
        (["adapt", tmp_path / "none.jpg"], "does not exist"),
        (["adapt", painting, "-o", tmp_path / "style.pt"], "ends in .safetensors"),
        (["adapt", narrow], "style file already"),
        (["adapt", painting, "--for", "films"], "there is no purpose 'films'; there are photos, video, live"),
        (["adapt", painting, "--for", "live", "--parameters", "affine"], "a network for live films is learned whole"),
        (["adapt", painting, "--temporal-weight", "3"], "--temporal-weight is of --for video and --for live"),
        (["adapt", painting, "--parameters", "some"], "there is no parameters 'some'; there are all, affine"),
        (["adapt", painting, "--photos", tmp_path / "cache"], "no pictures|is not a folder|does not exist"),
        (["train", "metastyle", "--content", tmp_path, "--style", tmp_path, "--preset", "x"], "no preset 'x'"),
        (["train", "metastyle", "--content", tmp_path, "--style", tmp_path, "-o", tmp_path / "a.pt"], "ends in .safetensors"),
        (["train", "metastyle", "--content", tmp_path, "--style", tmp_path, "--order", "third"], "no order 'third'"),
    ]
    for words, sentence in cases:
        assert_sentence(impasto_command(*words, cwd=tmp_path), 2, sentence)
    words = ["train", "johnson", painting, "--content", tmp_path, "--start", "zero"]
    assert_sentence(impasto_command(*words, cwd=tmp_path), 1, "no network .zero.; there are live, metastyle")


def test_training_writes_a_network_with_its_record_and_johnson_a_style(photo, painting, tmp_path):
    contents, styles = tmp_path / "contents", tmp_path / "styles"
    for folder, file in ((contents, photo), (styles, painting)):
        folder.mkdir()
        for index in range(2):
            Image.open(file).rotate(90 * index, expand=True).save(folder / f"{index}.png")
    output = tmp_path / "network.safetensors"
    done = impasto_command(
        "train", "metastyle", "--content", contents, "--style", styles, "-o", output,
        "--steps", "2", "--width", "4", "--crop", "64", "--styles", "1", "--batch", "1", "--log-every", "1", "--order", "first",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.search(r"step 2/2 .* before [\d.]+ .*loss [\d.]+", done.stdout)
    assert output.exists()
    assert output.with_suffix(".json").exists()
    assert not output.with_suffix(".checkpoint").exists()
    done = impasto_command(
        "train",
        "johnson",
        painting,
        "--content",
        contents,
        "-o",
        tmp_path / "j.safetensors",
        "--steps",
        "2",
        "--batch",
        "1",
        "--crop",
        "64",
    )
    assert done.returncode == 0, done.stderr
    assert read_style(tmp_path / "j.safetensors").record.method == "johnson"
    assert impasto_command("stylize", photo, "-s", tmp_path / "j.safetensors", "-o", tmp_path / "o.png").returncode == 0


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_an_interrupted_adaptation_leaves_no_file_and_goes_on(painting, tmp_path):
    output = tmp_path / "mine.safetensors"
    command = [sys.executable, "-c", ANNOUNCING, "adapt", str(painting), "-o", str(output), "--steps", "100000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert any(line.startswith("painting 3") for line in process.stdout), "it never began"
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130, told
    assert "the same command resumes it" in told
    assert not output.exists()
    assert [path.suffix for path in (tmp_path / "cache/adapted").iterdir()] == [".checkpoint"]


def test_styles_without_statistics_are_painted_as_drafts_and_that_is_said(photo, painting, tmp_path):
    style = to_style_file(StyleNetwork(4), StyleRecord("bare", "metastyle"))
    other = {"0123456789abcdef/128/relu1_1": torch.zeros(136)}
    bare = write_style(tmp_path / "bare.safetensors", replace(style, statistics=other))
    done = impasto_command("stylize", photo, "-s", bare, "-o", tmp_path / "out.png")
    assert done.returncode == 0, done.stderr
    assert "bare does not hold the statistics of its painting that this version finishes by, so its pictures are drafts" in done.stderr
    draft = impasto_command("stylize", photo, "-s", bare, "--quality", "draft", "--backend", "torch", "-o", tmp_path / "draft.png")
    assert draft.returncode == 0
    assert "statistics" not in draft.stderr
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "draft.png").read_bytes()


def test_learned_and_mixed_styles_are_finished_without_their_paintings(photo, painting, tmp_path):
    done = impasto_command("adapt", painting, "-o", tmp_path / "a.safetensors", "--steps", "2")
    assert done.returncode == 0, done.stderr
    painting.unlink()
    assert impasto_command("mix", tmp_path / "a.safetensors", "dusk", "-o", tmp_path / "m.safetensors").returncode == 0
    for style in ("a.safetensors", "m.safetensors", "dusk"):
        pictures = []
        for quality in ("draft", "fine"):
            output = tmp_path / f"{quality}.png"
            done = impasto_command("stylize", photo, "-s", tmp_path / style if "." in style else style, "--quality", quality, "-o", output)
            assert done.returncode == 0, done.stderr
            pictures.append(output.read_bytes())
        assert pictures[0] != pictures[1], style


def test_large_photos_are_painted_at_a_size_that_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("impasto.job.engine.PHOTO_SIDE", 96)
    Image.new("RGB", (200, 120), "teal").save(tmp_path / "large.png")
    draft = ("stylize", tmp_path / "large.png", "-s", "dusk", "--quality", "draft", "--backend", "torch", "-o", tmp_path / "o.png")
    done = impasto_command(*draft)
    assert done.returncode == 0, done.stderr
    assert "200x120 pixels were painted at 96x58; --size 0 paints all of them" in " ".join(done.stderr.split())
    asked = impasto_command(*draft, "--size", "96")
    assert "were painted at" not in asked.stderr


def test_strokes_have_a_size_of_their_own(photo, painting, tmp_path):
    found = []
    for stroke in ("0.5", "2"):
        done = impasto_command("stylize", photo, "-s", painting, "--stroke", stroke, "-o", tmp_path / "o.png")
        assert done.returncode == 0, done.stderr
        found.append((tmp_path / "o.png").read_bytes())
    assert found[0] != found[1]
    assert_sentence(impasto_command("stylize", photo, "-s", painting, "--stroke", "0"), 2, "stroke goes from 0.05")
    assert_sentence(impasto_command("stylize", photo, "-s", painting, "--quality", "great"), 2, "there are auto, draft, fine, best")


def test_a_style_of_another_painting_or_with_other_settings_is_not_replaced_unless_asked(painting, tmp_path):
    second = tmp_path / "second.png"
    Image.effect_noise((60, 60), 90).convert("RGB").save(second)
    output = tmp_path / "mine.safetensors"

    def learn(*words):
        return impasto_command("adapt", *words, "-o", output, "--name", "mine")

    assert learn(painting, "--steps", "1").returncode == 0
    before = output.read_bytes()
    assert learn(painting, "--steps", "1").returncode == 0, "the same again"
    for words in ([second, "--steps", "1"], [painting, "--steps", "2"], [painting, "--steps", "1", "--for", "video"]):
        assert_sentence(learn(*words), 2, "is there already, and was not learned from this painting with these settings")
        assert output.read_bytes() == before
    assert learn(second, "--steps", "1", "--force").returncode == 0
    assert output.read_bytes() != before
    output.write_text("notes")
    assert_sentence(learn(second, "--steps", "1"), 2, "--force to replace it")
    several = impasto_command("adapt", second, painting, "-o", tmp_path, "--steps", "1")
    assert several.returncode == 0
    (tmp_path / "second.safetensors").unlink()
    assert_sentence(impasto_command("adapt", second, painting, "-o", tmp_path, "--steps", "3"), 2, "give another output")
    assert not (tmp_path / "second.safetensors").exists(), "nothing is learned before"


def test_a_stroke_that_changes_nothing_is_said(tmp_path):
    scene(320, 240).save(tmp_path / "photo.png")

    def paint(*words):
        done = impasto_command("stylize", tmp_path / "photo.png", "-s", "dusk", "-o", tmp_path / "out.png", "--quality", "draft", *words)
        assert done.returncode == 0, done.stderr
        return (tmp_path / "out.png").read_bytes(), " ".join((done.stdout + done.stderr).split())

    plain, said = paint("--stroke", "1")
    assert "--stroke" not in said
    for stroke in ("0.5", "1.5", "2"):
        painted, said = paint("--stroke", stroke)
        assert painted == plain
        assert f"--stroke {stroke} changes nothing in a draft of 320x240 pixels; --quality fine follows it at any size" in said
    painted, said = paint("--stroke", "3")
    assert painted != plain
    assert "--stroke" not in said
    frames = tmp_path / "frames"
    frames.mkdir()
    scene(320, 240).save(frames / "1.png")
    done = impasto_command("stylize", frames, "--frames", "-s", "dusk", "-o", tmp_path / "out", "--stroke", "0.5")
    assert "--stroke 0.5 changes nothing in a draft of 320x240 pixels" in " ".join((done.stdout + done.stderr).split())
