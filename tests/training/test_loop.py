"""The loop of all trainings: it learns, goes on as if it had not stopped, and refuses other settings and numbers that are none."""

from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from impasto.errors import InputError, WeightsError
from impasto.training.loop import same_settings, share_of_rate, train


@dataclass(frozen=True)
class Settings:
    steps: int = 8
    clip: float = 10.0
    widths: tuple[int, ...] = (2, 3)


class Count:
    """A memory of one number."""

    def __init__(self):
        self.value = 0

    def state(self):
        return self.value

    def load(self, state):
        self.value = state


def run(settings=Settings(), *, checkpoint=None, listener=lambda event: None, poison=None, start_share=0.0):
    torch.manual_seed(0)
    network, generator, memory = nn.Linear(3, 1), torch.Generator().manual_seed(0), Count()

    def gradient(step):
        memory.value += 1
        x = torch.randn(4, 3, generator=generator)
        loss = (network(x) - x.sum(1, keepdim=True)).square().mean() * (float("nan") if step == poison else 1)
        loss.backward()
        return {"loss": loss.detach(), "count": memory.value}

    optimiser = torch.optim.Adam([{"params": [p], "lr": 0.1} for p in network.parameters()])
    train(
        settings, gradient, rate=lambda step: 1 / (1 + step), networks={"network": network}, optimiser=optimiser, generator=generator,
        memory=memory, checkpoint=checkpoint, listener=listener, start_share=start_share,
    )  # fmt: skip
    return network, memory


def test_interrupted_it_goes_on_as_if_it_had_not(tmp_path):
    events = []
    whole, counted = run(listener=events.append)
    assert [event.step for event in events] == list(range(1, 9))
    assert events[-1].values["count"] == 8

    def stop(event):
        if event.step == 5:
            raise KeyboardInterrupt

    path = tmp_path / "c.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=path, listener=stop)
    again, count = run(checkpoint=path)
    assert count.value == counted.value == 8
    torch.testing.assert_close(again.weight, whole.weight)


def test_the_weights_it_began_with_can_have_a_share_in_the_result(tmp_path):
    began, after = (run(replace(Settings(), steps=steps))[0].weight for steps in (0, 8))

    def stop(event):
        if event.step == 5:
            raise KeyboardInterrupt

    path = tmp_path / "c.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        run(checkpoint=path, listener=stop, start_share=0.25)
    mixed = 0.75 * after + 0.25 * began
    assert not torch.allclose(mixed, after)
    for checkpoint in (None, path, path):  # the last one has no step left
        torch.testing.assert_close(run(checkpoint=checkpoint, start_share=0.25)[0].weight, mixed)


def test_a_checkpoint_of_other_settings_is_refused(tmp_path):
    path = tmp_path / "c.checkpoint"
    run(checkpoint=path)
    with pytest.raises(InputError, match="other settings"):
        run(replace(Settings(), widths=(2, 4)), checkpoint=path)
    run(replace(Settings(), steps=10), checkpoint=path)
    path.write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="not a checkpoint"):
        run(checkpoint=path)


def test_a_loss_that_leaves_the_numbers_stops_it():
    with pytest.raises(InputError, match="became NaN or infinite at step 3"):
        run(poison=3)


def test_sequences_are_the_same_whatever_holds_them():
    assert same_settings({"steps": 1, "clip": 10.0, "widths": [2, 3]}, Settings())
    assert not same_settings({"steps": 1, "clip": 10.0, "widths": [2, 3, 4]}, Settings())
    assert not same_settings({"steps": 1, "clip": 1.0, "widths": [2, 3]}, Settings())


def test_wide_filters_take_smaller_steps():
    assert share_of_rate(torch.zeros(16, 32, 3, 3)) == 1
    assert share_of_rate(torch.zeros(16, 128, 3, 3)) == 0.25
    assert share_of_rate(torch.zeros(3, 16, 3, 3)) == 0.3
    assert share_of_rate(torch.zeros(512)) == 1
