"""The loop that all trainings of a network share: steps, gradients of several processes, checkpoints, events."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from impasto.errors import InputError
from impasto.events import Event, Listener, silence
from impasto.files import check_folder
from impasto.training.checkpoint import load_checkpoint, save_checkpoint
from impasto.training.processes import rank, share_gradients, workers

Settings = TypeVar("Settings")


class TrainingSettings(Protocol):
    """What the loop needs of a training's settings, a dataclass; the rest of them has to be the same when it goes on."""

    @property
    def steps(self) -> int:
        """How many."""

    @property
    def clip(self) -> float:
        """Largest norm of the gradient."""

    @property
    def checkpoint_every(self) -> int:
        """Steps between checkpoints."""


class Memory(Protocol):
    """What a process has to remember besides weights and random state: plain data out, and in again."""

    def state(self) -> Any:
        """Tensors, numbers, strings and containers of them."""

    def load(self, state: Any) -> None:
        """Go on from `state`."""


def own_generator(seed: int) -> torch.Generator:
    """Random numbers of this process: other ones in each."""
    return torch.Generator().manual_seed(seed + 7919 * rank())


def train(
    settings: TrainingSettings,
    gradient: Callable[[int], Mapping[str, float | Tensor]],
    *,
    rate: Callable[[int], float],
    networks: Mapping[str, nn.Module],
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    memory: Memory | None = None,
    checkpoint: Path | None = None,
    listener: Listener = silence,
) -> None:
    """Take the steps that are left, with the optimiser's parameters.

    gradient: (step, from 0) fills .grad and returns named values for the event. rate: factor of the learning rates at a step, on what the
    groups of the optimiser were made with. networks: everything that is saved and the same in all processes. checkpoint: written every
    settings.checkpoint_every steps, at the end, and when a single process is interrupted; if it exists, the training goes on from there.
    Under torchrun every process calls this and all take the same steps.

    Raises InputError if the checkpoint belongs to other settings, or if the gradient is not finite.
    """
    trained: list[Tensor] = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    highest = [group["lr"] for group in optimiser.param_groups]
    step, before = 0, 0.0
    if checkpoint is not None and checkpoint.exists():
        state = load_checkpoint(checkpoint)
        if not same_settings(state["settings"], settings) or len(state["own"]) != workers():
            raise InputError(f"{checkpoint} belongs to a training with other settings; give another output or delete it")
        for name, network in networks.items():
            network.load_state_dict(state["networks"][name])
        optimiser.load_state_dict(state["optimiser"])
        own = state["own"][rank()]
        generator.set_state(own["random"])
        if memory is not None:
            memory.load(own["memory"])
        step, before = state["step"], state["seconds"]
    started = time.monotonic() - before

    def save() -> None:
        mine = {"random": generator.get_state(), "memory": None if memory is None else memory.state()}
        everyone: list[Any] = [mine]
        if workers() > 1:
            everyone = [None] * workers()
            torch.distributed.all_gather_object(everyone, mine)
        if rank() == 0 and checkpoint is not None:
            state = {
                "step": step,
                "seconds": time.monotonic() - started,
                "settings": asdict(settings),  # type: ignore[call-overload]
                "networks": {name: network.state_dict() for name, network in networks.items()},
                "optimiser": optimiser.state_dict(),
                "own": everyone,
            }
            save_checkpoint(checkpoint, state)

    try:
        while step < settings.steps:
            for group, height in zip(optimiser.param_groups, highest, strict=True):
                group["lr"] = height * rate(step)
            optimiser.zero_grad(set_to_none=True)
            values = gradient(step)
            share_gradients(trained)
            if not bool(torch.isfinite(torch.nn.utils.clip_grad_norm_(trained, settings.clip))):
                raise InputError(f"the loss left the numbers at step {step}: lower the learning rate")
            optimiser.step()
            step += 1
            if rank() == 0:
                listener(Event(step, settings.steps, time.monotonic() - started, {name: float(value) for name, value in values.items()}))
            if step % settings.checkpoint_every == 0:
                save()
    except KeyboardInterrupt:
        if workers() == 1:
            save()
        raise
    save()


def settings_of(presets: Mapping[str, Settings], preset: str, changes: Mapping[str, Any] | None, output: Path) -> Settings:
    """A preset's settings with changes, by name, once it is certain that the weights can be written. Raises InputError."""
    if preset not in presets:
        raise InputError(f"there is no preset {preset!r}; there are {', '.join(presets)}")
    if output.suffix != ".safetensors":
        raise InputError(f"cannot write {output}: the name of a file of weights ends in .safetensors")
    check_folder(output)
    changed: Settings = replace(presets[preset], **(changes or {}))  # type: ignore[type-var]
    return changed


WIDE = 288
"""Inputs of a filter, 32 channels of 3x3, above which its steps become smaller."""


def share_of_rate(parameter: Tensor) -> float:
    """Factor of the learning rate for one parameter, where rates are balanced.

    Adam moves all weights alike, so filters of many inputs would change most; they, and those that make the picture, take smaller steps.
    """
    if parameter.ndim != 4:
        return 1.0
    last = 0.3 if parameter.shape[0] == 3 else 1.0
    return last * min(1.0, WIDE / parameter[0].numel())


def rated_groups(network: nn.Module, rate: float, *, balanced: bool) -> list[dict[str, Any]]:
    """The parameters of a network as groups of an optimiser, each with its learning rate; all at `rate` unless balanced."""
    return [{"params": [value], "lr": rate * (share_of_rate(value) if balanced else 1.0)} for value in network.parameters()]


def same_settings(written: Mapping[str, Any], settings: TrainingSettings) -> bool:
    """Whether a checkpoint's settings are these; the number of steps may change, and how often it is saved."""
    own = asdict(settings)  # type: ignore[call-overload]
    free = ("steps", "checkpoint_every")
    return all(_plain(written.get(key)) == _plain(value) for key, value in own.items() if key not in free)


def _plain(value: Any) -> Any:
    """Sequences as lists, since a file does not tell tuples from lists."""
    return [_plain(part) for part in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
