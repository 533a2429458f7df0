"""One network for one style: the loop that adapts a meta-learned network, and that trains one from scratch (Johnson et al. 2016).

Adam on the perceptual loss over random crops of contents. What tells the two uses apart is only where the weights begin and
how many steps are taken.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from impasto.events import Listener, silence
from impasto.gradients import with_gradients
from impasto.networks.style_network import StyleNetwork, blobs, paint
from impasto.perception.autocorrelation import TextureTerm
from impasto.perception.loss import PerceptualLoss, StyleTarget
from impasto.runtime.device import Place
from impasto.storage.tensors import checksum
from impasto.training.clips import Clip, Clips
from impasto.training.data import Pictures
from impasto.training.loop import train
from impasto.training.schedules import linear
from impasto.training.settings import FittingSettings

Guide = Callable[[Tensor], Tensor]
"""A network that paints already: from what a network is given (B, 3, H, W) to the picture, alike, without gradient."""

TemporalTerm = Callable[[Tensor, Tensor, Tensor], Tensor]
"""From painted frames (K, 3, H, W), the flow from each to the one before (K-1, 2, H, W) and its mask (K-1, 1, H, W) to a loss."""


@dataclass(frozen=True)
class Steadiness:
    """What makes a painter of films too: moving contents, and how far painted neighbours may be apart along their motion.

    clips: where pairs of frames come from.
    term, weight: what is added to the perceptual loss.
    camera_noise: deviation of the noise that every frame has of its own, where white is 1.
    share: of the steps, those on pairs of frames; the others are on pictures.
    """

    clips: Clips
    term: TemporalTerm
    weight: float
    camera_noise: float = 0.0
    share: float = 0.5

    def counts(self, step: int) -> bool:
        """Whether a step, from 0, is on frames: they are spread evenly, and the first is on a picture if there are any."""
        return int((step + 1) * self.share) > int(step * self.share)


@dataclass
class Curve:
    """The loss before every step, and the seconds of work when it was known. It is a memory of the training's loop."""

    losses: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    _before: float = 0.0

    def add(self, loss: float, seconds: float) -> None:
        """A step more. seconds: since this run of the training began."""
        self.losses.append(loss)
        self.seconds.append(self._before + seconds)

    def state(self) -> dict[str, list[float]]:
        """For a checkpoint."""
        return {"losses": list(self.losses), "seconds": list(self.seconds)}

    def load(self, state: dict[str, list[float]]) -> None:
        """Out of a checkpoint."""
        self.losses, self.seconds = list(state["losses"]), list(state["seconds"])
        self._before = self.seconds[-1] if self.seconds else 0.0

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


@dataclass
class _Memory:
    """What the training remembers: the curve, and the running means of the texture's autocorrelation in pictures and in frames."""

    curve: Curve
    textures: list[TextureTerm]

    def state(self) -> dict[str, Any]:
        """For a checkpoint."""
        return {"curve": self.curve.state(), "textures": [texture.mean for texture in self.textures]}

    def load(self, state: dict[str, Any]) -> None:
        """Out of a checkpoint."""
        self.curve.load(state["curve"])
        for texture, mean in zip(self.textures, state["textures"], strict=True):
            texture.mean = mean


@with_gradients
def fit_network(
    network: StyleNetwork,
    loss: PerceptualLoss,
    style: StyleTarget,
    contents: Pictures,
    settings: FittingSettings,
    *,
    place: Place,
    steadiness: Steadiness | None = None,
    texture: TextureTerm | None = None,
    guide: Guide | None = None,
    data: dict[str, str] | None = None,
    checkpoint: Path | None = None,
    listener: Listener = silence,
) -> Curve:
    """Fit a network, in place, to a style. It is kept in float32 and computed in the place's precision.

    steadiness: with it, a share of the steps is on pairs of frames, without grain, so that one network paints pictures and steady films.
    texture: what holds flat places to the painting's texture. guide: what the pictures are brought near, by their mean absolute difference.
    data, checkpoint: see `impasto.training.loop.train`; whoever writes the
    result removes the checkpoint. Events bring the loss, and a preview (3, crop, crop) of the first content when due. Raises ImpastoError
    if the loss becomes NaN or infinite.
    """
    network.to(place.device, torch.float32).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    generator = torch.Generator().manual_seed(settings.seed)

    def draw(moving: Steadiness | None) -> tuple[Tensor, Tensor, Clip | None]:
        """Contents, what the network is given of them, and how they move."""
        clip = None
        if moving is not None:
            clip = moving.clips.draw(2, settings.crop, generator).to(place.device)
            drawn = clip.frames
            inputs = drawn + moving.camera_noise * torch.randn(drawn.shape, generator=generator).to(drawn)
        else:
            drawn = contents.draw(settings.batch, settings.crop, generator, zoom=settings.zoom)
            inputs = network.grained(drawn, generator)
        plain, inputs = (part.to(place.device).contiguous(memory_format=torch.channels_last) for part in (drawn, inputs))
        return plain, inputs, clip

    sample = draw(None)[1][:1]
    weights = dict(network.named_parameters())
    affine = nn.Parameter(network.affine().detach())
    only_affine = settings.parameters == "affine"
    trained: nn.Module = nn.ParameterList([affine]) if only_affine else network
    frozen = {name: value.detach().to(place.dtype) for name, value in weights.items()}
    textures = [replace(texture), replace(texture)] if texture is not None and settings.texture_weight else []
    curve, started = Curve(), time.monotonic()

    def painted(photos: Tensor, kurtosis: list[Tensor] | None = None) -> Tensor:
        if only_affine:
            return paint(network, frozen, photos, place.dtype, affine=affine, kurtosis=kurtosis)
        return paint(network, weights, photos, place.dtype, kurtosis=kurtosis)

    def gradient(step: int) -> dict[str, float]:
        network.level()
        moving = steadiness if steadiness is not None and steadiness.counts(step) else None
        photos, inputs, clip = draw(moving)
        kurtosis: list[Tensor] = []
        pictures = painted(inputs, kurtosis)
        value = loss(pictures, loss.content_target(photos), style).total
        total = value + settings.blob_weight * blobs(kurtosis)
        if guide is not None:
            total = total + settings.guide_weight * (pictures - guide(inputs)).abs().mean()
        if textures:
            total = total + settings.texture_weight * textures[moving is not None](pictures, photos)
        if clip is not None and moving is not None:
            total = total + moving.weight * moving.term(pictures, clip.backward, clip.backward_traced)
        total.backward()  # type: ignore[no-untyped-call]
        curve.add(value.item(), time.monotonic() - started)
        return {"loss": curve.losses[-1]}

    @torch.no_grad()
    def preview(done: int) -> Tensor | None:
        return painted(sample)[0].float().cpu() if settings.preview_every and done % settings.preview_every == 0 else None

    train(
        settings,
        gradient,
        rate=lambda step: linear(step, settings.steps, final=settings.final_rate),
        networks={"network": trained},
        optimiser=torch.optim.Adam(trained.parameters(), lr=settings.learning_rate),
        generator=generator,
        data={"style": checksum(style.statistics)} | (data or {}),
        memory=_Memory(curve, textures),
        reads=[contents] if steadiness is None else [contents, steadiness.clips],
        checkpoint=checkpoint,
        preview=preview,
        alone=True,
        listener=listener,
    )
    network.level()
    if only_affine:
        network.load_affine(affine.detach())
    return curve
