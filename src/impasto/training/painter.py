"""One network for one style: the loop that adapts a meta-learned network, and that trains one from scratch (Johnson et al. 2016).

Adam on the perceptual loss over random crops of contents. What tells the two uses apart is only where the weights begin and
how many steps are taken.
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from impasto.errors import ImpastoError, InputError
from impasto.events import Event, Listener, silence
from impasto.networks import Transformer, blobs, paint
from impasto.perception.loss import PerceptualLoss, StyleTarget
from impasto.runtime.device import Place
from impasto.training.checkpoint import load_checkpoint, save_checkpoint
from impasto.training.clips import Clip, Clips
from impasto.training.data import Pictures

TemporalTerm = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From painted frames (K, 3, H, W), the flow from each to the one before (K-1, 2, H, W) and its mask (K-1, 1, H, W) to a loss."""


@dataclass(frozen=True)
class Steadiness:
    """What makes a painter of films: moving contents, and how far painted neighbours may be apart along their motion.

    clips: where pairs of frames come from. term and weight: what is added to the perceptual loss. sensor: deviation of the noise that every
    frame has of its own, as cameras make it, where white is 1.
    """

    clips: Clips
    term: TemporalTerm
    weight: float
    sensor: float = 0.0


@dataclass(frozen=True)
class PainterTraining:
    """How a network is fitted to one style.

    parameters: "all" weights, or "affine", the scales and shifts of the instance norms alone. batch and crop: contents per
    step and their side in pixels; a crop's side in the picture is drawn from `zoom` times that. The learning rate falls
    linearly to `final_rate` times its start. blob_weight: of the penalty against blobs. preview_every: steps between previews, 0 for none.
    """

    steps: int = 150
    parameters: str = "all"
    learning_rate: float = 1e-3
    final_rate: float = 0.1
    batch: int = 1
    crop: int = 256
    zoom: tuple[float, float] = (0.6, 1.6)
    clip: float = 1.0
    blob_weight: float = 0.02
    preview_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.parameters not in ("all", "affine"):
            raise InputError(f"'all' or only the 'affine' parameters are adapted, not {self.parameters!r}")
        if self.steps < 0 or self.batch < 1 or self.crop < 64:
            raise InputError("at least 0 steps, a batch of 1 and a crop of 64 pixels are needed")


@dataclass(frozen=True)
class Curve:
    """The loss before every step, and the seconds since the start when it was known."""

    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def last(self, count: int = 10) -> float | None:
        """Mean over the last steps; None if there were none."""
        tail = self.losses[-count:]
        return sum(tail) / len(tail) if tail else None

    def thinned(self, points: int = 50) -> list[list[float]]:
        """At most so many rows [step, seconds, mean loss since the row before]: what a style file keeps."""
        count = len(self.losses)
        ends = sorted({round(count * (k + 1) / points) for k in range(points)} - {0})
        rows, begin = [], 0
        for end in ends:
            rows.append([end, round(self.seconds[end - 1], 2), round(sum(self.losses[begin:end]) / (end - begin), 5)])
            begin = end
        return rows


def fit_painter(
    network: Transformer,
    loss: PerceptualLoss,
    style: StyleTarget,
    contents: Pictures | Steadiness,
    settings: PainterTraining,
    *,
    place: Place,
    checkpoint: Path | None = None,
    listener: Listener = silence,
) -> Curve:
    """Fit a network, in place, to a style. It is kept in float32 and computed in the place's precision.

    contents: pictures, or for films pairs of frames. checkpoint: if it exists, the fitting goes on from there; an interrupt writes it.
    Events bring the loss, and a preview (3, crop, crop) of the first content when due. Raises ImpastoError if the loss leaves the numbers.
    """
    network.to(place.device, torch.float32).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    generator = torch.Generator().manual_seed(settings.seed)

    def draw() -> tuple[Tensor, Tensor, Clip | None]:
        """Contents, what the network is given of them, and how they move."""
        clip = None
        if isinstance(contents, Steadiness):
            clip = contents.clips.draw(2, settings.crop, generator).to(place.device)
            drawn = clip.frames
            given = drawn + contents.sensor * torch.randn(drawn.shape, generator=generator).to(drawn)
        else:
            drawn = contents.draw(settings.batch, settings.crop, generator, zoom=settings.zoom)
            given = network.grained(drawn, generator)
        plain, given = (part.to(place.device).contiguous(memory_format=torch.channels_last) for part in (drawn, given))
        return plain, given, clip

    sample = draw()[1][:1]
    weights = dict(network.named_parameters())
    affine = network.affine().detach().requires_grad_(True)
    trained: list[Tensor] = [affine] if settings.parameters == "affine" else list(weights.values())
    frozen = {name: value.detach().to(place.dtype) for name, value in weights.items()}
    optimiser = torch.optim.Adam(trained, lr=settings.learning_rate)
    curve, step, spent = Curve(), 0, 0.0
    if checkpoint is not None and checkpoint.exists():
        state = load_checkpoint(checkpoint)
        if state["settings"] != _identity(settings, style):
            raise InputError(f"{checkpoint} was begun with another style or other settings; delete it to start over")
        with torch.no_grad():
            for tensor, value in zip(trained, state["trained"], strict=True):
                tensor.copy_(value)
        optimiser.load_state_dict(state["optimiser"])
        generator.set_state(state["random"])
        curve, step, spent = Curve(state["losses"], state["seconds"]), state["step"], state["spent"]
    started = time.monotonic() - spent

    def painted(photos: Tensor, crowding: list[Tensor] | None = None) -> Tensor:
        if settings.parameters == "affine":
            return paint(network, frozen, photos, place.dtype, affine=affine, crowding=crowding)
        return paint(network, weights, photos, place.dtype, crowding=crowding)

    try:
        while step < settings.steps:
            fraction = step / settings.steps
            for group in optimiser.param_groups:
                group["lr"] = settings.learning_rate * (1 - fraction * (1 - settings.final_rate))
            photos, given, clip = draw()
            optimiser.zero_grad(set_to_none=True)
            crowding: list[Tensor] = []
            pictures = painted(given, crowding)
            value = loss(pictures, loss.content_target(photos), style).total
            total = value + settings.blob_weight * blobs(crowding)
            if clip is not None and isinstance(contents, Steadiness):
                total = total + contents.weight * contents.term(pictures, clip.backward, clip.backward_traced)
            total.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(trained, settings.clip)
            number = value.item()
            if not number < float("inf"):
                raise ImpastoError("the loss ran into values that are not finite; try a lower learning rate or --precision float32")
            optimiser.step()
            step += 1
            curve.losses.append(number)
            curve.seconds.append(time.monotonic() - started)
            due = settings.preview_every and step % settings.preview_every == 0
            with torch.no_grad():
                preview = painted(sample)[0].float().cpu() if due else None
            listener(Event(step, settings.steps, curve.seconds[-1], {"loss": number}, preview))
    except KeyboardInterrupt:
        if checkpoint is not None:
            state = {
                "step": step,
                "spent": time.monotonic() - started,
                "settings": _identity(settings, style),
                "trained": [tensor.detach() for tensor in trained],
                "optimiser": optimiser.state_dict(),
                "random": generator.get_state(),
                "losses": curve.losses,
                "seconds": curve.seconds,
            }
            save_checkpoint(checkpoint, state)
        raise
    if settings.parameters == "affine":
        network.load_affine(affine.detach())
    if checkpoint is not None:
        checkpoint.unlink(missing_ok=True)
    return curve


def _identity(settings: PainterTraining, style: StyleTarget) -> dict[str, object]:
    """What has to be the same for a run to go on."""
    own = {key: value for key, value in asdict(settings).items() if key != "preview_every"}
    return own | {"style": [statistic.double().sum().item() for statistic in style.statistics.values()]}
