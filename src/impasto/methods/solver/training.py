"""Training of a solver: random pairs of a content and a style, the losses of its iterates (Puy and Perez 2019, section 3.3).

Every step draws which scales of the style count; the same weights enter the loss and the network, so that the scales can be
switched at run time. The published recipe is the preset `flex`; the bundled solver's is the default.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from impasto.errors import InputError
from impasto.events import Listener, silence
from impasto.methods.solver.network import SCALES, Filters, SolverNetwork, alpha, unroll
from impasto.methods.solver.solver_file import read_solver, write_solver
from impasto.methods.solver.training_settings import SolverTraining
from impasto.perception.encoder import Encoder
from impasto.perception.loss import ContentTarget, PerceptualLoss, StyleTarget
from impasto.perception.statistics import gram
from impasto.runtime.device import Place
from impasto.runtime.encoders import load_encoder, load_loss
from impasto.storage.tensors import checksum
from impasto.training.collection import pictures_of
from impasto.training.data import Pictures, jitter_color
from impasto.training.loop import own_generator, share_of_rate, train
from impasto.training.recipe import Materials, Work, Writer
from impasto.training.results import write_record_beside
from impasto.training.schedules import linear

PAPER = "Puy and Perez, A Flexible Convolutional Solver for Fast Style Transfers, CVPR 2019"
METRIC_PICTURES = 128
"""How many style pictures the scale of the Gram matrices is taken from."""


class PairSource:
    """Contents and styles, drawn anew each time."""

    def __init__(self, contents: Pictures, paintings: Pictures | None, settings: SolverTraining, generator: torch.Generator):
        self.contents, self.paintings, self.settings, self.generator = contents, paintings, settings, generator

    def draw(self) -> tuple[Tensor, Tensor]:
        """Contents (B, 3, crop, crop) and styles (B, 3, size, size), with noise."""
        settings, generator = self.settings, self.generator
        content = self.contents.draw(settings.batch, settings.crop, generator, zoom=settings.zoom)
        painted = torch.rand(settings.batch, generator=generator) < settings.paintings if self.paintings else torch.zeros(settings.batch)
        folders = [self.paintings if chosen and self.paintings else self.contents for chosen in painted.tolist()]
        style = torch.cat([folder.draw(1, settings.style_size, generator, zoom=settings.style_zoom) for folder in folders])
        if settings.jitter:
            style = jitter_color(style, generator, amount=settings.jitter)
        return self._noisy(content), self._noisy(style)

    def _noisy(self, batch: Tensor) -> Tensor:
        if not self.settings.noise:
            return batch
        amplitude = self.settings.noise * torch.rand(len(batch), 1, 1, 1, generator=self.generator)
        return batch + amplitude * (2 * torch.rand(batch.shape, generator=self.generator) - 1)


Values = dict[str, Tensor]


@dataclass
class Task:
    """A batch of pairs while it is painted: its style, its losses, what it was made of, and how far it is."""

    content: Tensor
    grams: Sequence[Tensor]
    scales: Sequence[Tensor]
    grain: Tensor | None
    loss: PerceptualLoss
    target: StyleTarget
    reference: ContentTarget
    drawn: tuple[Tensor, Tensor, Tensor, Tensor | None]
    x: Tensor
    step: int = 0


class SolverLearner:
    """A solver's network and the loss of its iterates for one batch of pairs."""

    def __init__(self, network: SolverNetwork, loss: PerceptualLoss, encoder: Encoder, settings: SolverTraining, dtype: torch.dtype):
        self.network, self.loss, self.encoder, self.settings, self.dtype = network, loss, encoder, settings, dtype

    @torch.no_grad()
    def encoded(self, pictures: Tensor) -> list[Tensor]:
        """Features (B, c_l, h_l, w_l) of the network's encoder."""
        features = self.encoder(pictures, SCALES)
        return [features[layer] for layer in SCALES]

    def grams(self, pictures: Tensor) -> list[Tensor]:
        """Gram matrices (B, 1, c_l, c_l) of the network's encoder."""
        return [gram(value)[:, None] for value in self.encoded(pictures)]

    def steer(self, step: int, x: Tensor, grams: Sequence[Tensor], scales: Sequence[Tensor]) -> tuple[Filters, Sequence[Tensor] | None]:
        """Q_l times the weight of its scale for the picture x at iteration `step`, and with feedback the picture's features."""
        encoded, wanted = None, list(grams)
        if self.network.feedback:
            encoded = self.encoded(x.detach().clamp(0, 1))
            wanted = [style - gram(painted)[:, None] for style, painted in zip(grams, encoded, strict=True)]
        steered = self.network.of_step(step).filters(self.network.measured(wanted))
        return [scale * q for scale, q in zip(scales, steered, strict=True)], encoded

    def task(self, content: Tensor, style: Tensor, kept: Tensor, grain: Tensor | None) -> "Task":
        """Everything that stays the same while one batch of pairs is painted. kept: beta of each scale, (5)."""
        grams = self.grams(style)
        energy = alpha(grams)[..., None, None] if self.network.normaliser == "alpha" else torch.ones(1, 1, 1, 1, device=style.device)
        weights = {
            layer: weight * float(kept[SCALES.index(layer)]) if layer in SCALES else weight
            for layer, weight in self.loss.settings.style_layers.items()
        }
        loss = PerceptualLoss(self.loss.encoder, replace(self.loss.settings, style_layers=weights))
        target, reference = self._target(loss, style, grams), loss.content_target(content)
        scales, drawn = [beta / energy for beta in kept], (content, style, kept, grain)
        return Task(content, grams, scales, grain, loss, target, reference, drawn, content)

    def whole(self, task: "Task", drawn: int) -> Values:
        """The losses of all iterations: "total" to be minimised; of the last iterate "loss", its "style" and "content"; "excess"
        over [0, 1]. drawn: the earlier iterate that counts.
        """
        cast = [self._cast(step) for step in range(self.network.steps)]
        steer = lambda step, x: self.steer(step, x, task.grams, task.scales)  # noqa: E731
        total, values, count = torch.zeros(()), {}, self.network.passes
        for step, x in enumerate(unroll(self.network, task.content, steer, grain=task.grain, weights=cast)):
            every = self.settings.early == "all"
            if step == count - 1 or every or step == drawn:
                values = self._judged(task, x)
                total = total + (1.0 if every or step == count - 1 else float(self.settings.early)) * values["total"]
        return values | {"total": total}

    def next(self, task: "Task") -> Values:
        """The same of the next iteration alone, without a gradient through those before; the task moves on by it."""
        filters, encoded = self.steer(task.step, task.x, task.grams, task.scales)
        cast = self._cast(min(task.step, self.network.steps - 1))
        change = self.network.update(task.step, task.x, filters, grain=task.grain, encoded=encoded, weights=cast)
        x = task.x - change
        task.x, task.step = (x.detach().clamp(0, 1) if self.network.clipped else x.detach()), task.step + 1
        return self._judged(task, x)

    def _cast(self, step: int) -> dict[str, Tensor]:
        return {name: value.to(self.dtype) for name, value in self.network.of_step(step).named_parameters()}

    def _judged(self, task: "Task", x: Tensor) -> Values:
        terms = task.loss(x.clamp(0, 1), task.reference, task.target)
        excess = task.loss.settings.range_weight * (x - x.clamp(0, 1)).square().mean()
        parts = {"loss": terms.total, "style": terms.all_style, "content": terms.content, "excess": excess}
        return {name: value.detach() for name, value in parts.items()} | {"total": terms.total + excess}

    def _target(self, loss: PerceptualLoss, style: Tensor, grams: Sequence[Tensor]) -> StyleTarget:
        """The loss's target; the Gram matrices are not computed twice."""
        known = dict(zip(SCALES, grams, strict=True))
        settings = loss.settings
        if (
            loss.encoder is self.encoder
            and settings.style_statistic == "gram"
            and settings.gram_norm == "n"
            and settings.pyramid == 1
            and set(settings.style_layers) <= set(known)
        ):
            return StyleTarget({layer: known[layer] for layer in settings.style_layers}, torch.ones(1, dtype=torch.bool))
        return loss.style_target([style])


POOL = 8
"""Batches that are painted by turns where each iteration is trained by itself, so that successive steps see different pairs."""


class Pool:
    """The batches that are being painted."""

    def __init__(self, learner: SolverLearner, place: Place):
        self.learner, self.place = learner, place
        self.tasks: list[Task] = []

    def next(self, draw: Callable[[], Task], generator: torch.Generator) -> Values:
        """The losses of one more iteration of one of them; those that are done are replaced by new ones."""
        while len(self.tasks) < POOL:
            self.tasks.append(draw())
        chosen = int(torch.randint(POOL, (), generator=generator))
        values = self.learner.next(self.tasks[chosen])
        if self.tasks[chosen].step >= self.learner.network.passes:
            values = values | {"last": values["loss"]}
            self.tasks[chosen] = draw()
        return values

    def state(self) -> list[Any]:
        """What each was made of, its picture, and how far it is."""
        return [([None if part is None else part.cpu() for part in task.drawn], task.x.cpu(), task.step) for task in self.tasks]

    def load(self, state: list[Any]) -> None:
        """Go on from `state`."""
        for drawn, x, done in state:
            content, style, kept = (part.to(self.place.device) for part in drawn[:3])
            task = self.learner.task(content, style, kept, None if drawn[3] is None else drawn[3].to(self.place.device))
            task.x, task.step = x.to(self.place.device), done
            self.tasks.append(task)


def new_network(settings: SolverTraining, encoder: Encoder, name: str) -> SolverNetwork:
    """A network as the settings say, with random weights, for the Gram matrices of an encoder."""
    return SolverNetwork(
        settings.iterations,
        settings.width,
        encoder.channels,
        shared=settings.shared,
        gated=settings.gated,
        feedback=settings.feedback,
        clipped=settings.clipped,
        normaliser=settings.normaliser,
        grain=settings.grain,
        passes=settings.passes,
        encoder=name,
    )


def train_solver(
    loss: PerceptualLoss,
    encoder: Encoder,
    contents: Pictures,
    paintings: Pictures | None,
    settings: SolverTraining,
    *,
    place: Place,
    encoder_name: str = "compact",
    start: SolverNetwork | None = None,
    checkpoint: Path | None = None,
    listener: Listener = silence,
) -> SolverNetwork:
    """Train a solver, in float32, computed in the place's precision.

    loss and encoder: at that place; the encoder is the one that gives the style's Gram matrices at run time. paintings: None for
    pairs of photos only, as published. start: weights to begin with. checkpoint: see `impasto.training.loop.train`. Under torchrun
    every process draws its own pairs. Raises InputError if the checkpoint belongs to other settings or the loss becomes NaN or infinite.
    """
    missing = [layer for layer in SCALES if layer not in encoder.layers]
    if missing:
        raise InputError(f"a solver is steered by {', '.join(SCALES)}, and this encoder has no {missing[0]}")
    torch.manual_seed(settings.seed)
    generator = own_generator(settings.seed)
    pairs = PairSource(contents, paintings, settings, generator)
    network = start if start is not None else new_network(settings, encoder, encoder_name)
    network.to(place.device, torch.float32).to(memory_format=torch.channels_last).requires_grad_(True)  # type: ignore[call-overload]
    learner = SolverLearner(network, loss, encoder, settings, place.dtype)
    if settings.metric and start is None:
        alike = PairSource(contents, paintings, settings, torch.Generator().manual_seed(settings.seed))  # the same in every process
        seen = [learner.grams(alike.draw()[1].to(place.device)) for _ in range(-(-METRIC_PICTURES // settings.batch))]
        network.set_metric([torch.cat([grams[level][:, 0] for grams in seen]) for level in range(5)])
    share = share_of_rate if settings.balanced else lambda parameter: 1.0
    groups = [{"params": [parameter], "lr": settings.learning_rate * share(parameter)} for parameter in network.parameters()]
    pool = Pool(learner, place)

    def draw() -> Task:
        content, style = (part.to(place.device).contiguous(memory_format=torch.channels_last) for part in pairs.draw())
        kept = (torch.rand(5, generator=generator) < settings.keep_scale).float() / settings.keep_scale
        amount = 1.5 * settings.grain * torch.rand((len(content), 1, 1, 1), generator=generator)
        grain = network.grained(content, generator, amount=1.0) * amount.to(content) if settings.grain else None
        return learner.task(content, style, kept.to(place.device), grain)

    def gradient(step: int) -> Values:
        if settings.horizon == "whole":
            values = learner.whole(draw(), int(torch.randint(max(1, network.passes - 1), (), generator=generator)))
        else:
            values = pool.next(draw, generator)
        values["total"].backward()  # type: ignore[no-untyped-call]
        return {name: value.detach() for name, value in values.items()}

    train(
        settings,
        gradient,
        rate=lambda step: linear(step, settings.steps, final=settings.final_rate, warmup=settings.warmup),
        networks={"solver": network},
        optimiser=torch.optim.Adam(groups, fused=True),
        generator=generator,
        data={"contents": contents.digest, "paintings": paintings.digest if paintings else "", "encoder": checksum(encoder.state_dict())},
        memory=pool,
        reads=[contents, *([] if paintings is None else [paintings])],
        checkpoint=checkpoint,
        start_share=settings.start_share,
        listener=listener,
    )
    return network


def run(materials: Materials, settings: SolverTraining, work: Work) -> Writer:
    """From folders to a file with the registry's record beside it. Raises InputError or WeightsError."""
    encoder, judge = materials.encoder, materials.loss_encoder or materials.encoder
    photos = pictures_of(materials.content, settings.seed)
    styles = pictures_of(materials.style, settings.seed) if materials.style else None
    network = train_solver(
        load_loss(judge, settings.loss, work.place),
        load_encoder(encoder, work.place),
        photos,
        styles,
        settings,
        place=work.place,
        encoder_name=Path(encoder).stem,
        start=None if materials.start is None else read_solver(Path(materials.start)),
        checkpoint=work.checkpoint,
        listener=work.listener,
    )

    def write() -> None:
        write_solver(network, work.output)
        seen = f"{photos.described('photographs')} and {styles.described('paintings') if styles else 'no paintings'}"
        title = f"solver for any style, N = {network.steps}, L = {network.width}"
        networks = f"steered by {Path(encoder).stem}, loss with {Path(judge).stem}"
        source = f"{settings.steps} steps of {settings.batch} pairs on {seen}, {networks}, {work.spent}"
        write_record_beside(work.output, "solver", title, source, PAPER)

    return write
