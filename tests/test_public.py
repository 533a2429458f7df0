"""What users may rely on: the public names, and that the front door is light."""

import subprocess
import sys

import pytest
import torch

import impasto
from impasto.media.images import Picture, write_picture
from impasto.networks.stylizer import NetworkStylizer
from impasto.runtime.stylizer import VideoStylizer
from tests.cli.runner import impasto_command

PUBLIC = [
    "Controls", "Event", "ImpastoError", "InputError", "PictureError", "Progress", "StyleError", "UnavailableError", "WeightsError",
    "adapt", "enlarge", "export", "export_web", "join", "load_style", "lut", "mix", "open_style", "save_style", "stylize",
]  # fmt: skip


def test_the_public_names_are_these():
    assert sorted(impasto.__all__) == sorted(PUBLIC)
    for name in PUBLIC:
        assert getattr(impasto, name).__doc__, f"{name} has no docstring"
    with pytest.raises(AttributeError, match="no attribute 'paint'"):
        _ = impasto.paint


def test_importing_and_asking_for_help_does_not_wait_for_torch():
    code = "import sys, impasto, impasto.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_stylizer_from_the_front_door(photo, painting):
    controls = impasto.Controls(method="gatys", options={"iterations": 2, "levels": 1}, device="cpu")
    stylizer = impasto.load_style(painting, controls=controls)
    picture = torch.rand(1, 3, 64, 64)
    assert stylizer(picture).shape == picture.shape


def test_stylize_paints_a_file(photo, painting, tmp_path):
    controls = impasto.Controls(method="gatys", options={"iterations": 2, "levels": 1})
    summary = impasto.stylize(photo, painting, output=tmp_path / "out.png", controls=controls)
    assert [outcome.output for outcome in summary.painted] == [tmp_path / "out.png"]


def test_a_style_file_carries_the_picture_with_it(photo, painting, tmp_path):
    file = impasto.save_style(painting, tmp_path / "mine.safetensors", name="mine", licence="CC0", source="me")
    painting.unlink()
    controls = impasto.Controls(method="gatys", options={"iterations": 2, "levels": 1})
    summary = impasto.stylize(photo, file, output=tmp_path / "out", controls=controls)
    assert summary.painted[0].output.name == "photo-mine.png"


@pytest.mark.parametrize("size", [(28, 40), (40, 28), (31, 32)])
def test_small_images_are_refused_alike_by_the_command_line_and_in_python(size, tmp_path):
    image = torch.rand(1, 3, *size)
    write_picture(Picture(image[0]), tmp_path / "small.png")
    expected = f"has {size[1]}x{size[0]} pixels; at least 32 on each side are needed to paint"
    told = impasto_command("stylize", tmp_path / "small.png", "-s", "dusk", "-o", tmp_path / "out.png")
    assert told.returncode == 2
    assert expected in " ".join(told.stderr.split())
    with pytest.raises(impasto.PictureError, match=expected):
        impasto.load_style("dusk")(image)
    with pytest.raises(impasto.PictureError, match=expected):
        list(impasto.load_style("dusk", controls=impasto.Controls(stabilize="flow"), films=True).stream([image[0]]))
    assert impasto.load_style("dusk")(torch.rand(1, 3, 32, 32)).shape == (1, 3, 32, 32)


def test_a_stylizer_says_what_it_is():
    stylizer = impasto.load_style("dusk")
    assert isinstance(stylizer, NetworkStylizer)
    assert not isinstance(stylizer, VideoStylizer)
    assert not hasattr(stylizer, "stream")
    assert isinstance(impasto.load_style("dusk", controls=impasto.Controls(stabilize="flow"), films=True), VideoStylizer)
