"""Whatever optimises works in the mode of any caller: ComfyUI executes nodes under `inference_mode`, notebooks often under `no_grad`."""

import pytest
import torch

import impasto
from impasto.events import Event
from impasto.gradients import ordinary, with_gradients
from impasto.media.images import Picture, write_picture
from impasto.settings import Controls
from impasto.storage.style_file import read_style
from impasto.training.recipe import Materials, train_to_file

MODES = {"inference mode": torch.inference_mode, "no grad": torch.no_grad}


@pytest.fixture(params=MODES)
def mode(request):
    return MODES[request.param]


@pytest.fixture
def painting(tmp_path):
    path = tmp_path / "painting.png"
    write_picture(Picture(torch.rand(3, 64, 80, generator=torch.Generator().manual_seed(1)).round()), path)
    return path


@pytest.fixture(autouse=True)
def no_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))


def photo():
    """As a node is given it: made in the mode of the caller."""
    return torch.rand(1, 3, 48, 64, generator=torch.Generator().manual_seed(2))


def test_the_decorator_gives_ordinary_tensors_and_the_caller_its_mode_back():
    @with_gradients
    def modes(image, images, module):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        return [one.is_inference() for one in (image, *images, module.weight, module.bias)]

    with torch.inference_mode():
        module = torch.nn.Linear(2, 2)
        assert modes(torch.ones(2), (torch.ones(1), torch.ones(1)), module) == [False] * 5
        assert module.weight.requires_grad
        assert torch.is_inference_mode_enabled()
    with torch.no_grad():
        modes(torch.ones(2), [], module)
        assert not torch.is_grad_enabled()
    image = torch.ones(2)
    assert ordinary(image) is image, "ordinary tensors are not copied"


@pytest.mark.parametrize("method", ["refinement", "gatys", "doodle"])
def test_pictures_are_optimised_alike_in_every_mode(mode, method, painting):
    controls = {
        "refinement": Controls(quality="fine"),
        "gatys": Controls(method="gatys", options={"iterations": 4, "levels": 1}),
        "doodle": Controls(method="doodle", options={"iterations": 3, "levels": 1}),
    }[method]
    style = "dusk" if method == "refinement" else painting
    expected = impasto.load_style(style, controls=controls)(photo())
    with mode():
        painted = impasto.load_style(style, controls=controls)(photo())
    assert torch.equal(painted, expected)
    assert not torch.equal(painted, photo())


@pytest.mark.parametrize("purpose", [{}, {"film": True}, {"parameters": "affine"}], ids=["photos", "video", "affine"])
def test_a_painting_is_learned_alike_in_every_mode(mode, purpose, painting, tmp_path, monkeypatch):
    controls = Controls(options={"steps": 2, **purpose})
    expected = read_style(impasto.adapt(painting, tmp_path / "plain.safetensors", controls=controls))
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "another"))
    with mode():
        learned = read_style(impasto.adapt(painting, tmp_path / "within.safetensors", controls=controls))
    assert all(torch.equal(value, expected.tensors[name]) for name, value in learned.tensors.items())


def test_a_network_is_trained_in_every_mode(mode, painting, tmp_path):
    from impasto.methods.johnson.method import TRAINING

    write_picture(Picture(torch.rand(3, 96, 96)), tmp_path / "photo.png")
    changes = {"steps": 2, "crop": 64, "width": 4, "batch": 1, "style_size": 48}
    events: list[Event] = []
    with mode():
        materials = Materials(content=[tmp_path], painting=painting)
        written = train_to_file(TRAINING, materials, tmp_path / "trained.safetensors", changes=changes, listener=events.append)
    assert written is not None
    assert read_style(written).record.network
    assert [event.step for event in events] == [1, 2]


def test_a_training_that_a_listener_stops_is_resumed(painting, tmp_path):
    """Whatever a listener raises is a stop between steps; programs around the library have exceptions of their own for it."""

    class StopError(Exception):
        """As ComfyUI's InterruptProcessingException, no KeyboardInterrupt."""

    def stop(event):
        if event.step == 2:
            raise StopError

    controls, steps = Controls(options={"steps": 4}), []
    with pytest.raises(StopError):
        impasto.adapt(painting, tmp_path / "style.safetensors", controls=controls, listener=stop)
    assert not (tmp_path / "style.safetensors").exists()
    resumed = impasto.adapt(painting, tmp_path / "style.safetensors", controls=controls, listener=lambda event: steps.append(event.step))
    assert steps == [3, 4]
    whole = read_style(resumed)
    (tmp_path / "cache").rename(tmp_path / "before")
    again = read_style(impasto.adapt(painting, tmp_path / "again.safetensors", controls=controls))
    assert all(torch.equal(value, again.tensors[name]) for name, value in whole.tensors.items())
