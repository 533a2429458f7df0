"""Files for other engines: they do what the networks do at any size, say what they are, and bad input is a sentence."""

import json

import pytest
import torch

import impasto
from impasto.backends import extras, openvino_graph
from impasto.backends.exported import TILE, ExportedNetwork
from impasto.backends.openvino_file import compiled
from impasto.errors import ImpastoError, InputError, StyleError, UnavailableError
from impasto.media.images import Picture, write_picture
from impasto.networks.decoder_file import coder
from impasto.networks.grain import painted as painted_grain
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import network_of, to_style_file
from impasto.networks.stylizer import NetworkStylizer
from impasto.runtime.device import Place
from impasto.storage.style_file import StyleFile, StyleRecord, read_style, write_style

onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
onnxruntime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
EXACT = Place(torch.device("cpu"), torch.float32)


def network(**settings):
    torch.manual_seed(0)
    return StyleNetwork(4, 1, smooth=True, **settings)


@pytest.fixture
def style(tmp_path):
    return write_style(tmp_path / "mine.safetensors", to_style_file(network(), StyleRecord("mine", "metastyle", licence="CC0")))


def run(path, **inputs):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return [torch.from_numpy(found) for found in session.run(None, {name: value.numpy() for name, value in inputs.items()})]


def test_a_style_paints_any_size_by_itself_and_says_what_it_is(style, tmp_path):
    path = impasto.export(style, tmp_path / "mine.onnx")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [(entry.name, entry.type, entry.shape) for entry in session.get_inputs()] == [
        ("photo", "tensor(float)", [1, 3, "height", "width"])
    ]
    exported = ExportedNetwork(network_of(read_style(style)))
    for size in ((16, 16), (33, 90), (40, TILE + 21)):
        photo = torch.rand(1, 3, *size)
        torch.testing.assert_close(run(path, photo=photo)[0], exported(photo), atol=1e-4, rtol=0)
    kinds = [node.op_type for node in onnx.load(str(path)).graph.node]
    assert kinds.count("InstanceNormalization") == 7
    assert "BatchNormalization" not in kinds
    facts = session.get_modelmeta().custom_metadata_map
    assert json.loads(facts["impasto"])["licence"] == "CC0"
    assert facts["impasto_version"] == impasto.__version__


def test_with_grain_and_strength_as_inputs_it_paints_what_impasto_paints(style, tmp_path):
    path = impasto.export(style, tmp_path / "mine.onnx", inputs=["strength", "grain"])
    photo = torch.rand(1, 3, 50, 41)
    grain = torch.from_numpy(painted_grain((50, 41), smooth=True))
    for strength in (0.0, 0.4, 1.0):
        painted = NetworkStylizer(network(), EXACT, strength=strength)(photo)
        found = run(path, photo=photo, grain=grain, strength=torch.tensor(strength))[0]
        assert (found - painted).abs().mean() < 5e-3  # the style file holds 8 bits
    assert torch.equal(run(path, photo=photo, grain=grain, strength=torch.tensor(0.0))[0], photo)


def test_half_precision_is_half_as_large_and_paints_nearly_the_same(style, tmp_path):
    whole, half = (impasto.export(style, tmp_path / f"{name}.onnx", precision=name) for name in ("float32", "float16"))
    photo = torch.rand(1, 3, 60, 70)
    first, second = run(whole, photo=photo)[0], run(half, photo=photo)[0]
    assert second.dtype == torch.float32
    assert (first - second).abs().mean() < 1 / 255
    assert half.stat().st_size < 0.6 * whole.stat().st_size


def test_strength_can_be_part_of_the_file_and_other_outputs_are_networks_too(tmp_path):
    plain = network(outputs="tanh", grain=0.0)
    path = write_style(tmp_path / "mine.safetensors", to_style_file(plain, StyleRecord("mine", "metastyle")))
    file = impasto.export(path, tmp_path / "half.onnx", strength=0.5)
    photo = torch.rand(1, 3, 30, 30)
    painted = NetworkStylizer(plain, EXACT, strength=0.5)(photo)
    assert (run(file, photo=photo)[0] - painted).abs().mean() < 5e-3
    with pytest.raises(InputError, match="painted without a grain"):
        impasto.export(path, tmp_path / "grain.onnx", inputs=["grain"])


def test_encoder_and_decoder_are_files_too_and_fit_together(tmp_path):
    encoder_file = impasto.export("compact", tmp_path / "e.onnx", part="encoder")
    decoder_file = impasto.export("compact", tmp_path / "d.onnx", part="decoder", layer="relu3_1")
    decoder, encoder = coder("compact", EXACT)
    photo = torch.rand(1, 3, 48, 64)
    features = run(encoder_file, photo=photo)
    wanted = encoder(photo, ["relu1_1", "relu2_1", "relu3_1", "relu4_1"])
    for found, (layer, value) in zip(features, wanted.items(), strict=True):
        assert (found - value).abs().mean() < 1e-3 * value.abs().mean(), layer
    picture = run(decoder_file, features=features[2])[0]
    with torch.no_grad():
        torch.testing.assert_close(picture, decoder(wanted["relu3_1"], "relu3_1").clamp(0, 1), atol=1e-3, rtol=0)


def test_bad_input_is_a_sentence_and_nothing_is_written(style, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    picture = write_style(
        tmp_path / "kept.safetensors", StyleFile(StyleRecord("kept", "gatys"), {"picture": torch.zeros(1, 3, 9, 9).byte()})
    )
    video = write_style(tmp_path / "video.safetensors", StyleFile(StyleRecord("t", "distillation", "video"), {"a": torch.zeros(1)}))
    for sentence, error, name, options in (
        ("impasto adapt makes one of it", StyleError, picture, {}),
        ("needs more than the photo", StyleError, video, {}),
        ("there is no input 'noise'", InputError, style, {"inputs": ["noise"]}),
        ("leave out one of them", InputError, style, {"inputs": ["strength"], "strength": 0.5}),
        ("there is no precision 'int3'", InputError, style, {"precision": "int3"}),
        ("strength goes from 0", InputError, style, {"strength": 2.0}),
        ("there is no part 'solver'", InputError, style, {"part": "solver"}),
        ("are for styles", InputError, "compact", {"part": "encoder", "strength": 0.5}),
        ("there is no layer", InputError, "compact", {"part": "decoder", "layer": "relu9_9"}),
        ("ends in .onnx or .xml", InputError, style, {"output": "mine.pb"}),
        ("there is no encoder|is not", ImpastoError, "unknown", {"part": "encoder"}),
    ):
        with pytest.raises(error, match=sentence):
            impasto.export(name, options.pop("output", "out.onnx"), **options)
    assert not list(tmp_path.glob("*.onnx"))
    assert not list(tmp_path.glob(".impasto*"))


def test_a_file_that_does_something_else_is_not_written(style, tmp_path, monkeypatch):
    monkeypatch.setattr("impasto.job.export.PRECISIONS", {".onnx": {"float32": -1.0}})
    with pytest.raises(ImpastoError, match="differs from the network"):
        impasto.export(style, tmp_path / "mine.onnx")
    assert not (tmp_path / "mine.onnx").exists()


def test_without_the_extra_it_says_what_to_install(style, tmp_path, monkeypatch):
    def missing(name):
        raise ImportError(name)

    monkeypatch.setattr(extras.importlib, "import_module", missing)
    with pytest.raises(UnavailableError, match=r"pip install 'impasto\[onnx\]'"):
        impasto.export(style, tmp_path / "mine.onnx")


def read_openvino(path, **inputs):
    run = compiled(path, precision="float32", threads=1)
    return run(list(inputs.values()))


@pytest.fixture
def openvino():
    pytest.importorskip("nncf", reason="the extra openvino is not installed")
    return extras.needed("openvino", "openvino")


def test_a_style_is_written_for_openvino_with_what_it_says(style, tmp_path, openvino):
    path = impasto.export(style, tmp_path / "mine.xml", inputs=["strength", "grain"])
    model = openvino_graph.core().read_model(path)
    assert [port.any_name for port in model.inputs] == ["photo", *ExportedNetwork(network(), inputs=["strength", "grain"]).inputs]
    assert json.loads(model.get_rt_info(["impasto", "impasto"]).astype(str))["licence"] == "CC0"
    exported = ExportedNetwork(network_of(read_style(style)), inputs=["strength", "grain"])
    for size in ((16, 16), (33, 90)):
        given = exported.example(size)
        found = compiled(path, precision="float32", threads=1)(given)
        torch.testing.assert_close(found, exported(*given), atol=1e-4, rtol=0)


@pytest.mark.parametrize(("precision", "least"), [("float16", 50), ("int8", 30)])
def test_fewer_bits_make_a_smaller_file_that_paints_nearly_the_same(style, tmp_path, openvino, precision, least):
    whole = impasto.export(style, tmp_path / "whole.xml")
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(2):
        write_picture(Picture(torch.rand(3, 300, 300, generator=torch.Generator().manual_seed(number))), photos / f"{number}.png")
    small = impasto.export(style, tmp_path / "small.xml", precision=precision, photos=[photos] if precision == "int8" else None)
    assert small.with_suffix(".bin").stat().st_size < 0.8 * whole.with_suffix(".bin").stat().st_size
    photo = torch.rand(1, 3, 64, 48)
    apart = read_openvino(whole, photo=photo) - read_openvino(small, photo=photo)
    assert -10 * torch.log10(apart.square().mean()) > least


def test_what_openvino_files_cannot_be_is_a_sentence(style, tmp_path):
    with pytest.raises(InputError, match=r"int8 is for OpenVINO: -o NAME.xml"):
        impasto.export(style, tmp_path / "mine.onnx", precision="int8")
    with pytest.raises(InputError, match=r"the decoder of compact is written as .onnx"):
        impasto.export("compact", tmp_path / "mine.xml", part="decoder")
    with pytest.raises(InputError, match="--photos are what eight bits are calibrated on"):
        impasto.export(style, tmp_path / "mine.xml", photos=[tmp_path])
    assert list(tmp_path.glob("*.xml")) == []
