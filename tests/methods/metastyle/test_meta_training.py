"""Meta-training: the gradients are those of the bilevel problem, and a training goes on as if it had never stopped."""

from dataclasses import replace

import pytest
import torch

from impasto.errors import InputError
from impasto.methods.metastyle.meta_training import MetaLearner, Task, inner_names, meta_train, scale_of_rate
from impasto.methods.metastyle.training_settings import OFFICIAL, MetaTraining
from impasto.networks.style_network import StyleNetwork
from impasto.perception.loss import PerceptualLoss
from tests.conftest import random_encoder

SMALL = MetaTraining(steps=4, crop=32, style_size=32, width=4, batch=1, styles=2, warmup=0, kept=3, inner_rate=0.05)


STEP = 1e-8
"""Of finite differences in float64: small, for the loss has a kink wherever a ReLU or a maximum changes over."""


def learner(dtype=torch.float64, **changes):
    torch.manual_seed(0)
    network = StyleNetwork(3, 1).to(dtype)
    loss = PerceptualLoss(random_encoder(4, 6, 8, 8, dtype=dtype), "feedforward")
    made = MetaLearner(network, loss, replace(SMALL, **changes), dtype)
    made.log_rates = made.log_rates.detach().to(dtype).requires_grad_(made.settings.learn_rates)
    style = loss.style_target([torch.rand(1, 3, 32, 32, dtype=dtype)])
    content, query = (torch.rand(1, 3, 32, 32, dtype=dtype) for _ in range(2))
    return made, Task(0, style, (content, content), (query, query))


def outer_loss(made, task):
    """The outer loss as a number, the inner loop done anew."""
    adapted, _ = made.adapt(dict(made.network.named_parameters()), task)
    return made.objective(adapted, task.query, task.style).item()


@pytest.mark.parametrize(("inner", "steps"), [("affine", 1), ("affine", 3), ("all", 2)])
def test_the_second_order_gradient_is_the_derivative_of_the_outer_loss(inner, steps):
    made, task = learner(order="second", inner=inner, inner_steps=steps)
    made.outer_gradient([task])
    generator = torch.Generator().manual_seed(1)
    parameters = [*made.network.parameters(), made.log_rates]
    directions = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in parameters]
    expected = sum((p.grad * d).sum().item() for p, d in zip(parameters, directions, strict=True))
    values = []
    for sign in (1, -1):
        with torch.no_grad():
            for p, d in zip(parameters, directions, strict=True):
                p.add_(d, alpha=sign * STEP)
        values.append(outer_loss(made, task))
        with torch.no_grad():
            for p, d in zip(parameters, directions, strict=True):
                p.sub_(d, alpha=sign * STEP)
    assert (values[0] - values[1]) / (2 * STEP) == pytest.approx(expected, rel=1e-3)


def test_the_first_order_gradient_is_that_of_the_outer_loss_at_the_adapted_weights():
    made, task = learner(order="first")
    made.outer_gradient([task])
    own = {name: value.grad.clone() for name, value in made.network.named_parameters()}
    adapted, _ = made.adapt(dict(made.network.named_parameters()), task)
    leaves = {name: value.detach().requires_grad_(True) for name, value in adapted.items()}
    made.objective(leaves, task.query, task.style).backward()
    for name, gradient in own.items():
        torch.testing.assert_close(gradient, leaves[name].grad)
    exact, same = learner(order="second")
    exact.outer_gradient([same])
    assert not torch.allclose(own["down.0.convolution.weight"], exact.network.down[0].convolution.weight.grad, rtol=1e-4)


def test_orders_agree_where_the_inner_rate_vanishes_and_reptile_moves_towards_the_adapted_weights():
    gradients = {}
    for order in ("second", "first", "joint"):
        made, task = learner(order=order, inner_rate=1e-12, learn_rates=False)
        made.outer_gradient([task])
        gradients[order] = torch.cat([p.grad.flatten() for p in made.network.parameters()])
    torch.testing.assert_close(gradients["second"], gradients["joint"], atol=1e-7, rtol=1e-5)
    torch.testing.assert_close(gradients["first"], gradients["joint"], atol=1e-7, rtol=1e-5)
    made, task = learner(order="reptile", inner="all", inner_steps=3)
    made.outer_gradient([task])
    adapted, _ = made.adapt(dict(made.network.named_parameters()), task)
    for name, value in made.network.named_parameters():
        torch.testing.assert_close(value.grad, (value - adapted[name]).detach())


def test_kept_loops_go_on_for_the_drawn_painting_only():
    made, task = learner(torch.float32, order="kept")
    task = Task(1, task.style, task.content, task.query)
    before = made.outer_gradient([task])["loss"]
    moved = made.kept.offsets.abs().sum(1) > 0
    assert moved.tolist() == [False, True, False]
    for _ in range(10):
        made.network.zero_grad()
        after = made.outer_gradient([task])["loss"]
    assert after < before


def test_the_inner_loop_changes_what_it_is_told_to():
    network = StyleNetwork(3, 1)
    names = inner_names(network, "affine")
    assert sum(dict(network.named_parameters())[name].numel() for name in names) == len(network.affine())
    assert len(inner_names(network, "all")) == len(list(network.parameters()))


def test_published_values_and_their_rate():
    assert (OFFICIAL.steps, OFFICIAL.inner_rate, OFFICIAL.learning_rate, OFFICIAL.styles, OFFICIAL.batch) == (100_000, 1e-5, 1e-5, 4, 4)
    assert OFFICIAL.inputs == "bytes"
    assert scale_of_rate(OFFICIAL, 40_000) == pytest.approx(0.5)
    ours = MetaTraining(steps=100, warmup=10)
    assert scale_of_rate(ours, 0) == pytest.approx(0.1)
    assert scale_of_rate(ours, 50) == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"order": "third"}, "no order"), ({"inner": "some"}, "affine"), ({"inner_steps": 6}, "1 to 5"), ({"loss": "x"}, "no loss")],
)
def test_settings_that_cannot_be_are_refused(changes, sentence):
    with pytest.raises(InputError, match=sentence):
        MetaTraining(**changes)


@pytest.mark.parametrize("order", ["first", "second", "reptile", "joint", "kept"])
def test_a_training_that_was_stopped_ends_like_one_that_was_not(order, loss, pictures, exact, tmp_path):
    settings = replace(SMALL, order=order)
    whole = meta_train(loss, pictures, pictures, settings, place=exact)

    def stop(event):
        if event.step == 3:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "run.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        meta_train(loss, pictures, pictures, settings, place=exact, checkpoint=checkpoint, listener=stop)
    steps = []
    resumed = meta_train(
        loss, pictures, pictures, settings, place=exact, checkpoint=checkpoint, listener=lambda event: steps.append(event.step)
    )
    assert steps == [4]
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, msg=name)
    with pytest.raises(InputError, match="other settings"):
        meta_train(loss, pictures, pictures, replace(settings, seed=1), place=exact, checkpoint=checkpoint)


def test_the_grain_is_that_of_the_settings_whatever_the_training_begins_with(loss, pictures, exact):
    settings = replace(SMALL, steps=0, grain=0.02, smooth=True)
    trained = meta_train(loss, pictures, pictures, settings, place=exact, start=StyleNetwork(4, 1, grain=0.04, smooth=False))
    assert (trained.grain, trained.smooth) == (0.02, True)


def test_training_lowers_the_loss(loss, pictures, exact):
    values = []
    settings = replace(SMALL, order="first", steps=60, learning_rate=5e-3)
    meta_train(loss, pictures, pictures, settings, place=exact, listener=lambda event: values.append(event.values["loss"]))
    assert sum(values[-10:]) < 0.9 * sum(values[:10])


def test_photos_of_the_two_loops_are_kept_apart(pictures):
    inner, outer = pictures.halves(0)
    assert len(inner) == len(outer) == 3
    assert not set(inner.indices) & set(outer.indices)
