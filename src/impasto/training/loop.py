"""The loop that all trainings of a network share: steps, gradients of several processes, checkpoints, events."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor, nn

from impasto.errors import InputError
from impasto.events import Event, Listener, silence
from impasto.gradients import with_gradients
from impasto.interrupts import between_steps
from impasto.storage.tensors import checksum
from impasto.training.checkpoint import CHECKPOINT_SECONDS, load_checkpoint, save_checkpoint
from impasto.training.processes import agreed, rank, share_gradients, workers

Settings = TypeVar("Settings")


class TrainingSettings(Protocol):
    """What the loop needs of a training's settings, a dataclass; the rest of them has to be the same when it is resumed."""

    @property
    def steps(self) -> int:
        """How many."""

    @property
    def clip(self) -> float:
        """Largest norm of the gradient; 0 for any."""


class Memory(Protocol):
    """What a process has to remember besides weights and random state: plain data out, and in again."""

    def state(self) -> Any:
        """Tensors, numbers, strings and containers of them."""

    def load(self, state: Any) -> None:
        """Continue from `state`."""


def own_generator(seed: int) -> torch.Generator:
    """Random numbers of this process: other ones in each."""
    return torch.Generator().manual_seed(seed + 7919 * rank())


@with_gradients
def train(
    settings: TrainingSettings,
    gradient: Callable[[int], Mapping[str, float | Tensor]],
    *,
    rate: Callable[[int], float],
    networks: Mapping[str, nn.Module],
    optimiser: torch.optim.Optimizer,
    generator: torch.Generator,
    data: Mapping[str, str] | None = None,
    memory: Memory | None = None,
    reads: Sequence[Memory] = (),
    checkpoint: Path | None = None,
    preview: Callable[[int], Tensor | None] = lambda step: None,
    alone: bool = False,
    start_share: float = 0.0,
    listener: Listener = silence,
) -> None:
    """Take the steps that are left, with the optimiser's parameters.

    gradient: (step, from 0) fills .grad and returns named values for the event. rate: factor of the learning rates at a step, on what the
    groups of the optimiser were made with. networks: everything that is saved and the same in all processes. data: what it is trained on,
    names and digests. reads: what it draws from, whose place in its order is saved. checkpoint: written every few minutes, at the end, and
    when the training is stopped; if it exists, the training is resumed from there. preview: (steps done) a picture for the event,
    (3, H, W) in [0, 1], or None. Under torchrun every process calls this and all take the same steps, unless the training is `alone`, in
    one of them.

    start_share: of the weights before the first step, in those that result. A network that is trained further gains in what it is trained
    for and may lose in what it is not, such as skies without a pattern; the mean of both has most of either (Wortsman et al. 2022, Robust
    fine-tuning of zero-shot models).

    A stop is noticed between steps. One that comes within a step, as an exception from elsewhere, leaves the last checkpoint as it is: the
    step may be half done. Raises InputError if the checkpoint belongs to other settings, data or first weights, or if the gradient is not
    finite.
    """
    processes = 1 if alone else workers()
    own_rank = 0 if alone else rank()
    trained: list[Tensor] = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    highest = [group["lr"] for group in optimiser.param_groups]
    first = [parameter.detach().clone() for parameter in trained] if start_share else []
    begun = {**(data or {}), **{name: checksum(network.state_dict()) for name, network in networks.items()}}
    step, before, whole = 0, 0.0, True
    if checkpoint is not None and checkpoint.exists():
        state = load_checkpoint(checkpoint)
        _check_same(checkpoint, state, settings, begun, processes)
        for name, network in networks.items():
            network.load_state_dict(state["networks"][name])
        optimiser.load_state_dict(state["optimiser"])
        mine = state["own"][own_rank]
        generator.set_state(mine["random"])
        if memory is not None:
            memory.load(mine["memory"])
        for source, place in zip(reads, mine["reads"], strict=True):
            source.load(place)
        step, before = state["step"], state["seconds"]
    started = saved = time.monotonic()

    def spent() -> float:
        return before + time.monotonic() - started

    def save() -> None:
        mine = {
            "random": generator.get_state(),
            "memory": None if memory is None else memory.state(),
            "reads": [source.state() for source in reads],
        }
        everyone: list[Any] = [mine]
        if processes > 1:
            everyone = [None] * processes
            torch.distributed.all_gather_object(everyone, mine)
        if own_rank == 0 and checkpoint is not None:
            state = {
                "step": step,
                "seconds": spent(),
                "settings": asdict(settings),  # type: ignore[call-overload]
                "begun": begun,
                "networks": {name: network.state_dict() for name, network in networks.items()},
                "optimiser": optimiser.state_dict(),
                "own": everyone,
            }
            save_checkpoint(checkpoint, state)

    with between_steps() as stops:
        try:
            while step < settings.steps:
                whole = False
                for group, height in zip(optimiser.param_groups, highest, strict=True):
                    group["lr"] = height * rate(step)
                optimiser.zero_grad(set_to_none=True)
                values = gradient(step)
                if processes > 1:
                    share_gradients(trained)
                if not bool(torch.isfinite(torch.nn.utils.clip_grad_norm_(trained, settings.clip or math.inf))):
                    raise InputError(
                        f"the loss became NaN or infinite at step {step}: lower the learning rate, or take --precision float32"
                    )
                optimiser.step()
                shown = preview(step + 1)
                step += 1
                whole = True
                if own_rank == 0:
                    numbers = {name: float(value) for name, value in values.items()}
                    listener(Event(step, settings.steps, spent(), numbers, shown))
                wish = 2 if stops.asked else 1 if time.monotonic() - saved >= CHECKPOINT_SECONDS else 0
                wish = wish if processes == 1 else agreed(wish)
                if wish:
                    saved = time.monotonic()
                if wish == 1:
                    save()
                if wish == 2:
                    stops.take()
        except (KeyboardInterrupt, Exception):
            if whole and (processes == 1 or stops.asked):
                save()
            stops.done()
            raise
        save()
    with torch.no_grad():
        for parameter, weights in zip(trained, first, strict=bool(first)):
            parameter.lerp_(weights, start_share)


def _check_same(path: Path, state: Mapping[str, Any], settings: TrainingSettings, begun: Mapping[str, str], processes: int) -> None:
    """A checkpoint is resumed only with what it was made with. Raises InputError that says what differs."""
    if not {"settings", "begun", "networks", "optimiser", "own", "seconds"} <= set(state):
        raise InputError(f"{path} is of another version of Impasto; delete it, or give another output")
    remedy = "give another output, or delete it"
    if not same_settings(state["settings"], settings) or len(state["own"]) != processes:
        raise InputError(f"{path} belongs to a training with other settings; {remedy}")
    other = [name for name in {*begun, *state["begun"]} if begun.get(name) != state["begun"].get(name)]
    if other:
        raise InputError(f"{path} belongs to a training with other data ({', '.join(sorted(other))}); {remedy}")


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
    """Whether a checkpoint's settings are these; the number of steps may change, and how often there is a preview."""
    current = asdict(settings)  # type: ignore[call-overload]
    free = ("steps", "preview_every")
    return all(_plain(written.get(key)) == _plain(value) for key, value in current.items() if key not in free)


def _plain(value: Any) -> Any:
    """Sequences as lists, since a file does not tell tuples from lists."""
    return [_plain(part) for part in value] if isinstance(value, Sequence) and not isinstance(value, str) else value
