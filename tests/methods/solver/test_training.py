"""Training a solver: it learns, it goes on where it stopped, photos alone are enough, and wrong settings are refused."""

from dataclasses import replace

import pytest
import torch

from impasto.errors import InputError
from impasto.methods.solver.method import TRAINING
from impasto.methods.solver.network import SCALES
from impasto.methods.solver.solver import Solver, Steering
from impasto.methods.solver.solver_file import read_solver
from impasto.methods.solver.training import PairSource, SolverLearner, new_network, train_solver
from impasto.methods.solver.training_settings import FLEX, SolverTraining
from impasto.perception.loss import PerceptualLoss
from impasto.runtime.device import Place
from impasto.storage.registry import read_record
from impasto.training.data import Pictures
from impasto.training.recipe import Materials, train_to_file
from tests.conftest import scene

CPU = Place(torch.device("cpu"), torch.float32)
TINY = SolverTraining(
    iterations=2, passes=3, width=2, steps=6, batch=1, crop=32, style_size=32, zoom=(1.0, 1.2), warmup=1, learning_rate=2e-3
)


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(0)
    return Pictures([0.3 * torch.rand(3, 48, 56, generator=generator) + 0.7 * torch.rand(3, 1, 1, generator=generator) for _ in range(6)])


@pytest.fixture
def loss(encoder):
    return PerceptualLoss(encoder, "solver")


WHOLE = replace(FLEX, iterations=2, width=2, steps=6, crop=32, style_size=32, learning_rate=3e-3)


@pytest.mark.parametrize("preset", [TINY, WHOLE], ids=["step", "whole"])
def test_it_learns(encoder, pictures, preset):
    """On pairs of the same kind, drawn apart from the training's."""
    loss, settings = PerceptualLoss(encoder, preset.loss), replace(preset, steps=150, learning_rate=4e-3)
    pairs = PairSource(pictures, None, replace(settings, batch=8), torch.Generator().manual_seed(99)).draw()

    def reached(network):
        learner = SolverLearner(network.requires_grad_(False), loss, encoder, settings, torch.float32)
        return float(learner.whole(learner.task(*pairs, torch.ones(5), None), 0)["loss"])

    before = reached(train_solver(loss, encoder, pictures, None, replace(settings, steps=0), place=CPU))
    after = reached(train_solver(loss, encoder, pictures, None, settings, place=CPU))
    assert after < 0.8 * before


@pytest.mark.parametrize("settings", [TINY, WHOLE], ids=["step", "whole"])
def test_interrupted_it_goes_on_as_if_it_had_not(encoder, pictures, tmp_path, settings):
    loss = PerceptualLoss(encoder, settings.loss)
    whole = train_solver(loss, encoder, pictures, pictures, settings, place=CPU)

    def stop(event):
        if event.step == 3:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "c.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train_solver(loss, encoder, pictures, pictures, settings, place=CPU, checkpoint=checkpoint, listener=stop)
    again = train_solver(loss, encoder, pictures, pictures, settings, place=CPU, checkpoint=checkpoint)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)


def test_a_checkpoint_of_other_settings_is_refused(loss, encoder, pictures, tmp_path):
    checkpoint = tmp_path / "c.checkpoint"
    train_solver(loss, encoder, pictures, None, TINY, place=CPU, checkpoint=checkpoint)
    with pytest.raises(InputError, match="other settings"):
        train_solver(loss, encoder, pictures, None, replace(TINY, width=3), place=CPU, checkpoint=checkpoint)
    train_solver(loss, encoder, pictures, None, replace(TINY, steps=7), place=CPU, checkpoint=checkpoint)


def test_scales_that_do_not_count_are_out_of_loss_and_network(loss, encoder, pictures):
    """Without any scale the network does nothing and the loss sees no style: what is left is the content's own TV."""
    network = new_network(TINY, encoder, "tiny")
    learner = SolverLearner(network, loss, encoder, TINY, torch.float32)
    content, style = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    none = learner.next(learner.task(content, style, torch.zeros(5), None))
    assert none["style"] == 0
    assert none["content"] == 0
    some = learner.next(learner.task(content, style, torch.tensor([1.0, 0, 0, 0, 0]), None))
    assert some["style"] > 0


def test_the_published_loss_with_all_its_weights_is_the_preset(encoder, pictures):
    """The learner's loss of a batch is the perceptual loss of its last picture."""
    settings = replace(FLEX, iterations=1, width=2, crop=32, style_size=32)
    network, loss = new_network(settings, encoder, "tiny"), PerceptualLoss(encoder, "flex")
    learner = SolverLearner(network, loss, encoder, settings, torch.float32)
    content, style = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    network.requires_grad_(False)
    network.of_step(0).down[0][0].weight.zero_()
    value = learner.whole(learner.task(content, style, torch.ones(5), None), 0)["loss"]
    torch.testing.assert_close(value, loss(content, loss.content_target(content), loss.style_target([style])).total)


def test_each_step_by_itself_goes_the_way_of_the_whole(encoder, pictures):
    """The pictures that the steps make one by one are the iterates of the network at work."""
    torch.manual_seed(0)
    settings = replace(TINY, clipped=True)
    network, loss = new_network(settings, encoder, "tiny").requires_grad_(False), PerceptualLoss(encoder, "solver")
    for update in network.updates:
        update.down[0][0].weight.mul_(30)
    learner = SolverLearner(network, loss, encoder, settings, torch.float32)
    content, style = torch.rand(1, 3, 32, 32), torch.rand(1, 3, 32, 32)
    task = learner.task(content, style, torch.ones(5), None)
    ends = [learner.next(task)["loss"] for _ in range(3)]
    torch.testing.assert_close(learner.whole(learner.task(content, style, torch.ones(5), None), 0)["loss"], ends[-1])
    painted = Solver(network, encoder, CPU, [style], style_size=32, steering=Steering(grain=0.0))(content)
    torch.testing.assert_close(task.x, painted, atol=1e-3, rtol=0)
    assert task.step == 3


def test_styles_are_photos_where_there_are_no_paintings():
    white, black = Pictures([torch.ones(3, 40, 40)]), Pictures([torch.zeros(3, 40, 40)])
    settings = replace(TINY, paintings=0.5, jitter=0.0)
    only = PairSource(white, None, settings, torch.Generator().manual_seed(0))
    assert all(only.draw()[1].min() > 0.999 for _ in range(8))
    both = PairSource(white, black, settings, torch.Generator().manual_seed(0))
    means = {round(float(both.draw()[1].mean())) for _ in range(20)}
    assert means == {0, 1}


def test_noise_is_uniform_up_to_its_amplitude():
    source = PairSource(Pictures([torch.full((3, 40, 40), 0.5)]), None, replace(TINY, noise=0.1), torch.Generator().manual_seed(0))
    drawn = torch.cat([source.draw()[0] for _ in range(8)])
    assert 0.05 < (drawn - 0.502).abs().max() <= 0.103


def test_an_encoder_without_the_five_scales_is_refused(loss, pictures):
    from tests.conftest import random_encoder

    with pytest.raises(InputError, match="no relu5_1"):
        train_solver(loss, random_encoder(4, 6, 8, 8), pictures, None, TINY, place=CPU)
    assert len(SCALES) == 5


def test_wrong_settings_are_refused():
    for given, sentence in (
        ({"loss": "nothing"}, "no loss 'nothing'"),
        ({"iterations": 0}, "iterations is a number from 1 on"),
        ({"crop": 8}, "crop is a number from 32 on"),
        ({"early": "some"}, "no early 'some'"),
        ({"horizon": "far"}, "no horizon 'far'; there are whole, step"),
        ({"passes": 1}, "fewer than the 2 updates"),
    ):
        with pytest.raises(InputError, match=sentence):
            SolverTraining(**given)


def test_from_folders_to_a_file_with_its_record(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        scene(64 + 8 * number, 72).save(folder / f"{number}.png")
    output = tmp_path / "own.safetensors"
    small = {name: getattr(TINY, name) for name in ("iterations", "passes", "width", "steps", "batch", "crop", "style_size")}
    materials = Materials(content=[folder])
    train_to_file(TRAINING, materials, output, changes=small, device="cpu", precision="float32")
    record = read_record(output.with_suffix(".json"))
    assert record.kind == "solver"
    assert record.size == output.stat().st_size
    assert read_solver(output).encoder == "compact"
    assert not output.with_suffix(".checkpoint").exists()
    with pytest.raises(InputError, match="no preset"):
        train_to_file(TRAINING, materials, output, preset="magic")
    with pytest.raises(InputError, match="ends in"):
        train_to_file(TRAINING, materials, tmp_path / "own.pt")
