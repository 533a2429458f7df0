"""A package of somebody else whose method learns networks of the kind that ours do: its style files are as good as ours."""

import os
import subprocess
import sys

import pytest
import torch

import impasto
from impasto.backends.exported import ExportedNetwork
from impasto.job import large
from impasto.media.images import read_picture
from impasto.methods import table
from impasto.networks.style_network_file import network_of
from tests.cli.runner import impasto_command
from tests.conftest import scene

INK = '''
"""A method that inks: the network of a style, on the photo in grey."""

from impasto.methods.declaration import Method, refuse_learning


class Ink:
    def __init__(self, inner):
        self.inner = inner

    def __call__(self, image, *, masks=None):
        return self.inner(image.mean(1, keepdim=True).expand_as(image), masks=masks)


def build(source, controls, place, listener):
    from impasto.training.learned import learned_stylizer

    refuse_learning(source, controls)
    stylizer = learned_stylizer([style.file for style in source.styles], source.weights, controls, place, stroke=controls.strokes)
    return stylizer if source.name.startswith("plain") else Ink(stylizer)


def learn(name, painting, path):
    """What a training of the package would do: here the network is that of a bundled style."""
    from impasto.job.styles import find_style
    from impasto.networks.style_network_file import network_of, to_style_file
    from impasto.runtime.encoders import measured_style
    from impasto.storage.style_file import StyleRecord, write_style
    from dataclasses import replace

    file = to_style_file(network_of(find_style("dusk").file), StyleRecord(name, "ink"))
    write_style(path, replace(file, statistics=measured_style([painting])))


METHOD = Method("ink", "the photo in grey, painted by a network", "nobody, 2026", build, style="file", films="network", bytes_a_pixel=850)
'''
PROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "impasto-ink"
version = "0.1"

[project.entry-points."impasto.methods"]
ink = "impasto_ink:METHOD"

[tool.setuptools]
py-modules = ["impasto_ink"]
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder that pip installed the package into."""
    project, site = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("site")
    (project / "impasto_ink.py").write_text(INK)
    (project / "pyproject.toml").write_text(PROJECT)
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--target",
        str(site),
        str(project),
    ]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"pip cannot build packages here: {done.stderr.strip()[-200:]}")
    return site


@pytest.fixture
def stranger(installed, monkeypatch):
    """The package, on the path of this process."""

    def forget():
        table.methods.cache_clear()
        table._others.cache_clear()

    monkeypatch.syspath_prepend(installed)
    forget()
    yield
    forget()
    sys.modules.pop("impasto_ink", None)


@pytest.fixture
def style(stranger, tmp_path):
    def learn(name="ink"):
        from impasto_ink import learn

        painting = torch.rand(1, 3, 80, 80, generator=torch.Generator().manual_seed(1)).round()
        learn(name, painting, tmp_path / f"{name}.safetensors")
        return tmp_path / f"{name}.safetensors"

    return learn


@pytest.fixture
def photo(tmp_path):
    scene(96, 72).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def run(*words, **more):
    result = impasto_command(*words, **more)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_its_styles_paint_drafts_and_refined_pictures(style, photo, tmp_path):
    run("stylize", photo, "-s", style(), "-o", tmp_path / "draft.png", "--quality", "draft")
    grey = read_picture(photo).pixels.mean(0, keepdim=True).expand(3, -1, -1)
    expected = impasto.load_style("dusk")(grey[None])[0]
    draft = read_picture(tmp_path / "draft.png").pixels
    assert float((draft - expected).abs().max()) < 3 / 255, "the method paints, not its network alone"
    run("stylize", photo, "-s", style(), "-o", tmp_path / "fine.png", "--quality", "fine")
    assert float((read_picture(tmp_path / "fine.png").pixels - draft).abs().mean()) > 0.01


def test_its_styles_are_exported(style, photo, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnx")
    run("export", style(), "-o", tmp_path / "ink.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "ink.onnx")
    seen = read_picture(photo).pixels[None]
    (painted,) = session.run(None, {"photo": seen.numpy()})
    expected = ExportedNetwork(network_of(impasto.open_style("dusk").file))(seen)
    assert float((torch.from_numpy(painted) - expected).abs().max()) < 0.01


def test_its_styles_are_painted_by_tiles(style, tmp_path, monkeypatch):
    scene(700, 500).save(tmp_path / "large.png")
    found = []
    monkeypatch.setattr(large, "_taken", lambda: 0)
    monkeypatch.setattr(large, "memory_of", lambda asked: large.BESIDE + 150 * 2**20)
    monkeypatch.setattr("impasto.job.engine.cut", lambda *given: found.append(large.cut(*given)) or found[-1])
    for name, used in (("strange", style("plain")), ("bundled", "dusk")):
        run("stylize", tmp_path / "large.png", "-s", used, "--size", "0", "--quality", "draft", "-o", tmp_path / f"{name}.png")
    assert None not in found, "both are painted by tiles"
    strange, bundled = (read_picture(tmp_path / f"{name}.png").pixels for name in ("strange", "bundled"))
    assert float((strange - bundled).abs().max()) < 2 / 255


def test_a_new_process_paints_with_them(style, photo, tmp_path, installed):
    file = style()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(installed), *filter(None, sys.path)])}
    words = ["stylize", photo, "-s", file, "-o", tmp_path / "out.png", "--quality", "draft"]
    done = subprocess.run([sys.executable, "-m", "impasto", *map(str, words)], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    grey = read_picture(photo).pixels.mean(0, keepdim=True).expand(3, -1, -1)
    assert float((read_picture(tmp_path / "out.png").pixels - impasto.load_style("dusk")(grey[None])[0]).abs().max()) < 3 / 255
