"""The plug-in of GIMP in GIMP 3 itself, where it is installed: what it paints in images of every kind, and what it says.

IMPASTO_GIMP is the command that runs GIMP's console, where it has another name, such as `chroot /srv/trixie gimp-console-3.0`.
"""

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.conftest import scene
from tests.integrations.conftest import TOKEN, levels, painted

PLUGIN = Path(__file__).parents[2] / "integrations/gimp/impasto"
PROBE = Path(__file__).parent / "gimp_probe.py"
GIMP = shlex.split(os.environ.get("IMPASTO_GIMP", "")) or [shutil.which("gimp-console-3.0") or shutil.which("gimp-console-3") or ""]
pytestmark = [
    pytest.mark.long,
    pytest.mark.xdist_group("gimp"),
    pytest.mark.skipif(GIMP == [""], reason="the plug-in is tested in GIMP 3, which is not installed (Debian 13: apt-get install gimp)"),
]
KINDS = {
    "8 bits": {},
    "16 bits": {"precision": "U16_NON_LINEAR"},
    "16 bits, linear": {"precision": "U16_LINEAR"},
    "floats": {"precision": "FLOAT_LINEAR"},
    "grey": {"grey": True},
}


@pytest.fixture(scope="module")
def cases(studio, tmp_path_factory):
    """Everything that is tried, in one run of GIMP: what was wanted and what was found, by name."""
    folder = tmp_path_factory.mktemp("gimp")
    scene(160, 120).save(folder / "photo.png")
    scene(1400, 1100).save(folder / "large.png")
    wanted = {name: dict(kind) for name, kind in KINDS.items()} | {
        "large": {"file": str(folder / "large.png")},
        "fine": {"quality": "fine"},
        "selection": {"selection": [30, 20, 80, 60], "feather": 8, "alone": True},
        "again": {"repeat": 10},
        "indexed": {"indexed": True},
        "no studio": {"address": "http://127.0.0.1:9"},
        "no token": {"token": ""},
    }
    for number, case in enumerate(wanted.values()):
        for key, value in {"address": studio, "token": TOKEN, "style": "dusk", "file": str(folder / "photo.png")}.items():
            case.setdefault(key, value)
        case["out"] = str(folder / f"{number}.png")
    shutil.copytree(PLUGIN, folder / "home/GIMP/3.0/plug-ins/impasto")
    shutil.copy(PROBE, folder / "probe.py")
    (folder / "cases.json").write_text(json.dumps([*wanted.values()]))
    own = {"HOME": folder / "home", "XDG_CONFIG_HOME": folder / "home", "PATH": os.environ["PATH"], "LANG": "C.UTF-8",
           "IMPASTO_PROBE": folder / "cases.json"}  # fmt: skip
    words = [*GIMP, "-i", "--batch-interpreter=python-fu-eval", "-b", f"exec(open({str(folder / 'probe.py')!r}).read())", "--quit"]
    done = subprocess.run(words, env={key: str(value) for key, value in own.items()}, capture_output=True, text=True, timeout=300)
    assert (folder / "cases.json.found").is_file(), done.stderr[-2000:]
    found = json.loads((folder / "cases.json.found").read_text())
    assert not [result["error"] for result in found if "error" in result]
    return {name: (case, result) for (name, case), result in zip(wanted.items(), found, strict=True)}


@pytest.mark.parametrize("name", KINDS)
def test_images_of_every_kind_are_painted_as_the_command_line_paints(cases, tmp_path, name):
    case, found = cases[name]
    assert found["status"] == "success"
    assert found["layers"][0][0] == "Impasto: dusk"
    assert found["precision"] == KINDS[name].get("precision", "U8_NON_LINEAR").lower().replace("_", "-"), "the image stays what it was"
    expected = painted(f"{case['out']}.before.png", tmp_path)
    if name == "grey":  # luminance in linear light, as GIMP converts
        linear = np.where(expected <= 10.31475, expected / 255 / 12.92, ((expected / 255 + 0.055) / 1.055) ** 2.4)
        light = linear @ [0.22248840, 0.71690369, 0.06060791]
        expected = (255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055))[:, :, None]
    assert abs(levels(case["out"]) - expected).max() <= (1.5 if name == "grey" else 1)
    assert abs(levels(case["out"]) - levels(f"{case['out']}.before.png")).mean() > 10, "something was painted"


@pytest.mark.parametrize(("name", "quality"), [("large", "draft"), ("fine", "fine")])
def test_full_size_and_fine(cases, tmp_path, name, quality):
    case, found = cases[name]
    assert found["layers"][0][3:] == [*Image.open(case["file"]).size]
    off = abs(levels(case["out"]) - painted(case["file"], tmp_path, quality))
    assert off.mean() <= 1
    assert quality == "fine" or off.max() <= 1


def test_a_selection_is_painted_alone(cases, tmp_path):
    case, found = cases["selection"]
    _, left, top, width, height = found["layers"][0]
    assert (width, height) < (160, 120)
    Image.open(f"{case['out']}.before.png").crop((left, top, left + width, top + height)).save(tmp_path / "part.png")
    layer = levels(case["out"], "RGBA")
    inside = layer[top : top + height, left : left + width].copy()
    full = inside[:, :, 3] == 255
    assert full.any()
    assert abs(inside[:, :, :3] - painted(tmp_path / "part.png", tmp_path))[full].max() <= 1
    assert len(set(inside[:, :, 3].ravel().tolist())) > 10, "its edges are soft"
    layer[top : top + height, left : left + width, 3] = 0
    assert not layer[:, :, 3].any(), "nothing lies outside of the selection"


@pytest.mark.parametrize(
    ("name", "words"),
    [("indexed", "Convert it with Image > Mode > RGB"), ("no studio", "Start one with: impasto studio"), ("no token", "needs a token")],
)
def test_what_is_wrong_is_said(cases, name, words):
    _, found = cases[name]
    assert found["status"] == "execution-error"
    assert words in found["said"]
    assert len(found["layers"]) == 1


def test_ten_runs_take_no_more_memory(cases):
    found = cases["again"][1]["memories"]
    assert max(found) - min(found) < 10e6, found
