"""The plug-in of Krita as far as it runs without Krita: what it asks of a studio, and, where Qt is installed, what it does with pixels."""

import importlib.util
import io
import sys
import types
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the studio needs its extra")

from tests.conftest import scene
from tests.studio.conftest import as_file, studio

FILE = Path(__file__).parents[2] / "integrations/krita/impasto_krita/__init__.py"


class Answer(io.BytesIO):
    """What urlopen gives."""


@pytest.fixture
def plugin(monkeypatch, tmp_path):
    """The plug-in beside stand-ins of Krita, its calls answered by a studio."""
    krita = types.ModuleType("krita")
    program = types.SimpleNamespace(addExtension=lambda extension: None, activeDocument=lambda: None)
    krita.Krita = types.SimpleNamespace(instance=lambda: program)
    krita.Extension = type("Extension", (), {"__init__": lambda self, parent: None})
    monkeypatch.setitem(sys.modules, "krita", krita)
    if importlib.util.find_spec("PyQt5") is None:
        for name, members in {"PyQt5": [], "PyQt5.QtCore": ["QBuffer", "QByteArray", "QIODevice"], "PyQt5.QtGui": ["QImage"],
                              "PyQt5.QtWidgets": ["QInputDialog"]}.items():  # fmt: skip
            module = types.ModuleType(name)
            module.__dict__.update(dict.fromkeys(members))
            monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("impasto_krita", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with studio(tmp_path) as client:

        def urlopen(request, timeout):
            if isinstance(request, str):
                return Answer(client.get(urlsplit(request).path).content)
            split = urlsplit(request.full_url)
            answer = client.post(
                f"{split.path}?{split.query}", content=request.data, headers=dict(request.header_items()) | {"host": "127.0.0.1"}
            )
            assert answer.status_code < 300, answer.text
            return Answer(answer.content)

        monkeypatch.setattr(module, "urlopen", urlopen)
        module.program = program
        yield module


def test_a_picture_is_painted(plugin):
    painted = Image.open(io.BytesIO(plugin.painted(as_file(scene(96, 64)), "mine.png", "dusk")))
    assert painted.size == (96, 64)


@pytest.mark.skipif(importlib.util.find_spec("PyQt5") is None, reason="PyQt5 is not installed")
def test_the_picture_becomes_a_layer(plugin, monkeypatch):
    photo = scene(96, 64).convert("RGBA")
    blue_first = Image.merge("RGBA", [photo.getchannel(band) for band in "BGRA"]).tobytes()
    layers = []

    class Layer:
        def setPixelData(self, data, *place):  # noqa: N802
            layers.append((bytes(data), place))

    document = types.SimpleNamespace(
        width=lambda: 96, height=lambda: 64, pixelData=lambda *place: blue_first, createNode=lambda name, kind: Layer(),
        rootNode=lambda: types.SimpleNamespace(addChildNode=lambda layer, above: None), refreshProjection=lambda: None,
    )  # fmt: skip
    plugin.program.activeDocument = lambda: document
    monkeypatch.setattr(plugin.QInputDialog, "getItem", lambda *words: ("dusk", True))
    plugin.Impasto(None).paint()
    (data, place) = layers[0]
    assert place == (0, 0, 96, 64)
    assert len(data) == 96 * 64 * 4
    expected = Image.open(io.BytesIO(plugin.painted(as_file(photo), "x.png", "dusk"))).convert("RGB")
    blue, green, red, _ = Image.frombytes("RGBA", (96, 64), data).split()
    assert Image.merge("RGB", (red, green, blue)).tobytes() == expected.tobytes()


def test_it_is_small_enough_to_be_read():
    assert len([line for line in FILE.read_text().splitlines() if line.strip()]) <= 60
