"""Meta-training: first weights from which a few steps of gradient descent give a network for any painting.

The bilevel problem of the paper, section 3.2: the outer loss is the perceptual loss on one set of photos after `inner_steps` steps
of gradient descent on another,

    minimise over theta   E_style  L( paint(query; theta_T), query, style ),
    theta_0 = theta,      theta_t = theta_(t-1) - delta * grad L( paint(content; theta_(t-1)), content, style ).

Orders of the gradient: "second" is exact, "first" leaves out the curvature, "reptile" moves towards theta_T (Nichol et al. 2018),
"joint" is delta = 0: one network trained on all styles at once, the control of the experiment. "kept" is ours: the inner loop of
every painting goes on where it stopped when the painting is drawn again, so that the outer loop sees inner loops of hundreds of
steps for the price of one; the filters are then those of conditional instance norm (Dumoulin et al. 2017), and the start for a
new painting is the mean of the affine parameters.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from impasto.events import Listener, silence
from impasto.methods.metastyle.training_settings import MetaTraining
from impasto.networks.style_network import StyleNetwork, blobs, paint
from impasto.networks.style_network_file import read_network
from impasto.perception.loss import PerceptualLoss, StyleTarget, join_targets
from impasto.runtime.device import Place
from impasto.runtime.encoders import load_loss
from impasto.storage.tensors import checksum
from impasto.training.collection import pictures_of
from impasto.training.data import Pictures
from impasto.training.loop import own_generator, train
from impasto.training.processes import rank, workers
from impasto.training.recipe import Materials, Work, Writer
from impasto.training.results import write_half, write_record_beside
from impasto.training.schedules import inverse, linear

Parameters = dict[str, Tensor]
Photos = tuple[Tensor, Tensor]


def inner_names(network: StyleNetwork, inner: str) -> list[str]:
    """Names of the parameters that the inner loop changes."""
    if inner == "all":
        return [name for name, _ in network.named_parameters()]
    return [f"{name}.{kind}" for name, _ in network.norms() for kind in ("weight", "bias")]


@dataclass(frozen=True)
class Task:
    """One painting of an outer step: its number, its target, photos of the inner and of the outer loop, (B, 3, H, W) each.

    A photo is a pair: as it is, and with the grain that the network is given.
    """

    index: int
    style: StyleTarget
    content: Photos
    query: Photos


def together(tasks: list[Task]) -> tuple[Photos, StyleTarget]:
    """The outer loops' photos of all tasks as one batch, with the target of each."""
    photos, grained = (torch.cat([task.query[kind] for task in tasks]) for kind in (0, 1))
    return (photos, grained), join_targets([task.style for task in tasks for _ in task.query[0]])


class MetaLearner:
    """The network, the rates of its inner loop, and the gradient of the outer loss with respect to both."""

    def __init__(self, network: StyleNetwork, loss: PerceptualLoss, settings: MetaTraining, dtype: torch.dtype = torch.float32):
        self.network, self.loss, self.settings, self.dtype = network, loss, settings, dtype
        self.names = inner_names(network, settings.inner)
        device = network.last.weight.device
        self.log_rates = nn.Parameter(torch.full((len(self.names),), math.log(settings.inner_rate), device=device), settings.learn_rates)
        self.kept = KeptLoops(settings.kept if settings.order == "kept" else 0, len(network.affine()), device)

    def objective(self, parameters: Mapping[str, Tensor], photos: Photos, style: StyleTarget, affine: Tensor | None = None) -> Tensor:
        """Perceptual loss of the network with these parameters on photos, and the penalty against blobs."""
        kurtosis: list[Tensor] | None = [] if self.settings.blob_weight else None
        painted = paint(self.network, parameters, photos[1], self.dtype, affine=affine, kurtosis=kurtosis)
        total = self.loss(painted, self.loss.content_target(photos[0]), style).total
        return total if kurtosis is None else total + self.settings.blob_weight * blobs(kurtosis)

    def adapt(self, parameters: Parameters, task: Task, *, rate: float = 1.0) -> tuple[Parameters, Tensor]:
        """The inner loop: parameters after T steps on the task's photos, and the loss before the first. rate scales delta."""
        adapted, before = dict(parameters), torch.zeros(())
        exact = self.settings.order == "second"
        for step in range(self.settings.inner_steps):
            value = self.objective(adapted, task.content, task.style)
            before = value.detach() if step == 0 else before
            gradients = torch.autograd.grad(value, [adapted[name] for name in self.names], create_graph=exact)
            for name, gradient, log_rate in zip(self.names, gradients, self.log_rates, strict=True):
                adapted[name] = adapted[name] - rate * log_rate.exp() * gradient
        return adapted, before

    def outer_gradient(self, tasks: list[Task], *, rate: float = 1.0) -> dict[str, float]:
        """Add the meta-gradient, averaged over the tasks, to .grad of the network and of the rates; returns the losses."""
        parameters: Parameters = dict(self.network.named_parameters())
        if self.settings.order == "joint":
            value = self.objective(parameters, *together(tasks))
            value.backward()  # type: ignore[no-untyped-call]
            return {"loss": value.item()}
        if self.settings.order == "kept":
            return self._kept_gradient(parameters, tasks, rate)
        before = after = 0.0
        for task in tasks:
            adapted, first = self.adapt(parameters, task, rate=rate)
            before += first.item() / len(tasks)
            if self.settings.order == "reptile":
                with torch.no_grad():
                    after += self.objective(adapted, task.query, task.style).item() / len(tasks)
                for name in self.names:
                    _accumulate(parameters[name], (parameters[name] - adapted[name]).detach() / len(tasks))
                continue
            value = self.objective(adapted, task.query, task.style) / len(tasks)
            value.backward()  # type: ignore[no-untyped-call]
            after += value.item()
        return {"before": before, "loss": after}

    def _kept_gradient(self, parameters: Parameters, tasks: list[Task], rate: float) -> dict[str, float]:
        """One step of the tasks' own inner loops, and the gradient of the shared parameters, from one pass."""
        photos, targets = together(tasks)
        rows = torch.tensor([task.index for task in tasks], device=photos[0].device)
        offsets = self.kept.offsets[rows].requires_grad_(True)
        each = self.network.affine_of(parameters) + offsets.repeat_interleave(len(photos[0]) // len(tasks), 0)
        value = self.objective(parameters, photos, targets, each)
        value.backward()  # type: ignore[no-untyped-call]
        assert offsets.grad is not None
        self.kept.step(rows, offsets.grad * len(tasks), self.settings.kept_rate * rate)
        return {"loss": value.item()}


class KeptLoops:
    """Where the inner loops of all paintings stand: affine parameters less the shared ones, (N, P), and the moments of their Adam."""

    def __init__(self, count: int, parameters: int, device: torch.device):
        self.offsets, self.first, self.second = (torch.zeros(count, parameters, device=device) for _ in range(3))
        self.steps = torch.zeros(count, 1, device=device)

    def step(self, rows: Tensor, gradients: Tensor, rate: float, *, beta1: float = 0.9, beta2: float = 0.99) -> None:
        """One step of Adam for the paintings of `rows` (each at most once) with their gradients (R, P)."""
        steps = self.steps[rows] + 1
        first = beta1 * self.first[rows] + (1 - beta1) * gradients
        second = beta2 * self.second[rows] + (1 - beta2) * gradients.square()
        change = first / (1 - beta1**steps) / ((second / (1 - beta2**steps)).sqrt() + 1e-8)
        self.steps[rows], self.first[rows], self.second[rows] = steps, first, second
        self.offsets[rows] -= rate * change

    def state(self) -> dict[str, Tensor]:
        """Everything a checkpoint needs."""
        return {name: getattr(self, name).cpu() for name in ("offsets", "first", "second", "steps")}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Go on from `state`."""
        for name, value in state.items():
            getattr(self, name).copy_(value)


def _accumulate(parameter: Tensor, gradient: Tensor) -> None:
    parameter.grad = gradient if parameter.grad is None else parameter.grad + gradient


class StyleBank:
    """Style targets of the pictures of a folder, whole, each computed when it is first drawn; the last `keep` stay."""

    def __init__(self, folder: Pictures, loss: PerceptualLoss, size: int, device: torch.device, *, keep: int = 2048):
        self.folder, self.loss, self.size, self.device, self.keep = folder, loss, size, device, keep
        self._targets: dict[int, StyleTarget] = {}

    def draw(self, count: int, generator: torch.Generator) -> list[tuple[int, StyleTarget]]:
        """Numbers and targets of `count` different random pictures."""
        drawn = torch.randperm(len(self.folder), generator=generator)[:count].tolist()
        return [(index, self._target(index)) for index in drawn]

    def _target(self, index: int) -> StyleTarget:
        if index not in self._targets:
            if len(self._targets) >= self.keep:
                self._targets.pop(next(iter(self._targets)))
            self._targets[index] = self.loss.style_target([self.folder.sized(index, self.size).to(self.device)])
        return self._targets[index]


def scale_of_rate(settings: MetaTraining, step: int) -> float:
    """Factor of the outer learning rate at a step, from 0."""
    return inverse(step, decay=settings.decay) if settings.decay else linear(step, settings.steps, warmup=settings.warmup)


def meta_train(
    loss: PerceptualLoss,
    content: Pictures,
    style: Pictures,
    settings: MetaTraining,
    *,
    place: Place,
    start: StyleNetwork | None = None,
    checkpoint: Path | None = None,
    listener: Listener = silence,
) -> StyleNetwork:
    """Meta-train a network, in float32, on the place's device.

    loss: over an encoder at that place. start: weights to begin with instead of random ones; its grain becomes that of the settings.
    checkpoint: see `impasto.training.loop.train`. Events bring the loss before and after the inner loop. Under torchrun every process draws
    its own tasks.

    Raises InputError if the checkpoint belongs to other settings.
    """
    torch.manual_seed(settings.seed)
    network = StyleNetwork(settings.width, inputs=settings.inputs, grain=settings.grain, smooth=settings.smooth) if start is None else start
    network.grain, network.smooth = settings.grain, settings.smooth
    network.to(place.device, torch.float32).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner = MetaLearner(network, loss, settings, place.dtype)
    rates = nn.ParameterList([learner.log_rates])
    generator = own_generator(settings.seed)
    bilevel = settings.order not in ("joint", "kept")
    inner, outer = content.halves(settings.seed) if settings.split and bilevel else (content, content)
    # A kept inner loop belongs to one process: each has its own share of the paintings.
    paintings = style if settings.order != "kept" else style.part(settings.kept, settings.seed).every(workers(), rank())
    bank = StyleBank(paintings, loss, settings.style_size, place.device)

    def photos(folder: Pictures) -> Photos:
        drawn = folder.draw(settings.batch, settings.crop, generator, zoom=settings.zoom)
        pair = (drawn, network.grained(drawn, generator))
        first, second = (part.to(place.device).contiguous(memory_format=torch.channels_last) for part in pair)
        return first, second

    def gradient(step: int) -> dict[str, float]:
        tasks = []
        for index, target in bank.draw(settings.styles, generator):
            query = photos(outer)
            tasks.append(Task(index, target, photos(inner) if bilevel else query, query))
        return learner.outer_gradient(tasks, rate=scale_of_rate(settings, step) if settings.decay or not bilevel else 1.0)

    train(
        settings,
        gradient,
        rate=lambda step: scale_of_rate(settings, step),
        networks={"network": network, "rates": rates},
        optimiser=torch.optim.Adam([*network.parameters(), *(rates if settings.learn_rates else [])], lr=settings.learning_rate),
        generator=generator,
        data={"contents": content.digest, "paintings": style.digest, "encoder": checksum(loss.encoder.state_dict())},
        memory=learner.kept,
        reads=[inner, outer],
        checkpoint=checkpoint,
        start_share=settings.start_share,
        listener=listener,
    )
    return network


def run(materials: Materials, settings: MetaTraining, work: Work) -> Writer:
    """From folders to a file of weights in half precision with the registry's record beside it. Raises InputError or WeightsError."""
    photos, paintings = pictures_of(materials.content, settings.seed), pictures_of(materials.style, settings.seed)
    network = meta_train(
        load_loss(materials.encoder, settings.loss, work.place),
        photos,
        paintings,
        settings,
        place=work.place,
        start=None if materials.start is None else read_network(Path(materials.start)),
        checkpoint=work.checkpoint,
        listener=work.listener,
    )

    def write() -> None:
        write_half(network, work.output, "network")
        seen = f"{photos.described('photographs')} and {paintings.described('paintings')} with {materials.encoder}"
        title = f"meta-learned network for any painting, width {settings.width}"
        source = f"{settings.order} order, {settings.steps} steps on {seen}, {work.spent}"
        write_record_beside(work.output, "network", title, source, "Zhang, Zhu and Zhu, MetaStyle, AAAI 2019")

    return write
