"""The nodes for ComfyUI, against stand-ins of the few classes that they use."""

import asyncio
import importlib.util
import inspect
import os
import sys
import threading
import time
import tomllib
import types
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from PIL import Image

import impasto
from impasto.backends.extras import is_installed
from impasto.settings import Controls
from tests.cli.runner import impasto_command

FOLDER = Path(__file__).parents[2] / "integrations/comfyui"


class Kind:
    """A type of wires and fields."""

    def __init__(self, name):
        self.name = name

    def Input(self, key, **more):  # noqa: N802
        assert set(more) <= {"default", "min", "max", "step", "options", "optional", "tooltip"}
        return {"key": key, "kind": self.name, **more}

    def Output(self, **more):  # noqa: N802
        assert set(more) <= {"display_name", "tooltip"}
        return {"kind": self.name, **more}


class Schema:
    """What a node declares."""

    def __init__(self, *, node_id, display_name, category, description, inputs, outputs, is_output_node=False):
        self.node_id, self.display_name, self.inputs, self.outputs = node_id, display_name, inputs, outputs
        self.description, self.is_output_node = description, is_output_node
        assert category
        assert description


class NodeOutput:
    """What a node gives."""

    def __init__(self, *results):
        self.results = results


class InterruptProcessingException(Exception):  # noqa: N818  (ComfyUI's name)
    """What ComfyUI raises in a node that the user stopped."""


class Program:
    """ComfyUI around the nodes: a flag that stops them, a bar, and what it was told."""

    def __init__(self):
        self.stopped, self.steps, self.previews = False, [], []
        self.on_step = lambda step: None

    def throw(self):
        if self.stopped:
            self.stopped = False
            raise InterruptProcessingException

    def modules(self):
        program = self

        class ProgressBar:
            def __init__(self, total, node_id=None):
                self.total = total

            def update_absolute(self, value, total=None, preview=None):
                program.throw()
                program.steps.append((value, total))
                if preview is not None:
                    program.previews.append(preview)
                program.on_step(value)

        return {
            "comfy": {},
            "comfy.utils": {"ProgressBar": ProgressBar},
            "comfy.model_management": {"throw_exception_if_processing_interrupted": self.throw},
            "comfy_execution": {},
            "comfy_execution.utils": {"get_executing_context": lambda: object()},
        }


@pytest.fixture
def program(monkeypatch):
    made = Program()
    for name, content in made.modules().items():
        module = types.ModuleType(name)
        module.__dict__.update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return made


@pytest.fixture
def nodes(tmp_path, monkeypatch):
    """The package as ComfyUI loads it: a folder by its path."""
    kinds = {name: Kind(name) for name in ("Image", "Mask", "Combo", "Float", "Int", "String")}
    io = types.SimpleNamespace(ComfyNode=object, Schema=Schema, NodeOutput=NodeOutput, Custom=Kind, **kinds)
    latest = types.ModuleType("comfy_api.latest")
    latest.io, latest.ComfyExtension = io, object
    monkeypatch.setitem(sys.modules, "comfy_api", types.ModuleType("comfy_api"))
    monkeypatch.setitem(sys.modules, "comfy_api.latest", latest)
    monkeypatch.setenv("IMPASTO_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    for name in [name for name in sys.modules if name.startswith("impasto_nodes")]:
        del sys.modules[name]
    spec = importlib.util.spec_from_file_location("impasto_nodes", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)])
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "impasto_nodes", module)
    spec.loader.exec_module(module)
    yield {node.define_schema().node_id: node for node in asyncio.run(asyncio.run(module.comfy_entrypoint()).get_node_list())}
    for name in [name for name in sys.modules if name.startswith("impasto_nodes")]:
        del sys.modules[name]


def refused(nodes, kind, /, **values):
    """What ComfyUI says of values, links as None, before it executes; an input that `validate_inputs` names is checked by it alone."""
    node = nodes[kind]
    validate = getattr(node, "validate_inputs", None)
    taken = [] if validate is None else list(inspect.signature(validate).parameters)
    for item in node.define_schema().inputs:
        value = values.get(item["key"])
        if item["key"] not in taken and value is not None and "options" in item and value not in item["options"]:
            return f"Value not in list: {item['key']}"
    found = True if validate is None else validate(**{key: values.get(key) for key in taken})
    return None if found is True else found


def run(nodes, name, *given, **more):
    """What a node gives, called by the names of its inputs and under `inference_mode`, as ComfyUI does."""
    node = nodes[name]
    inputs = node.define_schema().inputs
    values = dict(zip([each["key"] for each in inputs], given, strict=False)) | more
    with torch.inference_mode():
        values = {key: value.clone() if isinstance(value, torch.Tensor) else value for key, value in values.items()}
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
    live = [name.endswith("-live") for name in style["options"]]
    assert live == sorted(live), "small networks come last"
    assert [name for name, node in nodes.items() if node.define_schema().is_output_node] == ["ImpastoLearnStyle"]
    for node in nodes.values():
        taken = list(inspect.signature(node.execute).parameters)
        assert [each["key"] for each in node.define_schema().inputs] == taken


def test_pictures_are_painted_as_the_library_paints_them(nodes, images):
    style = run(nodes, "ImpastoStyle", "dusk")
    result = run(nodes, "ImpastoStylize", images, style, "draft")
    assert result.shape == images.shape
    backend = "openvino" if is_installed("openvino") and not torch.cuda.is_available() else "auto"
    stylizer = impasto.load_style("dusk", controls=Controls(quality="draft", backend=backend))
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


def test_masks_are_one_for_all_images_or_one_for_each(nodes, images):
    style = run(nodes, "ImpastoStyle", "dusk")
    whole = run(nodes, "ImpastoStylize", images, style, "draft")
    masks = torch.stack([torch.zeros(48, 64), torch.ones(48, 64), torch.full((48, 64), 0.5)])
    each = run(nodes, "ImpastoStylize", images, style, "draft", mask=masks)
    assert torch.equal(each[0], images[0])
    assert float((each[1] - whole[1]).abs().max()) < 1e-6
    assert float((each[2] - (whole[2] + images[2]) / 2).abs().max()) < 1e-6
    for one in (masks[:1], masks[0]):
        assert torch.equal(run(nodes, "ImpastoStylize", images, style, "draft", mask=one), images)
    for count in (2, 4):
        with pytest.raises(impasto.InputError, match=f"there are {count} masks for 3 images: give one mask for all"):
            run(nodes, "ImpastoStylize", images, style, "draft", mask=torch.ones(count, 48, 64))
        with pytest.raises(impasto.InputError, match="masks for 3 images"):
            run(nodes, "ImpastoStylizeVideo", images, style, mask=torch.ones(count, 48, 64))


def test_alpha_is_kept(nodes, images):
    style = run(nodes, "ImpastoStyle", "dusk")
    alpha = torch.rand(3, 48, 64, 1, generator=torch.Generator().manual_seed(3))
    for name, more in (("ImpastoStylize", {"quality": "draft"}), ("ImpastoStylizeVideo", {"stabilize": "none"})):
        plain, result = (run(nodes, name, given, style, **more) for given in (images, torch.cat([images, alpha], -1)))
        assert plain.shape[-1] == 3
        assert torch.equal(result[..., 3:], alpha)
        assert torch.equal(result[..., :3], plain)
    painting = torch.cat([images[:1], alpha[:1]], -1)
    assert impasto.media.images.read_picture(run(nodes, "ImpastoStyleFromPicture", painting).names[0]).alpha is not None


def test_colours_are_kept(nodes, images):
    style = run(nodes, "ImpastoStyle", "dusk")
    plain, luma = (run(nodes, "ImpastoStylize", images, style, "draft", colors=colors) for colors in ("painting", "luma"))
    chroma = lambda pictures: pictures - pictures.mean(-1, keepdim=True)  # noqa: E731
    assert float((chroma(luma) - chroma(images)).abs().mean()) < float((chroma(plain) - chroma(images)).abs().mean())


def test_small_images_are_refused_as_on_the_command_line(nodes, images, tmp_path):
    style = run(nodes, "ImpastoStyle", "dusk")
    Image.new("RGB", (40, 28)).save(tmp_path / "small.png")
    told = impasto_command("stylize", tmp_path / "small.png", "-s", "dusk", "-o", tmp_path / "out.png")
    assert told.returncode == 2
    expected = "has 40x28 pixels; at least 32 on each side are needed to paint"
    assert expected in " ".join(told.stderr.split())
    for name in ("ImpastoStylize", "ImpastoStylizeVideo"):
        with pytest.raises(impasto.InputError, match=expected):
            run(nodes, name, images[:, :28, :40], style)


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
    assert nodes["ImpastoStyle"].define_schema().inputs[0]["options"][0] == "mine"
    assert run(nodes, "ImpastoStylize", images[:1], run(nodes, "ImpastoStyle", "mine"), "draft").shape == (1, 48, 64, 3)
    before = Path(style.names[0]).read_bytes()
    assert run(nodes, "ImpastoLearnStyle", images[:1], "mine", "photos", 3) == style, "the same painting is not learned twice"
    for painting, steps in ((images[1:2], 3), (images[:1], 4)):
        with pytest.raises(impasto.InputError, match="learned from another painting or with other settings: choose another name, or set"):
            run(nodes, "ImpastoLearnStyle", painting, "mine", "photos", steps)
        assert Path(style.names[0]).read_bytes() == before
    run(nodes, "ImpastoLearnStyle", images[1:2], "mine", "photos", 3, existing="replace")
    assert Path(style.names[0]).read_bytes() != before
    with pytest.raises(impasto.InputError, match="already"):
        run(nodes, "ImpastoLearnStyle", images[:1], "dusk", "photos", 3)
    assert "bundled style already" in refused(nodes, "ImpastoLearnStyle", name="dusk", purpose="photos")
    assert "cannot be the name" in refused(nodes, "ImpastoLearnStyle", name="a/b", purpose="photos")


def test_a_learning_that_was_stopped_goes_on_where_it_was(nodes, images, program):
    program.on_step = lambda step: setattr(program, "stopped", step == 2)
    with pytest.raises(InterruptProcessingException):
        run(nodes, "ImpastoLearnStyle", images[:1], "mine", "photos", 8)
    program.on_step = lambda step: None
    done, program.steps[:] = [step for step, _ in program.steps], []
    run(nodes, "ImpastoLearnStyle", images[:1], "mine", "photos", 8)
    assert done[0] == 1
    assert program.steps[0][0] > 1, "it does not begin at step 1 again"
    assert program.steps[-1] == (8, 8)


def test_what_is_gone_or_wrong_is_a_message(nodes, images):
    assert refused(nodes, "ImpastoStyle", style="dusk") is None
    assert refused(nodes, "ImpastoStyle") is None, "a link brings the name"
    assert refused(nodes, "ImpastoStyle", style="duks").startswith("there is no style 'duks'; did you mean dusk?")
    style = run(nodes, "ImpastoStyle", "dusk")
    with pytest.raises(impasto.InputError, match="there is no style 'gone'"):
        run(nodes, "ImpastoStyle", "gone")
    assert "there is no purpose 'red'" in refused(nodes, "ImpastoLearnStyle", name="mine", purpose="red")
    assert refused(nodes, "ImpastoLearnStyle", name="mine", purpose="films") is None, "as workflows of before have it"
    for name, values, message in (
        ("ImpastoLearnStyle", (images[:1], "mine", "red", 1), "no purpose 'red'"),
        ("ImpastoLearnStyle", (images[:1], "mine", "photos", 1, "red"), "no way with an existing style 'red'"),
        ("ImpastoStylize", (images[:1], style, "red"), "no quality 'red'"),
        ("ImpastoStylize", (images[:1], style, "draft", 1.0, 1.0, "red"), "no way with colours 'red'"),
        ("ImpastoStylizeVideo", (images[:1], style, 1.0, "red"), "no way to stabilise videos 'red'"),
    ):
        with pytest.raises(impasto.InputError, match=message):
            run(nodes, name, *values)


def test_a_style_file_that_was_replaced_is_noticed(nodes, images):
    def seen(kind, /, **values):
        with torch.inference_mode():
            return nodes[kind].fingerprint_inputs(**values)

    learning = {"painting": None, "name": "mine", "purpose": "photos", "steps": 2}
    before = seen("ImpastoLearnStyle", **learning)
    (file,) = run(nodes, "ImpastoLearnStyle", images[:1], "mine", "photos", 2).names
    assert seen("ImpastoLearnStyle", **learning) == before, "what it wrote itself is no reason to learn again"
    first = seen("ImpastoStyle", style="mine")
    assert seen("ImpastoStyle", style="mine") == first
    run(nodes, "ImpastoLearnStyle", images[1:2], "mine", "photos", 2, existing="replace")
    second = seen("ImpastoStyle", style="mine")
    assert second != first
    os.utime(file, ns=(1, 1))
    assert seen("ImpastoStyle", style="mine") not in (first, second)
    assert seen("ImpastoLearnStyle", **learning) != before
    Path(file).unlink()
    assert seen("ImpastoStyle", style="mine") not in (first, second)
    assert seen("ImpastoStyle", style=None) == "", "a link brings the name"


@pytest.mark.parametrize("stabilize", ["auto", "flow", "none"])
def test_frames_are_painted_as_a_film(nodes, images, stabilize):
    frames = images[:1].repeat(4, 1, 1, 1) + 0.01 * torch.randn(4, 48, 64, 3, generator=torch.Generator().manual_seed(1))
    style = run(nodes, "ImpastoStyle", "dusk")
    result = run(nodes, "ImpastoStylizeVideo", frames.clamp(0, 1), style, 1.0, stabilize)
    assert result.shape == (4, 48, 64, 3)
    assert float(result.min()) >= 0
    assert float(result.max()) <= 1


def test_steps_and_images_are_shown(nodes, images, program):
    style = run(nodes, "ImpastoStyle", "dusk")
    run(nodes, "ImpastoStylize", images[:2], style, "fine")
    steps = [step for step, _ in program.steps]
    assert steps == sorted(steps)
    assert steps[-1] == program.steps[-1][1]
    assert len(program.previews) > 2, "previews come while an image is painted"
    for name, more in (("ImpastoStylize", {"quality": "draft"}), ("ImpastoStylizeVideo", {"stabilize": "flow"})):
        program.steps.clear()
        program.previews.clear()
        result = run(nodes, name, images, style, **more)
        assert program.steps == [(1, 3), (2, 3), (3, 3)]
        for (kind, preview, size), painted in zip(program.previews, result, strict=True):
            assert (kind, size, preview.size) == ("JPEG", 512, (64, 48))
            assert float((torch.from_numpy(np.array(preview)) / 255 - painted).abs().max()) < 0.01


@pytest.mark.parametrize(
    ("name", "more"),
    [
        ("ImpastoStylize", {"quality": "draft"}),
        ("ImpastoStylizeVideo", {"stabilize": "flow"}),
        ("ImpastoStylizeVideo", {"stabilize": "none"}),
    ],
)
def test_frames_that_were_stopped_go_on_behind_the_last_one(nodes, images, program, name, more):
    frames = images[:1].repeat(6, 1, 1, 1) + 0.02 * torch.randn(6, 48, 64, 3, generator=torch.Generator().manual_seed(1))
    style = run(nodes, "ImpastoStyle", "dusk")
    whole = run(nodes, name, frames, style, **more)
    program.steps.clear()
    program.on_step = lambda step: setattr(program, "stopped", step == 3)
    with pytest.raises(InterruptProcessingException):
        run(nodes, name, frames, style, **more)
    stopped = sys.modules["impasto_nodes.work"]
    with stopped._turn:
        kept = len(stopped.unfinished.results)
    assert 3 <= kept <= 6
    program.on_step = lambda step: None
    program.steps.clear()
    again = run(nodes, name, frames, style, **more)
    assert [step for step, _ in program.steps] == list(range(kept + 1, 7))
    assert float((again - whole).abs().max()) < 1e-6
    assert not stopped.unfinished.results, "nothing is kept of a run that is whole"
    program.on_step = lambda step: setattr(program, "stopped", step == 3)
    with pytest.raises(InterruptProcessingException):
        run(nodes, name, frames, style, **more)
    program.on_step = lambda step: None
    changed = frames.clone()
    changed[1] = 1 - changed[1]
    begun_anew = run(nodes, name, changed, style, **more)
    assert float((begun_anew[0] - whole[0]).abs().max()) < 1e-6
    assert float((begun_anew[1] - whole[1]).abs().mean()) > 0.01


@pytest.mark.parametrize(("side", "quality"), [(768, "fine"), (768, "draft"), (768, "best")])
def test_a_stop_lands_within_a_second(nodes, program, side, quality):
    style = run(nodes, "ImpastoStyle", "dusk")
    image = torch.rand(4, side, side, 3, generator=torch.Generator().manual_seed(1))
    stopped = []

    def stop():
        stopped.append(time.monotonic())
        program.stopped = True

    threading.Timer(1.0, stop).start()
    with pytest.raises(InterruptProcessingException):
        run(nodes, "ImpastoStylize", image, style, quality)
    assert time.monotonic() - stopped[0] < 1


def test_memory_is_flat_over_ten_runs(nodes, images):
    style = run(nodes, "ImpastoStyle", "dusk")
    process, taken = psutil.Process(), []
    for _ in range(10):
        run(nodes, "ImpastoStylize", images, style, "draft")
        run(nodes, "ImpastoStylizeVideo", images, style, stabilize="flow")
        taken.append(process.memory_info().rss)
    assert taken[-1] - taken[2] < 30 * 2**20
    assert not sys.modules["impasto_nodes.work"].unfinished.results


def test_pictures_are_those_of_the_command_line(nodes, images, tmp_path):
    pixels = images[0].mul(255).round().byte().numpy()
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    for quality in ("draft", "fine"):
        told = impasto_command("stylize", tmp_path / "photo.png", "-s", "dusk", "-o", tmp_path / "out.png", "--quality", quality)
        assert told.returncode == 0, told.stderr
        result = run(nodes, "ImpastoStylize", torch.from_numpy(pixels)[None] / 255, run(nodes, "ImpastoStyle", "dusk"), quality)
        expected = torch.from_numpy(np.array(Image.open(tmp_path / "out.png"))).float()
        assert float((result[0] * 255 - expected).abs().max()) <= 1


def test_it_is_installed_as_its_registry_wants():
    described = tomllib.loads((FOLDER / "pyproject.toml").read_text())
    assert {"name", "description", "version", "license", "dependencies"} <= set(described["project"])
    assert {"PublisherId", "DisplayName", "Icon"} <= set(described["tool"]["comfy"])
    lines = [line for line in (FOLDER / "requirements.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert described["project"]["dependencies"] == lines
