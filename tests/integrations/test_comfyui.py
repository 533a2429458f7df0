"""The nodes for ComfyUI, against stand-ins of the few classes that they use."""

import asyncio
import importlib.util
import sys
import tomllib
import types
from pathlib import Path

import pytest
import torch

import impasto
from impasto.settings import Controls

FOLDER = Path(__file__).parents[2] / "integrations/comfyui"


class Kind:
    """A type of wires and fields."""

    def __init__(self, name):
        self.name = name

    def Input(self, key, **more):  # noqa: N802
        assert set(more) <= {"default", "min", "max", "step", "options", "optional", "tooltip"}
        return {"key": key, "kind": self.name, **more}

    def Output(self, **more):  # noqa: N802
        assert set(more) <= {"display_name"}
        return {"kind": self.name, **more}


class Schema:
    """What a node declares."""

    def __init__(self, *, node_id, display_name, category, description, inputs, outputs):
        self.node_id, self.display_name, self.inputs, self.outputs = node_id, display_name, inputs, outputs
        assert category
        assert description


class NodeOutput:
    """What a node gives."""

    def __init__(self, *results):
        self.results = results


@pytest.fixture(scope="module")
def nodes(tmp_path_factory):
    """The package as ComfyUI loads it: a folder by its path."""
    names = {name: Kind(name) for name in ("Image", "Mask", "Combo", "Float", "Int", "String")}
    io = types.SimpleNamespace(ComfyNode=object, Schema=Schema, NodeOutput=NodeOutput, Custom=Kind, **names)
    latest = types.ModuleType("comfy_api.latest")
    latest.io, latest.ComfyExtension = io, object
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "comfy_api", types.ModuleType("comfy_api"))
        patch.setitem(sys.modules, "comfy_api.latest", latest)
        home = tmp_path_factory.mktemp("comfyui")
        patch.setenv("IMPASTO_HOME", str(home / "home"))
        patch.setenv("IMPASTO_CACHE", str(home / "cache"))
        spec = importlib.util.spec_from_file_location("impasto_nodes", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)])
        module = importlib.util.module_from_spec(spec)
        patch.setitem(sys.modules, "impasto_nodes", module)
        spec.loader.exec_module(module)
        yield {node.define_schema().node_id: node for node in asyncio.run(asyncio.run(module.comfy_entrypoint()).get_node_list())}


def run(nodes, name, *given, **more):
    """What a node gives, called by the names of its inputs as ComfyUI does."""
    node = nodes[name]
    inputs = node.define_schema().inputs
    values = dict(zip([each["key"] for each in inputs], given, strict=False)) | more
    results = node.execute(**values).results
    assert len(results) == len(node.define_schema().outputs)
    return results[0]


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(3, 3, 6, 8, generator=generator), size=(48, 64), mode="bicubic")
    return smooth.clamp(0, 1).permute(0, 2, 3, 1).contiguous()


def test_the_nodes_say_what_they_take(nodes):
    assert set(nodes) == {
        "ImpastoStyle", "ImpastoStyleFromPicture", "ImpastoLearnStyle", "ImpastoMixStyles", "ImpastoStylize", "ImpastoStylizeVideo",
    }  # fmt: skip
    (style,) = nodes["ImpastoStyle"].define_schema().inputs
    assert {"dusk", "starry-night"} <= set(style["options"])
    for node in nodes.values():
        import inspect

        taken = list(inspect.signature(node.execute).parameters)
        assert [each["key"] for each in node.define_schema().inputs] == taken


def test_pictures_are_painted_as_the_library_paints_them(nodes, images):
    style = run(nodes, "ImpastoStyle", "dusk")
    result = run(nodes, "ImpastoStylize", images, style, "draft")
    assert result.shape == images.shape
    stylizer = impasto.load_style("dusk", controls=Controls(quality="draft"))
    expected = stylizer(images[1:2].permute(0, 3, 1, 2))[0].permute(1, 2, 0)
    assert float((result[1] - expected).abs().max()) < 1e-5
    fine = run(nodes, "ImpastoStylize", images[:1], style, "fine")
    assert float((fine[0] - result[0]).abs().mean()) > 0.01


def test_a_mask_says_where(nodes, images):
    style = run(nodes, "ImpastoStyle", "dusk")
    mask = torch.zeros(1, 24, 32)
    mask[:, :, :16] = 1
    result = run(nodes, "ImpastoStylize", images[:1], style, "draft", mask=mask)
    assert torch.equal(result[:, :, 40:], images[:1, :, 40:])
    assert float((result[:, :, :24] - images[:1, :, :24]).abs().mean()) > 0.02


def test_alpha_is_left_out_and_colours_are_kept(nodes, images):
    style = run(nodes, "ImpastoStyle", "dusk")
    opaque = torch.cat([images, torch.ones(3, 48, 64, 1)], -1)
    assert run(nodes, "ImpastoStylize", opaque, style, "draft").shape == (3, 48, 64, 3)
    plain, luma = (run(nodes, "ImpastoStylize", images, style, "draft", colors=colors) for colors in ("painting", "luma"))
    chroma = lambda pictures: pictures - pictures.mean(-1, keepdim=True)  # noqa: E731
    assert float((chroma(luma) - chroma(images)).abs().mean()) < float((chroma(plain) - chroma(images)).abs().mean())


def test_a_picture_is_a_style_and_styles_are_mixed(nodes, images):
    painting = run(nodes, "ImpastoStyleFromPicture", images[:1].flip(1))
    assert run(nodes, "ImpastoStyleFromPicture", images[:1].flip(1)) == painting
    assert run(nodes, "ImpastoStylize", images[:1], painting, "draft").shape == (1, 48, 64, 3)
    first, second = run(nodes, "ImpastoStyle", "dusk"), run(nodes, "ImpastoStyle", "woodcut")
    mixture = run(nodes, "ImpastoMixStyles", run(nodes, "ImpastoMixStyles", first, second, 0.25), first, 0.5)
    assert mixture.names == ("dusk", "woodcut", "dusk")
    assert mixture.weights == pytest.approx((0.375, 0.125, 0.5))
    mixed = run(nodes, "ImpastoStylize", images[:1], run(nodes, "ImpastoMixStyles", first, second, 0.0), "draft")
    alone = run(nodes, "ImpastoStylize", images[:1], first, "draft")
    assert float((mixed - alone).abs().max()) < 0.02


def test_a_painting_is_learned_into_the_library(nodes, images):
    style = run(nodes, "ImpastoLearnStyle", images[:1], "mine", "photos", 3)
    assert Path(style.names[0]).name == "mine.safetensors"
    assert "mine" in nodes["ImpastoStyle"].define_schema().inputs[0]["options"]
    assert run(nodes, "ImpastoStylize", images[:1], run(nodes, "ImpastoStyle", "mine"), "draft").shape == (1, 48, 64, 3)
    assert run(nodes, "ImpastoLearnStyle", images[:1], "mine", "photos", 3) == style, "the same painting is not learned twice"
    with pytest.raises(impasto.InputError, match="already"):
        run(nodes, "ImpastoLearnStyle", images[:1], "dusk", "photos", 3)


@pytest.mark.parametrize("stabilize", ["auto", "flow", "none"])
def test_frames_are_painted_as_a_film(nodes, images, stabilize):
    frames = images[:1].repeat(4, 1, 1, 1) + 0.01 * torch.randn(4, 48, 64, 3, generator=torch.Generator().manual_seed(1))
    style = run(nodes, "ImpastoStyle", "dusk")
    result = run(nodes, "ImpastoStylizeVideo", frames.clamp(0, 1), style, 1.0, stabilize)
    assert result.shape == (4, 48, 64, 3)
    assert float(result.min()) >= 0
    assert float(result.max()) <= 1


def test_work_is_shown_and_stopped(nodes, images, monkeypatch):
    steps = []

    class Bar:
        def __init__(self, total):
            self.total = total

        def update_absolute(self, step, total):
            steps.append((step, total))
            if step == 3:
                raise InterruptedError

    for name, content in {
        "comfy": {},
        "comfy.utils": {"ProgressBar": Bar},
        "comfy.model_management": {"throw_exception_if_processing_interrupted": lambda: None},
        "comfy_execution": {},
        "comfy_execution.utils": {"get_executing_context": lambda: object()},
    }.items():
        module = types.ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    with pytest.raises(InterruptedError):
        run(nodes, "ImpastoStylize", images[:1], run(nodes, "ImpastoStyle", "dusk"), "fine")
    assert [step for step, _ in steps] == [0, 1, 2, 3]


def test_it_is_installed_as_its_registry_wants():
    described = tomllib.loads((FOLDER / "pyproject.toml").read_text())
    assert {"name", "description", "version", "license", "dependencies"} <= set(described["project"])
    assert {"PublisherId", "DisplayName", "Icon"} <= set(described["tool"]["comfy"])
    assert described["project"]["dependencies"] == (FOLDER / "requirements.txt").read_text().split()
