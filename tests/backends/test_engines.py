"""Engines: they paint what PyTorch paints, are made once, and what cannot be is a sentence."""

import json
import sys

import pytest
import torch

import impasto
from impasto.backends import engines, extras
from impasto.backends.engines import engine_for
from impasto.errors import InputError, UnavailableError
from impasto.networks.style_network import StyleNetwork
from impasto.networks.stylizer import NetworkStylizer
from impasto.runtime.device import Place
from impasto.settings import Controls

EXACT = Place(torch.device("cpu"), torch.float32)
SIZES = [(1, 48, 64), (2, 45, 66), (1, 131, 67)]


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))


def network():
    torch.manual_seed(0)
    return StyleNetwork(8, 1)


def examples():
    generator = torch.Generator().manual_seed(3)
    return [torch.rand(1, 3, 64, 64, generator=generator) for _ in range(3)]


def engine(backend, precision="float32", place=EXACT):
    return engine_for(network(), place, backend, precision, examples)


@pytest.fixture
def openvino():
    pytest.importorskip("nncf", reason="the extra openvino is not installed")
    return extras.needed("openvino", "openvino")


@pytest.fixture
def onnx():
    for package in ("onnx", "onnxscript", "onnxruntime"):
        pytest.importorskip(package, reason="the extra onnx is not installed")


def decibels(found, wanted):
    return -10 * torch.log10((found - wanted).square().mean())


def test_the_pixels_of_patches_are_not_rounded_apart(openvino):
    """A flat photo stays flat in eight bits."""
    torch.manual_seed(0)
    live = StyleNetwork(8, 1, patch=2)
    live.level()
    run = engine_for(live, EXACT, "openvino", "int8", examples).run
    painted = run(torch.full((1, 3, 64, 64), 0.6))[0, :, 16:-16, 16:-16]
    assert painted.std((1, 2)).max() < 1e-4


def check_exact(found):
    plain = network().requires_grad_(False)
    for batch, *size in SIZES:
        seen = torch.rand(batch, 3, *size).contiguous(memory_format=torch.channels_last)
        torch.testing.assert_close(found.run(seen), plain(seen), atol=1e-4, rtol=0)


def test_openvino_paints_what_pytorch_paints_and_converts_once(openvino, monkeypatch):
    first = engine("openvino")
    check_exact(first)
    assert first.name.startswith("OpenVINO 20")
    monkeypatch.setattr(engines.openvino_file, "converted", None)
    check_exact(engine("openvino"))


def test_onnx_runtime_paints_what_pytorch_paints_and_exports_once(onnx, monkeypatch):
    check_exact(engine("onnx"))
    monkeypatch.setattr(engines.onnx_file, "write_onnx", None)
    check_exact(engine("onnx"))


def test_eight_bits_stay_near_and_say_how_near(openvino):
    found = engine("auto", "int8")
    seen, plain = torch.rand(1, 3, 45, 66), network().requires_grad_(False)
    near = decibels(found.run(seen), plain(seen))
    assert 30 < near < 80
    assert "int8, " in found.name
    assert "dB" in found.name


def test_instance_norms_take_what_is_not_rounded(openvino):
    model = engines.openvino_file.in_eight_bits(engines._graph(network()), [(engines._last(picture),) for picture in examples()])
    norms = [node for node in model.get_ordered_ops() if node.get_type_name() == "MVN"]
    rounded = [node for node in model.get_ordered_ops() if node.get_type_name() == "FakeQuantize"]
    taken = {norm.input_value(0).get_node().get_type_name() for norm in norms}
    assert norms, "the graph has instance norms"
    assert rounded, "and is in eight bits"
    assert "FakeQuantize" not in taken


def test_by_itself_it_is_what_was_faster(openvino):
    engine("auto")
    notes = next(iter(engines.cache_folder().glob("engines/tried.json")))
    known = json.loads(notes.read_text())
    (kind,) = known
    assert "width 8" in kind
    for ours, theirs, there in ((1.0, 0.5, True), (0.5, 1.0, False)):
        notes.write_text(json.dumps({kind: {"torch": ours, "openvino": theirs}}))
        assert (engine("auto") is not None) == there


def test_without_openvino_it_is_pytorch(monkeypatch):
    monkeypatch.setattr(engines, "is_installed", lambda package: False)
    assert engine("auto") is None
    assert engine("torch") is None


def test_a_missing_extra_is_a_sentence(monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(extras.importlib, "import_module", missing)
    for backend, precision, extra in (("openvino", "float32", "openvino"), ("auto", "int8", "openvino"), ("onnx", "float32", "onnx")):
        with pytest.raises(UnavailableError, match=rf"pip install 'impasto\[{extra}\]'"):
            engine(backend, precision)


def test_what_cannot_be_is_refused():
    with pytest.raises(InputError, match="no backend 'tvm'"):
        engine("tvm")
    with pytest.raises(InputError, match="int8 needs --backend openvino"):
        engine("torch", "int8")
    elsewhere = Place(torch.device("cuda"), torch.float16)
    with pytest.raises(InputError, match="is for processors"):
        engine("openvino", place=elsewhere)
    assert engine("auto", place=elsewhere) is None


def test_nothing_is_reported_to_anybody(openvino):
    assert sys.modules["openvino_telemetry"] is None


def test_the_stylizer_takes_an_engine():
    photo = torch.rand(1, 3, 40, 48)
    painted = NetworkStylizer(network(), EXACT, grain=False, engine=lambda seen: seen / 2)(photo)
    torch.testing.assert_close(painted, photo / 2)


def test_a_bundled_style_paints_the_same_on_other_engines(openvino):
    photo = torch.rand(3, 64, 80)
    plain, other = (
        impasto.load_style("dusk", controls=Controls(backend=backend, precision="float32"))(photo[None])
        for backend in ("torch", "openvino")
    )
    assert (plain - other).abs().mean() < 0.1 / 255
