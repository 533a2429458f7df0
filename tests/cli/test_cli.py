"""The command line as a user meets it: what it prints, its exit codes, and what it leaves behind."""

import json
import pickle
import re
import signal
import subprocess
import sys

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

import impasto
from impasto.cli.options import split_weights
from impasto.errors import InputError
from impasto.media.images import read_picture
from impasto.storage.style_file import StyleFile, StyleRecord, write_style
from tests.cli.runner import impasto_command
from tests.media.test_masks import halves

QUICK = ["--method", "gatys", "--iterations", "2", "--levels", "1"]


def said(result):
    return " ".join((result.stdout + result.stderr).split())


def assert_sentence(result, code, sentence):
    text = said(result)
    assert result.returncode == code, text
    assert re.search(sentence, text), text
    assert "Traceback" not in text


def test_a_photo_in_a_bundled_style(photo, tmp_path):
    result = impasto_command("stylize", photo, "--style", "dusk", *QUICK, cwd=tmp_path)
    assert result.returncode == 0, said(result)
    assert "photo-dusk.png" in result.stdout
    assert "96x72" in result.stdout
    painted = read_picture(tmp_path / "photo-dusk.png")
    assert painted.size == (72, 96)
    assert (painted.pixels - read_picture(photo).pixels).abs().mean() > 0.01


def test_a_folder_with_a_bad_file_goes_on_and_names_it(photo, painting, tmp_path):
    (tmp_path / "bad.jpg").write_text("no picture")
    style = tmp_path / "style"
    style.mkdir()
    painting = painting.rename(style / "p.png")
    result = impasto_command("stylize", tmp_path, "-s", painting, "-o", tmp_path / "out", *QUICK)
    assert_sentence(result, 1, r"bad\.jpg is not a picture.* 1 of 2 files could not be painted")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["photo-p.png"]


def test_style_files_and_mixtures(photo, painting, tmp_path):
    impasto.save_style(painting, tmp_path / "mine.safetensors", name="mine", licence="CC0", source="a friend")
    result = impasto_command(
        "stylize", photo, "-s", f"{tmp_path / 'mine.safetensors'}:0.3", "-s", "woodcut:0.7", "-o", tmp_path / "out.jpg", *QUICK
    )
    assert result.returncode == 0, said(result)
    assert read_picture(tmp_path / "out.jpg").size == (72, 96)
    shown = said(impasto_command("info", tmp_path / "mine.safetensors"))
    for word in ("mine", "gatys", "CC0", "a friend", "picture"):
        assert word in shown


def test_regions(photo, painting, tmp_path):
    mask, style_mask = halves(tmp_path / "m.png", "red", "blue"), halves(tmp_path / "s.png", "blue", "green")
    result = impasto_command("stylize", photo, "-s", painting, "--mask", mask, "--style-mask", style_mask, "-o", tmp_path / "o.png", *QUICK)
    assert result.returncode == 0, said(result)
    assert "#ff0000: 50% of the photo, not in the style mask" in said(result)
    assert_sentence(
        impasto_command("stylize", photo, "-s", painting, "--mask", mask, *QUICK), 2, "gatys needs a mask of each style picture too"
    )


BAD_INPUT = {
    "missing": (None, "missing.jpg does not exist"),
    "empty": (b"", "is an empty file"),
    "text": (b"just words " * 50, "is not a picture"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_photos(name, tmp_path):
    content, sentence = BAD_INPUT[name]
    if content is not None:
        (tmp_path / f"{name}.jpg").write_bytes(content)
    before = sorted(tmp_path.iterdir())
    assert_sentence(impasto_command("stylize", tmp_path / f"{name}.jpg", "-s", "dusk", *QUICK, cwd=tmp_path), 2, sentence)
    assert sorted(tmp_path.iterdir()) == before


def test_truncated_thin_and_huge_photos(photo, tmp_path):
    Image.open(photo).resize((300, 200)).save(tmp_path / "cut.jpg")
    raw = (tmp_path / "cut.jpg").read_bytes()
    (tmp_path / "cut.jpg").write_bytes(raw[: len(raw) // 2])
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    Image.new("RGB", (5000, 1)).save(tmp_path / "line.png")
    Image.new("1", (20000, 20000)).save(tmp_path / "huge.png")
    before = sorted(tmp_path.iterdir())
    for name, sentence in (
        ("cut.jpg", "damaged or cut off"),
        ("dot.png", "has 1x1 pixels; at least 32"),
        ("line.png", "has 5000x1 pixels"),
        ("huge.png", "20000x20000 pixels, more than the limit of 100 megapixels; raise the limit .--max-megapixels 400"),
    ):
        assert_sentence(impasto_command("stylize", tmp_path / name, "-s", "dusk", *QUICK, cwd=tmp_path), 2, sentence)
    assert sorted(tmp_path.iterdir()) == before


def test_outputs_that_cannot_be(photo, tmp_path):
    before = photo.read_bytes()
    for output, sentence in (
        (photo, "is an input itself"),
        (photo / "inside.png", "not a folder that can be written to"),
        (tmp_path / "out.xyz", "has to end in"),
    ):
        assert_sentence(impasto_command("stylize", photo, "-s", "dusk", "-o", output, *QUICK), 2, sentence)
    assert photo.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["photo.png"]


def test_bad_styles(photo, tmp_path):
    damaged = write_style(
        tmp_path / "d.safetensors", StyleFile(StyleRecord("d", "gatys"), {"picture": torch.zeros(1, 3, 40, 40, dtype=torch.uint8)})
    )
    raw = bytearray(damaged.read_bytes())
    raw[-1] ^= 1
    damaged.write_bytes(raw)
    (tmp_path / "p.safetensors").write_bytes(pickle.dumps({"a": 1}))
    foreign = write_style(tmp_path / "f.safetensors", StyleFile(StyleRecord("f", "watercolour"), {"x": torch.zeros(2)}))
    empty = write_style(tmp_path / "e.safetensors", StyleFile(StyleRecord("e", "gatys"), {"x": torch.zeros(2)}))
    for style, sentence in (
        ("nowhere", "there is no style 'nowhere'; .*dusk"),
        (tmp_path / "gone.jpg", "does not exist"),
        (damaged, "does not match its checksum"),
        (tmp_path / "p.safetensors", "is a pickle"),
        (foreign, "for the method 'watercolour'"),
        (empty, "holds no style picture"),
    ):
        assert_sentence(impasto_command("stylize", photo, "-s", style, *QUICK, cwd=tmp_path), 2, sentence)


@pytest.mark.parametrize("weight", ["nan", "inf", "-1", "0"])
def test_bad_weights(photo, tmp_path, weight):
    assert_sentence(impasto_command("stylize", photo, "-s", f"dusk:{weight}", *QUICK, cwd=tmp_path), 2, "needs a weight of at least 0")


def test_bad_encoders_and_settings(photo, tmp_path):
    torch.save({"x": torch.rand(2)}, tmp_path / "weights.pth")
    save_file({"x": torch.rand(2)}, tmp_path / "foreign.safetensors")
    for words, sentence in (
        (["--encoder", tmp_path / "weights.pth"], "is a pickle"),
        (["--encoder", tmp_path / "foreign.safetensors"], "conv1_1 .. conv5_4 of a VGG encoder were expected"),
        (["--method", "magic"], "there is no method 'magic'"),
        (["--optimiser", "sgd"], "there is no optimiser .sgd.; there are lbfgs, adam"),
        (["--keep-color", "sepia"], "no way to keep colours .sepia.; there are luma, coral"),
        (["--strength", "99"], "strength goes from 0"),
        (["--device", "warp"], "there is no device 'warp'"),
        (["-s", "woodcut:0.5"], "give every style a weight"),
        (["--content-weight", "nan"], "content weight is a number from 0 on, not nan"),
    ):
        assert_sentence(impasto_command("stylize", photo, "-s", "dusk", *QUICK, *words, cwd=tmp_path), 2, sentence)


def test_no_network_and_no_cache(photo, tmp_path):
    offline = {"HF_ENDPOINT": "http://127.0.0.1:9", "IMPASTO_CACHE": str(tmp_path / "cache"), "HF_HUB_OFFLINE": "0"}
    result = impasto_command("stylize", photo, "-s", "dusk", "--method", "gatys", "--encoder", "vgg19", cwd=tmp_path, **offline)
    assert_sentence(result, 1, "vgg19 (is neither bundled nor cached|has to be fetched)")


ANNOUNCING = """
from impasto.cli import console, main
move = console.Watch.__call__
def announce(self, event):
    print("painting", event.step, flush=True)
    move(self, event)
console.Watch.__call__ = announce
main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for one process")
def test_an_interrupt_keeps_the_picture(photo, tmp_path):
    command = [
        "stylize",
        photo,
        "-s",
        "dusk",
        "--method",
        "gatys",
        "--optimiser",
        "adam",
        "--iterations",
        "100000",
        "-o",
        tmp_path / "o.png",
    ]
    process = subprocess.Popen(
        [sys.executable, "-c", ANNOUNCING, *map(str, command)], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert any(line.startswith("painting 3") for line in process.stdout), "it never began"
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, out + errors
    assert "stopped" in errors
    assert (read_picture(tmp_path / "o.png").pixels - read_picture(photo).pixels).abs().max() > 0


def test_lists_and_information():
    listed = said(impasto_command("styles"))
    for word in ("dusk", "starry-night", "van Gogh", "metastyle", "rose-window", "woodcut", "compact", "vgg19", "gatys", "Apache-2.0"):
        assert word in listed
    assert "tools/paint_examples.py" in said(impasto_command("info", "dusk"))
    assert "distilled from" in said(impasto_command("info", "compact"))
    assert "relu4_1" in said(impasto_command("info", "compact-decoder"))
    assert_sentence(impasto_command("info", "nothing"), 2, "neither a registered name nor")
    assert impasto_command("--version").stdout.strip() == impasto.__version__


def test_training_and_evaluation_from_the_command_line(tmp_path):
    from tests.conftest import random_encoder, scene

    save_file(random_encoder(8, 8, 8, 8, 8).state_dict(), tmp_path / "teacher.safetensors")
    for folder in ("photos", "paintings"):
        (tmp_path / folder).mkdir()
        scene(90, 80).rotate(5 if folder == "photos" else 40).save(tmp_path / folder / "a.png")
    result = impasto_command(
        "train", "encoder", "--content", "photos", "--style", "paintings", "--teacher", "teacher.safetensors", "--channels", "2,3,4,4,4",
        "--steps", "2", "--batch", "1", "--crop", "64", "-o", "small.safetensors", cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, said(result)
    assert "step 2/2" in result.stdout
    assert "2, 3, 4, 4, 4" in said(impasto_command("info", "small.safetensors", cwd=tmp_path))
    assert not (tmp_path / "small.checkpoint").exists()
    result = impasto_command(
        "evaluate", "fidelity", "--content", "photos", "--style", "paintings", "--encoder", "teacher.safetensors",
        "--method", "gatys:small.safetensors", "--method", "metastyle:small.safetensors", "--steps", "2",
        "--size", "64", "--iterations", "3", "--json", "out.json", cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, said(result)
    report = json.loads((tmp_path / "out.json").read_text())
    assert {row["method"] for row in report["rows"]} == {
        "optimum", "photo unchanged", "painting itself", "gatys:small.safetensors", "metastyle:small.safetensors",
    }  # fmt: skip
    assert report["date"]
    assert report["machine"]
    result = impasto_command(
        "evaluate", "speed", "--size", "64", "--repeats", "1", "--encoder", "teacher.safetensors", "--json", "s.json", cwd=tmp_path
    )
    assert result.returncode == 0, said(result)
    assert "dusk, PyTorch, float32, as written" in said(result)
    assert "teacher, there and back" in said(result)
    report = json.loads((tmp_path / "s.json").read_text())
    assert report["peak"]["float32"] > 0
    assert report["work"] == {"dusk": 153_792}
    assert all(row["share"] > 0 for row in report["timings"] if row["what"].startswith("dusk, PyTorch, float32"))
    assert_sentence(impasto_command("evaluate", "speed", "-s", tmp_path / "photos", cwd=tmp_path), 2, "photos")
    assert_sentence(
        impasto_command("evaluate", "fidelity", "--content", "photos", cwd=tmp_path), 2, "give --content and --style, or --pairs"
    )
    assert_sentence(
        impasto_command(
            "train", "encoder", "--content", "nowhere", "--style", "paintings", "--teacher", "teacher.safetensors", cwd=tmp_path
        ),
        2,
        "not a folder",
    )


def test_weights_are_split_off_names_only_where_they_are_numbers():
    assert split_weights(["a.jpg"]) == (["a.jpg"], None)
    assert split_weights(["a.jpg:0.3", "b:1"]) == (["a.jpg", "b"], [0.3, 1.0])
    assert split_weights(["C:\\pictures\\a.jpg"]) == (["C:\\pictures\\a.jpg"], None)
    with pytest.raises(InputError, match="give every style a weight"):
        split_weights(["a.jpg:0.3", "b"])


def test_options_that_had_another_name_are_still_taken(capsys):
    from impasto.cli import renamed

    assert renamed(["adapt", "--sensor", "0.1", "--sensor=0.2"]) == ["adapt", "--camera-noise", "0.1", "--camera-noise=0.2"]
    assert capsys.readouterr().err.count("--sensor is called --camera-noise now") == 2
