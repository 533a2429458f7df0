"""What every command that writes promises: no input's bytes change, no result is written twice, what it says lies on the disk."""

import hashlib
import json
import os
import random
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from PIL import Image

import impasto
from impasto.cli import loaded
from impasto.media.images import list_pictures, read_picture
from impasto.media.videos import FilmReader
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import to_style_file
from impasto.storage.style_file import StyleRecord, write_style
from tests.cli.runner import impasto_command
from tests.cli.test_cli import assert_sentence, said
from tests.conftest import scene
from tests.films import make_film, write_flow


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A folder as users have it: cameras that number alike, results of earlier days, styles, masks, films, frames."""
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    root = tmp_path / "world"
    for place in (
        "cam1/IMG_1.png",
        "cam2/IMG_1.png",
        "cam2/IMG_1.jpg",
        "a.png",
        "a-painting.png",
        "frames/f2.png",
        "frames/f10.png",
        "frames/f2.jpg",
    ):
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        scene(64, 48).rotate(len(place)).save(root / place)
    scene(80, 64).rotate(90, expand=True).quantize(6).convert("RGB").save(root / "painting.png")
    (root / "other").mkdir()
    scene(80, 64).rotate(180).quantize(5).convert("RGB").save(root / "other/painting.png")
    for name in ("mask.png", "style-mask.png"):
        mask = Image.new("RGB", (64, 48), "red")
        mask.paste("blue", (0, 0, 32, 48))
        mask.save(root / name)
    make_film(root / "clip.mp4", count=3)
    make_film(root / "cam1/clip.mp4", count=3)
    torch.manual_seed(0)
    for name in ("mine", "yours"):
        write_style(root / f"{name}.safetensors", to_style_file(StyleNetwork(4, 1), StyleRecord(name, "metastyle")))
    (root / "notes.txt").write_text("words")
    (root / "pairs.json").write_text(json.dumps([{"content": "a.png", "style": "painting.png"}]))
    monkeypatch.chdir(root)
    return root


def bytes_of(root):
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in root.rglob("*") if path.is_file()}


QUICK = ["--method", "gatys", "--iterations", "1", "--levels", "1", "--size", "48"]
TRAIN = ["--steps", "1", "--crop", "64", "--batch", "1"]
COMMANDS = [
    ["stylize", "cam1/IMG_1.png", "cam2/IMG_1.png", "cam2/IMG_1.jpg", "-s", "painting.png", *QUICK],
    ["stylize", "cam1/IMG_1.png", "cam2/IMG_1.png", "-s", "mine.safetensors", "-o", "out"],
    ["stylize", "cam1", "cam2", ".", "-s", "mine.safetensors"],
    ["stylize", ".", "-s", "mine.safetensors", "-o", "."],
    ["stylize", "a.png", "a-painting.png", "-s", "painting.png", "-o", ".", *QUICK],
    ["stylize", "a.png", "a-painting.png", "-s", "painting.png", "--regions", "auto:2", "--show-regions", "-o", "."],
    ["stylize", "a.png", "-s", "mine.safetensors", "-o", "a.png"],
    ["stylize", "a.png", "-s", "painting.png", "--mask", "mask.png", "--style-mask", "style-mask.png", "-o", "style-mask.png"],
    ["stylize", "a.png", "-s", "painting.png", "--mask", "mask.png", "--style-mask", "style-mask.png", "-o", "new.png"],
    ["stylize", "a.png", "-s", "painting.png", "-o", "painting.png", *QUICK],
    ["stylize", "clip.mp4", "cam1/clip.mp4", "-s", "mine.safetensors"],
    ["stylize", "clip.mp4", "-s", "mine.safetensors", "-o", "clip.mp4"],
    ["stylize", "clip.mp4", "a.png", "cam1", "-s", "mine.safetensors", "--part", "1/2"],
    ["stylize", "frames", "--frames", "-s", "mine.safetensors", "--part", "1/2", "-o", "painted"],
    ["join", "clip.mp4", "clip.mp4"],
    ["join", "frames", "frames"],
    ["stylize", "frames", "--frames", "-s", "mine.safetensors"],
    ["stylize", "frames", "--frames", "-s", "mine.safetensors", "-o", "frames"],
    ["stylize", "frames", "--frames", "-s", "mine.safetensors", "-o", "frames/"],
    ["stylize", "frames", "cam2", "--frames", "-s", "mine.safetensors", "-o", "trip.2024/"],
    ["stylize", "missing.png", "a.png", "notes.txt", "-s", "mine.safetensors", "-o", "out"],
    ["adapt", "painting.png", "other/painting.png", "--steps", "0"],
    ["adapt", "painting.png", "--steps", "0", "-o", "mine.safetensors"],
    ["adapt", "painting.png", "--steps", "0", "-o", "mine.safetensors", "--force"],
    ["mix", "mine.safetensors"],
    ["mix", "mine.safetensors", "yours.safetensors", "-o", "yours.safetensors"],
    ["mix", "mine.safetensors", "yours.safetensors", "--name", "mine"],
    ["export", "mine.safetensors"],
    ["export", "mine.safetensors", "-o", "mine.safetensors"],
    ["export", "--web", "frames", "mine.safetensors"],
    ["lut", "a.png", "-s", "painting.png", "--table", "9"],
    ["lut", "a.png", "-s", "painting.png", "--table", "9", "-o", "a.png"],
    ["enlarge", "a.png", "-r", "painting.png", "--factor", "2"],
    ["enlarge", "a.png", "-r", "painting.png", "--factor", "2", "-o", "painting.png"],
    ["train", "johnson", "painting.png", "--content", "cam1", *TRAIN, "--style-size", "32", "-o", "j.safetensors"],
    ["train", "metastyle", "--content", "cam1", "--style", "cam2", *TRAIN, "--width", "4", "--start", "mine.safetensors", "-o",
     "mine.safetensors"],
    ["train", "encoder", "--content", "cam1", "--style", "cam2", "--teacher", "mine.safetensors", *TRAIN, "-o", "mine.safetensors"],
    ["train", "solver", "--content", "cam1", *TRAIN, "--width", "2", "--start", "mine.safetensors", "-o", "mine.safetensors"],
    ["train", "decoder", "--content", "cam1", "--style", "cam2", *TRAIN, "--start", "mine.safetensors", "-o", "mine.safetensors"],
    ["train", "student", "painting.png", "--film", "clip.mp4", "--start", "mine.safetensors", "--steps", "1", "-o", "mine.safetensors"],
    ["train", "teacher", "painting.png", "--content", "cam1", "--start", "mine.safetensors", "--steps", "1", "-o", "mine.safetensors"],
    ["evaluate", "fidelity", "--pairs", "pairs.json", "--json", "pairs.json", "--encoder", "compact"],
    ["evaluate", "stability", "clip.mp4", "-s", "mine.safetensors", "--json", "clip.mp4"],
    ["evaluate", "speed", "--size", "64", "--json", "a.png/report.json"],
]  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_inputs_stay_results_are_one_each_and_what_is_said_is_true(world, command):
    before = bytes_of(world)
    done = impasto_command(*command)
    after = bytes_of(world)
    assert "Traceback" not in said(done), said(done)
    changed = {name for name, digest in before.items() if after.get(name) != digest}
    replaced = {"mine.safetensors"} if "--force" in command else set()
    assert changed <= replaced, "only what was named as the output, and is no input, may be replaced"
    new = set(after) - set(before)
    unfinished = [name for name in new if ".part" in name or Path(name).name.startswith(".")]
    assert not [name for name in unfinished if not re.search(r"\d-of-\d", name)], "nothing half-written is left"
    announced = [
        word for line in done.stdout.splitlines() for word in [line.split("  ")[0].strip()] if word and not word.startswith(("region", "#"))
    ]
    if command[0] == "stylize":
        results = {Path(name).as_posix() for name in announced}
        assert len(results) == len(announced), "two results were said to be in one place"
        for name in results:
            assert Path(name).exists(), f"{name} was announced and is not there"
        shown = {name for name in new if name.endswith("-regions.png")}
        written = {name if "/" not in name or "--frames" not in command else str(Path(name).parent) for name in new - shown}
        assert written == {os.path.relpath(name) for name in results}, "everything that was written was announced"
        assert (done.returncode == 0) == (
            bool(results) and "could not be painted" not in done.stderr and "impasto: missing" not in done.stderr
        )
    if done.returncode == 2:
        assert not new, "what was refused has written nothing"
        assert done.stderr.startswith("impasto: "), done.stderr


def test_every_command_that_writes_is_in_the_list():
    """A new command has to be added above."""
    listed = {tuple(word for word in command[:2] if word.isalpha()) for command in COMMANDS}
    listed = {words if words[0] in ("train", "evaluate") else words[:1] for words in listed}
    app = loaded([])
    there = {(command.name or command.callback.__name__,) for command in app.registered_commands}
    for group in app.registered_groups:
        there |= {(group.name, command.name) for command in group.typer_instance.registered_commands}
    assert there - {("styles",), ("info",), ("studio",)} <= listed, "what the studio writes is looked at in tests/studio"


def test_a_second_run_over_a_folder_paints_nothing_of_its_own(world):
    first = impasto_command("stylize", ".", "-s", "mine.safetensors", "-o", ".")
    assert first.returncode == 0, said(first)
    names = set(bytes_of(world))
    second = impasto_command("stylize", ".", "-s", "yours.safetensors", "-o", ".")
    assert second.returncode == 0, said(second)
    assert "painted by Impasto" in second.stderr
    assert "1 .txt" in second.stderr
    new = set(bytes_of(world)) - names
    assert new
    assert not [name for name in new if "mine" in name]


def test_frames_are_trained_on_in_their_order(tmp_path):
    for number in (0, 1, 2, 10, 11):
        scene(64 + number, 48).save(tmp_path / f"f{number}.png")
    assert [path.stem for path in list_pictures(tmp_path)] == ["f0", "f1", "f2", "f10", "f11"]
    from impasto.training.clips import _films_at

    for number in (1, 2, 10):
        (tmp_path / "films" / f"shot{number}").mkdir(parents=True)
    assert [path.name for path in _films_at(tmp_path / "films")] == ["shot1", "shot2", "shot10"]


def test_a_student_never_starts_from_the_network_of_another_painting(world):
    quick = ["--content", "cam1", "--steps", "1", "--length", "2", "--crop", "64", "--style-size", "32", "--vanilla-steps", "1",
             "--terms", "temporal=0.5", "--student", "reconet-xs", "-o", "student.safetensors"]  # fmt: skip
    for painting in ("painting.png", "other/painting.png"):
        done = impasto_command("train", "student", painting, *quick)
        assert done.returncode == 0, said(done)
    assert len(list(world.glob("student.vanilla-*.safetensors"))) == 2
    wrong = impasto_command("train", "student", "painting.png", *quick, "--start", "mine.safetensors")
    assert_sentence(wrong, 2, "holds a network of width 4 .*reconet-xs has width")


def test_transparency_is_laid_on_the_background_that_was_asked_for(world):
    cut_out = scene(64, 48).convert("RGBA")
    cut_out.putalpha(0)
    cut_out.save(world / "cut.png")
    cut_out.save(world / "cut.webp", save_all=True, append_images=[scene(64, 48).convert("RGBA")], duration=40)
    for asked, color in ((), (255, 255, 255)), (("--background", "#204060"), (32, 64, 96)), (("--background", "black"), (0, 0, 0)):
        done = impasto_command("stylize", "cut.png", "-s", "mine.safetensors", "-o", "cut.jpg", *asked)
        assert done.returncode == 0, said(done)
        done = impasto_command("stylize", "cut.webp", "-s", "mine.safetensors", "-o", "cut.mp4", *asked)
        assert done.returncode == 0, said(done)
        assert f"laid on {asked[1] if asked else 'white'}" in said(done)
        wanted = torch.tensor(color).view(3, 1, 1) / 255
        assert (read_picture(world / "cut.jpg").pixels - wanted).abs().max() < 0.03
        assert (next(iter(FilmReader(world / "cut.mp4"))).pixels - wanted).abs().max() < 0.03
    assert_sentence(
        impasto_command("stylize", "cut.png", "-s", "mine.safetensors", "-o", "cut.jpg", "--background", "greyish"), 2, "is no colour"
    )


def test_broken_metadata_are_nothing_to_talk_about(world):
    scene(64, 48).save(world / "odd.jpg", exif=b"Exif\x00\x00II*\x00\xff\xff\xff\xff")
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        done = impasto_command("stylize", "odd.jpg", "-s", "mine.safetensors", "--quality", "draft", "-o", "out.png")
    assert done.returncode == 0, said(done)
    assert not [one for one in seen if "PIL" in one.filename]
    assert not done.stderr


def test_a_folder_without_anything_to_paint_does_not_stop_the_others(world):
    (world / "empty").mkdir()
    done = impasto_command("stylize", "cam1", "empty", "-s", "mine.safetensors", "-o", "out")
    assert done.returncode == 0, said(done)
    assert "there is nothing to paint in empty" in done.stderr
    assert (world / "out").is_dir()
    assert_sentence(impasto_command("stylize", "empty", "-s", "mine.safetensors", "-o", "out"), 2, "there is nothing to paint in empty")


def test_brackets_and_markup_in_names_are_shown_as_they_are(world):
    scene(64, 48).save(world / "[bold]x[red].png")
    done = impasto_command("stylize", "[bold]x[red].png", "[b]gone[i].png", "-s", "mine.safetensors", "-o", "out")
    assert "[b]gone[i].png does not exist" in done.stderr
    assert "out/[bold]x[red]-mine.png" in done.stdout
    record = StyleRecord("plain", "metastyle", source="[red]a[/red] [/nothing]", licence="[link=x]CC0")
    write_style(world / "odd.safetensors", to_style_file(StyleNetwork(4, 1), record))
    shown = said(impasto_command("info", "odd.safetensors"))
    assert "[red]a[/red] [/nothing]" in shown
    assert "[link=x]CC0" in shown


def test_progress_is_told_where_there_is_no_terminal(world):
    make_film(world / "long.mp4", count=40)
    done = impasto_command("stylize", "long.mp4", "-s", "mine.safetensors", "-o", "long-out.mp4")
    assert done.returncode == 0, said(done)
    assert "long.mp4: 1 of 40" in done.stderr


def test_a_panorama_that_is_refused_is_told_the_size_that_works(world):
    scene(64, 48).resize((6000, 60)).save(world / "wide.png")
    refused = impasto_command("stylize", "wide.png", "-s", "mine.safetensors")
    assert_sentence(refused, 2, r"--size \d+ works")
    size = said(refused).split("--size ")[1].split(" ")[0]
    done = impasto_command("stylize", "wide.png", "-s", "mine.safetensors", "--size", size)
    assert done.returncode == 0, said(done)
    assert_sentence(impasto_command("stylize", "wide.png", "-s", "mine.safetensors", "--size", int(size) - 1), 2, "at least 32")


def test_a_picture_without_any_texture_is_painted(world):
    Image.new("RGB", (64, 64), (120, 120, 120)).save(world / "flat.png")
    done = impasto_command(
        "stylize", "flat.png", "-s", "painting.png", *QUICK[:2], "--iterations", "60", "--levels", "1", "-o", "flat-out.png"
    )
    assert done.returncode == 0, said(done)
    pixels = read_picture(world / "flat-out.png").pixels * 255
    assert pixels.flatten(1).std(1).max() > 15, "more than the noise that it begins with was painted"


def test_the_same_picture_twice_is_a_sentence_and_a_copy_of_it_a_result(world):
    (world / "pairs.json").write_text(json.dumps([{"content": "a.png", "style": "a.png"}]))
    words = [
        "evaluate",
        "fidelity",
        "--pairs",
        "pairs.json",
        "--encoder",
        "compact",
        "--method",
        "gatys",
        "--iterations",
        "1",
        "--size",
        "64",
    ]
    assert_sentence(impasto_command(*words), 2, "is the photo and the painting of one pair")
    (world / "copy.png").write_bytes((world / "a.png").read_bytes())
    (world / "pairs.json").write_text(json.dumps([{"content": "a.png", "style": "copy.png"}]))
    assert impasto_command(*words).returncode == 0


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"strength": 0.5}, "strength is a control of all methods"),
        ({"layer": "relu3_1", "iterations": 3}, "no method has all of these"),
        ({"itterations": 3}, "did you mean iterations"),
        ({"iterations": "many"}, "--iterations cannot be 'many'"),
        ({"iterations": float("nan")}, "--iterations cannot be nan"),
        ({"steps": True}, "--steps cannot be True"),
    ],
)
def test_options_in_python_are_checked_as_on_the_command_line(world, options, sentence):
    with pytest.raises(impasto.InputError, match=sentence):
        impasto.stylize("a.png", "painting.png", output="o.png", controls=impasto.Controls(options=options))


def test_a_control_that_only_one_method_has_chooses_it_in_python_too(world):
    chosen = []
    controls = impasto.Controls(size=48, options={"iterations": 2, "levels": 1})
    summary = impasto.stylize("a.png", "painting.png", output="o.png", controls=controls, listener=lambda event: chosen.append(event.total))
    assert summary.painted
    assert set(chosen) == {2}, "two iterations of gatys"
    from impasto.methods.solver.solver import Solver

    assert isinstance(impasto.load_style("painting.png", controls=impasto.Controls(options={"passes": 2})), Solver)


@pytest.mark.parametrize("change", [{"grain": 0.3}, {"outputs": "tanh"}])
def test_networks_that_differ_in_more_than_weights_are_not_mixed(world, change):
    torch.manual_seed(1)
    write_style("odd.safetensors", to_style_file(StyleNetwork(4, 1, **change), StyleRecord("odd", "metastyle")))
    assert_sentence(
        impasto_command("mix", "mine.safetensors", "odd.safetensors", "-o", "new.safetensors"), 2, f"differ in their {next(iter(change))}"
    )


def test_a_checkout_that_is_not_installed_can_be_imported(tmp_path):
    """The version comes with the installation; without one the package works all the same."""
    source = Path(impasto.__file__).parent
    code = """
import importlib.metadata as metadata

def version(name):
    raise metadata.PackageNotFoundError(name)

metadata.version = version
import impasto
print(impasto.__version__)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(source.parent)}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_a_network_whose_file_has_changed_is_read_again(world):
    from impasto.networks.style_network_file import load_network

    first, second = StyleNetwork(4), StyleNetwork(4)
    from safetensors.torch import save_file

    loaded = []
    for network in (first, second):
        save_file({name: value.contiguous() for name, value in network.state_dict().items()}, world / "n.safetensors")
        loaded.append(load_network(str(world / "n.safetensors")).last.weight)
    assert torch.equal(loaded[0], first.last.weight)
    assert torch.equal(loaded[1], second.last.weight)


@pytest.mark.long
def test_seeds_of_broken_files(tmp_path):
    """A minute of benchmarks/fuzz.py, always the same cases; the long run is by hand."""
    command = [sys.executable, str(Path(__file__).parents[1] / "benchmarks/fuzz.py"), "--minutes", "0.75", "--seed", "0"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, env=environment)
    assert done.returncode == 0, done.stdout
    assert "0 findings" in done.stdout


def test_memory_threads_and_files_stay_as_they_are(tmp_path):
    """The soak of benchmarks/soak.py, shorter."""
    command = [sys.executable, str(Path(__file__).parents[1] / "benchmarks/soak.py"), "--pictures", "120", "--first", "40"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240, env=os.environ | {"OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stdout + done.stderr


def test_flow_files_of_any_damage_are_sentences(tmp_path):
    chance = random.Random(0)
    write_flow(torch.zeros(2, 12, 16), tmp_path / "a.flo")
    data = (tmp_path / "a.flo").read_bytes()
    from impasto.errors import ImpastoError
    from impasto.motion.flow_files import read_flow

    for _ in range(200):
        damaged = bytearray(data[: chance.randrange(len(data))])
        if damaged:
            damaged[chance.randrange(min(12, len(damaged)))] = chance.randrange(256)
        (tmp_path / "b.flo").write_bytes(bytes(damaged))
        try:
            read_flow(tmp_path / "b.flo")
        except ImpastoError:
            continue
