"""The solver at work: one object that holds styles and is steered at every call (Puy and Perez 2019, section 4).

A style is five Gram matrices, and for every update the filters made of them; both are computed once. Turning a control costs one
pass through the network.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.errors import InputError
from impasto.media.images import stroke_side, style_at
from impasto.methods.solver.network import SCALES, Filters, SolverNetwork, alpha, unroll
from impasto.methods.solver.photo import Photos
from impasto.methods.solver.proximal import Term, proximal_map
from impasto.methods.solver.settings import SolverSettings
from impasto.methods.solver.temporal import Consistency
from impasto.motion.cuts import is_cut
from impasto.motion.flow import DenseInverseSearch, Flow
from impasto.motion.occlusion import trusted_warp
from impasto.perception.encoder import Encoder
from impasto.perception.statistics import at_features, gram
from impasto.runtime.device import Place, settle

LARGEST_STYLE = 384
"""Shorter side, in pixels, that styles are brought to at most by default: about what the bundled solver was trained with."""


@dataclass(frozen=True)
class Steering(SolverSettings):
    """The controls of one call: the settings, and what is made at run time.

    shares: one weight for each style, brought to a sum of 1; None for equal ones. terms: further regularisers.
    """

    shares: Sequence[float] | None = None
    terms: Sequence[Term] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shares is not None and (not all(0 <= s < math.inf for s in self.shares) or sum(self.shares) <= 0):
            raise InputError("each style needs a weight of at least 0, and not all of them may be 0")


@dataclass(frozen=True)
class _Style:
    """What is kept of the styles at one size.

    grams: (S, K, c, c) per scale, of S styles and K regions. filters: (S, K, k, k) for every update and scale. held: (S, K), 1
    where the style has the region.
    """

    grams: list[Tensor]
    filters: list[list[Tensor]]
    held: Tensor


@dataclass
class Solver:
    """Paint photos (B, 3, H, W), RGB in [0, 1], in any styles: set them once, then call it as often as you like.

        solver = Solver(load_solver("solver"), load_encoder("compact", place), place, [painting])
        picture = solver(photo)
        solver.steering = replace(solver.steering, strength=0.6)
        weaker = solver(photo)

    styles: pictures (1, 3, h, w). style_masks: for regions, a mask (1, K, h, w) for each: region k of the photo takes the Gram
    matrices of region k of the styles that have one. Without them, masks at a call give style k its part of the photo, K being the
    number of styles; they may be soft, and are brought to a sum of at most 1. style_size: shorter side that the styles are
    brought to; None for the photo's, at most `LARGEST_STYLE`. flow: for films, dense inverse search by default.
    """

    network: SolverNetwork
    encoder: Encoder
    place: Place
    styles: Sequence[Tensor]
    style_masks: Sequence[Tensor] | None = None
    style_size: int | None = None
    steering: Steering = field(default_factory=Steering)
    flow: Flow | None = None
    stroke: float = 1.0
    _kept: dict[int, _Style] = field(default_factory=dict, init=False, repr=False)
    _grain: dict[tuple[int, int], Tensor] = field(default_factory=dict, init=False, repr=False)

    def __post_init__(self) -> None:
        if not self.styles:
            raise InputError("no style was given")
        if tuple(self.encoder.channels) != tuple(self.network.channels):
            raise InputError(f"this solver is steered by the encoder {self.network.encoder!r}, and the given one has other widths")
        self.network = settled(self.network, self.place)

    @torch.inference_mode()
    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint; masks (1, K, H, W) in [0, 1] if there are regions. Same size out."""
        return self.paint(image, self.steering, masks=masks)

    @torch.inference_mode()
    def paint(self, image: Tensor, steering: Steering, *, masks: Tensor | None = None, terms: Sequence[Term] = ()) -> Tensor:
        """Paint with other controls than the solver's own; terms: regularisers of this picture alone."""
        content = image.to(self.place.device, torch.float32).contiguous(memory_format=torch.channels_last)
        still = steering.strength == 0 or not any(steering.scales)
        if still and not (terms or steering.terms):
            return image.clone()
        style = self._style(min(content.shape[-2:]))
        weights, regions = self._regions(style, steering, content, masks)
        grain = self._grain_of(content) * steering.grain if steering.grain and self.network.grain else None
        fine = [*terms, *steering.terms]
        rough = fine
        if steering.photoreal:
            photos = Photos(content)
            fine, rough = ([*fine, Term(each, steering.photoreal)] for each in (photos, photos.rough()))
        exact, early = proximal_map(fine), proximal_map(rough)
        passes = steering.passes or self.network.passes

        def proximal(step: int, y: Tensor) -> Tensor:
            """The regularisers; on the way they need not be solved as exactly as at the end."""
            apply = exact if step == passes - 1 else early
            return y if apply is None else apply(y)

        scales = self._scales(style, weights, steering)

        def steer(step: int, x: Tensor) -> tuple[Filters, list[Tensor] | None]:
            """Filters (B or 1, K, k, k) for the picture x, and with feedback its features."""
            mixed = [torch.einsum("sk,skij->kij", weights, q)[None] for q in style.filters[min(step, self.network.steps - 1)]]
            encoded = None
            if self.network.feedback:
                encoded = self._encoded(x.clamp(0, 1))
                present = [
                    gram(value)[:, None] if regions is None else gram(value, mask)
                    for value, mask in zip(encoded, regions or encoded, strict=True)
                ]
                found = self.network.of_step(step).filters(self.network.measured(present))
                mixed = [wanted - has for wanted, has in zip(mixed, found, strict=True)]
            return [scale * q for scale, q in zip(scales, mixed, strict=True)], encoded

        *_, x = unroll(self.network, content, steer, grain=grain, masks=regions, proximal=proximal, passes=passes)
        return x.clamp(0, 1).to(image.device)

    @property
    def memory(self) -> int | None:
        """None where frames are kept near the ones before: the texture that a shot begins with stays for all of it."""
        return None if self.steering.consistency else 0

    def stream(
        self, frames: Iterable[Tensor], *, masks: Tensor | None = None, first: tuple[Tensor, Tensor] | None = None
    ) -> Iterator[Tensor]:
        """Paint the frames of a film, (3, H, W) each, every one near the one before where the motion can be traced (section 4.4).

        first: a frame before these and how it was painted, to continue from there. Memory does not grow with the length.
        """
        flow = self.flow or DenseInverseSearch()
        before = first
        for frame in frames:
            terms = []
            if before is not None and self.steering.consistency and not is_cut(before[0], frame):
                backward, forward = flow(frame, before[0])[None], flow(before[0], frame)[None]
                warped, trusted = trusted_warp(before[1], frame, before[0], backward, forward)
                terms = [Term(Consistency(warped.to(self.place.device), trusted.to(self.place.device)), self.steering.consistency)]
            painted = self.paint(frame[None], self.steering, masks=masks, terms=terms)[0].cpu()
            before = (frame, painted)
            yield painted

    def _encoded(self, image: Tensor) -> list[Tensor]:
        features = self.encoder(image.contiguous(memory_format=torch.channels_last), SCALES)
        return [features[layer] for layer in SCALES]

    def _style(self, short_side: int) -> _Style:
        """Gram matrices and filters of the styles at the size for a photo of this shorter side."""
        size = self.style_size or stroke_side(self.stroke, min(short_side, LARGEST_STYLE))
        if size not in self._kept:
            pictures = [style_at(picture.to(self.place.device, torch.float32), size) for picture in self.styles]
            encoded = [self._encoded(picture) for picture in pictures]
            if self.style_masks is None:
                grams = [torch.cat([gram(each[level])[:, None] for each in encoded]) for level in range(5)]
                held = torch.ones(len(pictures), 1)
            else:
                masks = [mask.to(self.place.device, torch.float32) for mask in self.style_masks]
                grams = [
                    torch.cat([gram(each[level], at_features(mask, each[level])) for each, mask in zip(encoded, masks, strict=True)])
                    for level in range(5)
                ]
                held = torch.stack([(mask[0].mean((1, 2)) > 0).float().cpu() for mask in masks])
            measured = self.network.measured(grams)
            filters = [self.network.of_step(step).filters(measured) for step in range(self.network.steps)]
            self._kept[size] = _Style(grams, filters, held.to(self.place.device))
        return self._kept[size]

    def _regions(self, style: _Style, steering: Steering, content: Tensor, masks: Tensor | None) -> tuple[Tensor, list[Tensor] | None]:
        """How much of each style each region takes, (S, K), and the masks of each scale (1, K, h, w), or None for one region."""
        count = len(self.styles)
        shares = torch.tensor(steering.shares or [1.0] * count, dtype=torch.float32, device=self.place.device)
        if len(shares) != count:
            raise InputError(f"there are {count} styles and {len(shares)} weights")
        if masks is None:
            if self.style_masks is not None:
                raise InputError("the styles have regions and the photo has none: give its mask too")
            return (shares / shares.sum())[:, None], None
        if tuple(masks.shape[-2:]) != tuple(content.shape[-2:]):
            raise InputError(
                f"the mask has {masks.shape[-1]}x{masks.shape[-2]} pixels and the photo {content.shape[-1]}x{content.shape[-2]}"
            )
        masks = masks.to(self.place.device, torch.float32)
        if not bool(torch.isfinite(masks).all()) or float(masks.min()) < 0:
            raise InputError("a mask holds values from 0 to 1, and this one others")
        masks = masks / masks.sum(1, keepdim=True).clamp_min(1.0)
        if self.style_masks is None:
            if masks.shape[1] != count:
                raise InputError(f"each style needs its own mask: there are {count} styles and {masks.shape[1]} masks")
            weights = torch.eye(count, device=self.place.device)
        else:
            if masks.shape[1] != style.held.shape[1]:
                raise InputError(f"the photo has {masks.shape[1]} regions and the styles {style.held.shape[1]}")
            weights = style.held * shares[:, None]
            weights = weights / weights.sum(0).clamp_min(1e-12)
        sizes = [(content.shape[-2] >> level, content.shape[-1] >> level) for level in range(5)]
        return weights, [F.adaptive_avg_pool2d(masks, size) for size in sizes]

    def _scales(self, style: _Style, weights: Tensor, steering: Steering) -> list[Tensor]:
        """lambda of each scale for each region, (1, K, 1, 1): beta times the strength, by alpha of the mixed style if so normalised.

        Regions that no style has stay as they are: 0.
        """
        energy = torch.ones(1, weights.shape[1], 1, 1, device=self.place.device)
        if self.network.normaliser == "alpha":
            mixed = [torch.einsum("sk,skij->kij", weights, g.expand(-1, weights.shape[1], -1, -1))[None] for g in style.grams]
            energy = alpha(mixed).clamp_min(1e-12)[..., None, None]
        painted = (weights.sum(0) > 0).float().view(1, -1, 1, 1)
        return [beta * steering.strength * painted / energy for beta in steering.scales]

    def _grain_of(self, content: Tensor) -> Tensor:
        """The grain of this size, always the same, so that frames of a film and the same photo twice are painted alike."""
        size = (content.shape[-2], content.shape[-1])
        if size not in self._grain:
            self._grain.clear()
            self._grain[size] = self.network.grained(torch.zeros(1, 1, *size), torch.Generator().manual_seed(0)).to(content.device)
        return self._grain[size]


def settled(network: SolverNetwork, place: Place) -> SolverNetwork:
    """A copy at the place: convolutions in its precision, the maps of the Gram matrices in float32."""
    copied = SolverNetwork(**network.settings())  # type: ignore[arg-type]
    copied.load_state_dict(network.state_dict())
    copied.to(place.device).requires_grad_(False).eval()
    for update in copied.updates:
        for name, part in update.named_children():
            if name not in ("left", "right"):
                settle(part, place)
    return copied
