"""The plug-in of Krita in the real program, where it is installed: what it paints in documents of every kind, and what it says.

Krita runs under Xvfb with a second plug-in that drives it, `krita_probe.py`. With IMPASTO_SCREENSHOTS=FOLDER its dialogs are kept.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from PIL import Image

from tests.conftest import scene
from tests.integrations.conftest import TOKEN, levels, painted

PLUGIN = Path(__file__).parents[2] / "integrations/krita"
PROBE = Path(__file__).parent / "krita_probe.py"
MISSING = [name for name in ("krita", "Xvfb") if shutil.which(name) is None]
SRGB = ["RGBA", "U8", "sRGB-elle-V2-srgbtrc.icc"]
SPACES = {
    "8 bits": SRGB,
    "16 bits": ["RGBA", "U16", "sRGB-elle-V2-srgbtrc.icc"],
    "16-bit floats": ["RGBA", "F16", "sRGB-elle-V2-g10.icc"],
    "32-bit floats": ["RGBA", "F32", "sRGB-elle-V2-g10.icc"],
    "Rec. 2020": ["RGBA", "F32", "Rec2020-elle-V4-g10.icc"],
    "Adobe RGB": ["RGBA", "U8", "ClayRGB-elle-V2-g22.icc"],
    "CMYK": ["CMYKA", "U8", "Chemical proof"],
    "CMYK of 16 bits": ["CMYKA", "U16", "Chemical proof"],
    "grey": ["GRAYA", "U8", "Gray-D50-elle-V2-srgbtrc.icc"],
    "grey of 16 bits": ["GRAYA", "U16", "Gray-D50-elle-V2-g22.icc"],
    "Lab": ["LABA", "U16", "Lab identity built-in"],
}


@pytest.fixture(scope="module")
def display():
    """A screen for nobody."""
    read, write = os.pipe()
    words = ["Xvfb", "-displayfd", str(write), "-screen", "0", "1400x900x24", "-nolisten", "tcp"]
    program = subprocess.Popen(words, pass_fds=[write], stderr=subprocess.DEVNULL)
    os.close(write)
    with os.fdopen(read) as told:
        yield f":{told.readline().strip()}"
    program.terminate()
    program.wait(10)


def run_krita(home, display, cases):
    """What Krita made of the cases."""
    plugins = home / "data/krita/pykrita"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(PLUGIN, plugins)
    (plugins / "impasto_probe").mkdir()
    shutil.copy(PROBE, plugins / "impasto_probe/__init__.py")
    about = (PLUGIN / "impasto_krita.desktop").read_text().replace("impasto_krita", "impasto_probe")
    (plugins / "impasto_probe.desktop").write_text(about.replace("Name=Impasto", "Name=Probe"))
    (home / "config").mkdir()
    (home / "config/kritarc").write_text("[python]\nenable_impasto_krita=true\nenable_impasto_probe=true\n")
    (home / "cases.json").write_text(json.dumps(cases))
    (home / "run").mkdir(mode=0o700)
    own = {"HOME": home, "XDG_CONFIG_HOME": home / "config", "XDG_DATA_HOME": home / "data", "XDG_RUNTIME_DIR": home / "run",
           "PATH": "/usr/bin:/bin", "DISPLAY": display, "IMPASTO_PROBE": home / "cases.json", "LANG": "C.UTF-8"}  # fmt: skip
    done = subprocess.run(
        ["krita", "--nosplash"], env={key: str(value) for key, value in own.items()}, timeout=300, capture_output=True, text=True
    )
    found = home / "cases.json.found"
    if not found.is_file() and "PyQt5" in done.stderr and "ModuleNotFoundError" in done.stderr:
        pytest.skip("Krita has no PyQt5 for its plug-ins (apt-get install python3-pyqt5)")
    assert found.is_file(), done.stderr[-2000:]
    results = json.loads(found.read_text())
    assert not [result["error"] for result in results if "error" in result]
    return results


pytestmark = [
    pytest.mark.long,
    pytest.mark.xdist_group("krita"),
    pytest.mark.skipif(bool(MISSING), reason=f"the plug-in is tested in Krita: {' and '.join(MISSING)} not installed (apt-get)"),
]


@pytest.fixture(scope="module")
def cases(studio, display, tmp_path_factory):
    """Everything that is tried, in one run of Krita: what was wanted and what was found, by name."""
    folder = tmp_path_factory.mktemp("krita")
    scene(160, 120).save(folder / "photo.png")
    scene(1400, 1100).save(folder / "large.png")
    holed = scene(160, 120).convert("RGBA")
    holed.paste((0, 0, 0, 0), (0, 0, 60, 120))
    holed.save(folder / "holed.png")
    shots = os.environ.get("IMPASTO_SCREENSHOTS")
    good = {"address": studio, "token": TOKEN}
    wanted = {name: {"space": space} for name, space in SPACES.items()}
    wanted |= {
        "transparent": {"file": str(folder / "holed.png"), "alone": True},
        "selection": {"selection": [30, 20, 80, 60], "feather": 5, "alone": True, "shots": shots and f"{shots}/krita-selection"},
        "selection of 16 bits": {"selection": [100, 80, 200, 200], "space": SPACES["16 bits"], "alone": True},
        "selection outside": {"selection": [300, 300, 20, 20]},
        "large": {"file": str(folder / "large.png")},
        "fine": {"quality": "fine", "shots": shots and f"{shots}/krita-fine"},
        "cancelled": {"file": str(folder / "large.png"), "quality": "fine", "cancel": 0.5},
        "again": {"repeat": 10},
        "again, 16 bits": {"repeat": 10, "space": SPACES["16 bits"]},
        "no studio": {"settings": {"address": "http://127.0.0.1:9"}, "shots": shots and f"{shots}/krita-none"},
        "no address": {"settings": {"address": "nonsense"}},
        "no token": {"settings": {"token": ""}},
        "wrong token": {"settings": {"token": "a-token-of-nobody-at-all"}},
    }
    for number, case in enumerate(wanted.values()):
        case["settings"] = good | case.get("settings", {})
        case |= {"style": "dusk", "out": str(folder / f"{number}.png")}
        case.setdefault("file", str(folder / "photo.png"))
    found = run_krita(folder / "home", display, [*wanted.values()])
    return {name: (case, result) for (name, case), result in zip(wanted.items(), found, strict=True)}


@pytest.fixture(scope="module")
def expected(cases, display, tmp_path_factory):
    """What Krita makes of a file that the command line painted, in a colour space of a document."""
    folder = tmp_path_factory.mktemp("expected")
    wanted = {}
    for name, space in SPACES.items():
        painted(Path(f"{cases[name][0]['out']}.before.png"), folder)
        shutil.copy(folder / "expected.png", folder / f"{len(wanted)}-file.png")
        wanted[name] = {
            "convert": True,
            "file": str(folder / f"{len(wanted)}-file.png"),
            "space": space,
            "out": str(folder / f"{len(wanted)}.png"),
        }
    run_krita(folder / "home", display, [*wanted.values()])
    return {name: levels(case["out"]) for name, case in wanted.items()}


@pytest.mark.parametrize("name", SPACES)
def test_documents_of_every_kind_are_painted_as_the_command_line_paints(cases, expected, name):
    case, found = cases[name]
    assert found["layers"] == ["Impasto: dusk"]
    assert found["space"] == SPACES[name], "the layer is of the document's own kind"
    assert not found["messages"]
    off = abs(levels(case["out"]) - expected[name])
    coarse = name in ("Adobe RGB", "CMYK", "CMYK of 16 bits")  # there and back Krita itself makes some levels of one
    assert off.max() <= (8 if coarse else 1)
    assert off.mean() < 0.3
    before = levels(f"{case['out']}.before.png")
    photo = levels(case["file"], "L")[:, :, None] if found["space"][0] == "GRAYA" else levels(case["file"])
    assert abs(before - photo).mean() < (30 if "CMYK" in name else 15), "the photo is still the photo"
    assert abs(before - levels(case["out"])).mean() > 10, "something was painted"


def test_more_than_1024_pixels_are_painted_at_full_size(cases, tmp_path):
    case, found = cases["large"]
    assert found["layer_bounds"] == [0, 0, 1400, 1100]
    assert abs(levels(case["out"]) - painted(case["file"], tmp_path)).max() <= 1
    assert found["longest"] < 1, "the window is not frozen"


def test_a_fine_image_is_painted_with_progress(cases, tmp_path):
    case, found = cases["fine"]
    steps = [step for text, step, total in found["labels"] if total > 1]
    assert steps == sorted(steps)
    assert len(set(steps)) > 2
    assert abs(levels(case["out"]) - painted(case["file"], tmp_path, "fine")).mean() <= 1


def test_what_is_transparent_stays_so(cases):
    case, _ = cases["transparent"]
    alpha = levels(case["out"], "RGBA")[:, :, 3]
    assert (alpha == levels(case["file"], "RGBA")[:, :, 3]).all()


@pytest.mark.parametrize("name", ["selection", "selection of 16 bits"])
def test_a_selection_is_painted_alone(cases, tmp_path, name):
    case, found = cases[name]
    left, top, width, height = found["layer_bounds"]
    assert (width, height) < (160, 120)
    box = (left, top, left + width, top + height)
    Image.open(f"{case['out']}.before.png").crop(box).save(tmp_path / "part.png")
    layer = levels(case["out"], "RGBA")
    inside = layer[top : top + height, left : left + width].copy()
    full = inside[:, :, 3] == 255
    assert full.any()
    assert abs(inside[:, :, :3] - painted(tmp_path / "part.png", tmp_path))[full].max() <= 1
    layer[top : top + height, left : left + width, 3] = 0
    assert not layer[:, :, 3].any(), "nothing lies outside of the selection"
    if "feather" in case:
        assert len(set(inside[:, :, 3].ravel().tolist())) > 10, "its edges are soft"


SAID = {
    "selection outside": "Select a part of the image",
    "no studio": "Start one with: impasto studio",
    "no address": "An address looks like http://",
    "no token": "needs a token",
    "wrong token": "needs another token",
}


@pytest.mark.parametrize("name", SAID)
def test_what_is_wrong_is_said_in_a_message(cases, name):
    _, found = cases[name]
    (said,) = found["messages"]
    assert SAID[name] in said
    assert not found["layers"]


def test_a_cancel_takes_less_than_a_second(cases):
    _, found = cases["cancelled"]
    assert found["stopped"] is not None
    assert found["stopped"] < 1
    assert not found["layers"]
    assert not found["messages"]


@pytest.mark.parametrize(("name", "each"), [("again", 1.5e6), ("again, 16 bits", 4e6)])
def test_ten_runs_take_no_more_memory_than_their_layers(cases, name, each):
    """Krita keeps the layers that were removed for its undo."""
    found = cases[name][1]["memories"]
    assert (found[-1] - found[2]) / (len(found) - 3) < each, [round(value / 2**20) for value in found]
