"""The perceptual loss: content, style, total variation and range, for every method and every paper's preset.

    L(X) = w_c * sum_l a_l * content_distance(F_l, C_l)  +  w_s * sum_l b_l * style_distance(stat_l(X), stat_l(S))
         + w_tv * TV(X)  +  w_r * range(X)

The functions are the formulas; `PerceptualLoss` runs the encoder once and adds them up. Style targets and content
targets are made once and used many times; masks are part of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.perception.encoder import Encoder
from impasto.perception.presets import PRESETS, LossSettings
from impasto.perception.statistics import accumulating, at_features, gram, moments

LEAST_SIDE = 16
"""Shorter side, in pixels, of the smallest picture that the style is compared at."""
_LEAST_VARIANCE = 0.5
"""Share of the energy of features that their variance counts as at least."""


def content_distance(features: Tensor, target: Tensor, *, normaliser: str = "none", least: Tensor | float = 0.0) -> Tensor:
    """Mean squared difference of feature maps, per picture: (B, C, H, W) twice -> (B).

    normaliser "none" is the plain mean (Gatys et al. 2016, Eq. 1, up to its factor); "variance" divides by the mean
    squared deviation of the target from its channel means, "energy" by the target's mean square: both make the
    distance free of the scale of the features. Of photographs the variance is half of the energy or more; it counts as
    half at least, so that a picture without texture can be painted at all. least: energy that the target's counts as at
    least; features of grey fog have a tenth of the energy of other photographs, and would outweigh any style.
    """
    features, target = accumulating(features), accumulating(target)
    distance = (features - target).square().mean((1, 2, 3))
    if normaliser == "none":
        return distance
    energy = torch.maximum(target.square().mean((1, 2, 3)), torch.as_tensor(least).to(target)).clamp_min(1e-12)
    if normaliser == "variance":
        variance = (target - target.mean((2, 3), keepdim=True)).square().mean((1, 2, 3))
        return distance / torch.maximum(variance, _LEAST_VARIANCE * energy)
    if normaliser == "energy":
        return distance / energy
    raise ValueError(f"normaliser is 'none', 'variance' or 'energy', not {normaliser!r}")


@torch.no_grad()
def white_energy(encoder: Encoder, layers: Sequence[str], content: Tensor) -> dict[str, Tensor]:
    """Energy of the features of a white page, about a third of that of most photographs: layer -> scalar, where `content` is."""
    features = encoder(content.new_ones(1, 3, 32, 32), layers)
    return {layer: accumulating(value).square().mean() for layer, value in features.items()}


def style_distance(statistic: Tensor, target: Tensor, *, reduction: str = "mean") -> Tensor:
    """Squared Frobenius distance of Gram matrices (or moments) over the last two axes: (..., C, C) twice -> (...).

    reduction "sum" is the distance itself, "mean" divides by the number of entries, "gatys" by four times that (Gatys
    et al. 2016, Eq. 4), "relative" by the squared norm of the target; "log" is the logarithm of 1 + relative, which is nearly the
    same where it is small, and keeps pairs that are far apart from outweighing all others in a batch.
    """
    distance = (statistic - target).square().sum((-2, -1))
    entries = statistic.shape[-1] * statistic.shape[-2]
    if reduction == "sum":
        return distance
    if reduction == "mean":
        return distance / entries
    if reduction == "gatys":
        return distance / (4 * entries)
    if reduction in ("relative", "log"):
        relative = distance / target.square().sum((-2, -1)).clamp_min(1e-12)
        return relative if reduction == "relative" else relative.log1p()
    raise ValueError(f"reduction is 'sum', 'mean', 'gatys', 'relative' or 'log', not {reduction!r}")


def total_variation(image: Tensor, *, kind: str = "l1mean") -> Tensor:
    """Total variation per picture: (B, C, H, W) -> (B).

    "l1mean": mean |dx| + mean |dy|. "l2sum": half the sum of squared differences (Johnson et al. 2016).
    "iso_mean": mean of sqrt(dx^2 + dy^2 + 1e-8) over the pixels that have both neighbours.
    """
    across = image[..., :, 1:] - image[..., :, :-1]
    down = image[..., 1:, :] - image[..., :-1, :]
    if kind == "l1mean":
        return across.abs().mean((1, 2, 3)) + down.abs().mean((1, 2, 3))
    if kind == "l2sum":
        return 0.5 * (across.square().sum((1, 2, 3)) + down.square().sum((1, 2, 3)))
    if kind == "iso_mean":
        return (across[..., :-1, :].square() + down[..., :, :-1].square() + 1e-8).sqrt().mean((1, 2, 3))
    raise ValueError(f"kind is 'l1mean', 'l2sum' or 'iso_mean', not {kind!r}")


def range_excess(image: Tensor) -> Tensor:
    """Mean squared distance of the pixels from [0, 1], per picture: (B, C, H, W) -> (B)."""
    return (image - image.clamp(0, 1)).square().mean((1, 2, 3))


@dataclass(frozen=True)
class StyleTarget:
    """Statistics of the style, computed once and without gradient.

    statistics: layer -> (1, K, C, C) Gram matrices, or (1, K, 2, C) moments, one for each of K regions.
    present: (K), True where the region exists in some style picture.
    """

    statistics: dict[str, Tensor]
    present: Tensor

    @property
    def regions(self) -> int:
        """Number of regions; 1 without masks."""
        return len(self.present)


def join_targets(targets: Sequence[StyleTarget]) -> StyleTarget:
    """One target per picture of a batch: K regions each, statistics (B, K, C, C). A region has to be present in all or in none."""
    if any(not torch.equal(target.present, targets[0].present) for target in targets):
        raise ValueError("the styles of a batch need the same regions")
    statistics = {layer: torch.cat([target.statistics[layer] for target in targets]) for layer in targets[0].statistics}
    return StyleTarget(statistics, targets[0].present)


@dataclass(frozen=True)
class ContentTarget:
    """What the content is compared with.

    features: of the content picture, layer -> (B, C, H, W). masks: of its regions, layer -> (1, K, H, W). least: energy that the features
    count as at least, layer -> scalar.
    """

    features: dict[str, Tensor]
    masks: dict[str, Tensor] = field(default_factory=dict)
    least: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class LossTerms:
    """One evaluation of the loss, averaged over the batch: unweighted terms, their weighted sum `total`, and that of the style alone."""

    total: Tensor
    content: Tensor
    style: dict[str, Tensor]
    tv: Tensor
    excess: Tensor
    all_style: Tensor


class PerceptualLoss:
    """The perceptual loss over one encoder.

        loss = PerceptualLoss(encoder, "impasto")
        style = loss.style_target([painting])
        content = loss.content_target(photo)
        loss(picture, content, style).total.backward()

    settings: a name of PRESETS or LossSettings. Raises ValueError if the encoder lacks a layer.
    """

    def __init__(self, encoder: Encoder, settings: str | LossSettings = "impasto"):
        if isinstance(settings, str):
            if settings not in PRESETS:
                raise ValueError(f"no preset {settings!r}; there are {', '.join(PRESETS)}")
            settings = PRESETS[settings]
        self.encoder, self.settings = encoder, settings
        self.layers = list(dict.fromkeys([*settings.style_layers, *settings.content_layers]))
        missing = [layer for layer in self.layers if layer not in encoder.layers]
        if missing:
            raise ValueError(f"this loss needs layer {missing[0]}, which the encoder does not have")

    def with_weights(self, **weights: float) -> "PerceptualLoss":
        """The same loss with other weights, e.g. with_weights(style_weight=0.5)."""
        return PerceptualLoss(self.encoder, replace(self.settings, **weights))  # type: ignore[arg-type]

    def _statistic(self, features: Tensor, mask: Tensor | None) -> Tensor:
        """(B, K, C, C) or (B, K, 2, C); K = 1 without a mask."""
        by_moments = self.settings.style_statistic == "moments"
        value = moments(features, mask) if by_moments else gram(features, mask, norm=self.settings.gram_norm)
        return value if mask is not None else value[:, None]

    @torch.no_grad()
    def style_target(
        self, pictures: Sequence[Tensor], *, weights: Sequence[float] | None = None, masks: Sequence[Tensor] | None = None
    ) -> StyleTarget:
        """The target of one or several style pictures, each (1, 3, H, W) of its own size.

        weights: share of each picture, normalised to sum 1; equal by default. masks: for each picture (1, K, H, W) in
        [0, 1]; region k of the target is the weighted mean over the pictures that hold region k.
        """
        shares = [1.0] * len(pictures) if weights is None else list(weights)
        if not pictures or len(shares) != len(pictures) or min(shares) < 0 or sum(shares) <= 0:
            raise ValueError("one non-negative weight for each of one or more style pictures, not all of them zero")
        regions = 1 if masks is None else masks[0].shape[1]
        held = torch.ones(len(pictures), regions)
        if masks is not None:
            held = torch.stack([(mask.float().mean((0, 2, 3)) > 0).float().cpu() for mask in masks])
        share = held * torch.tensor(shares)[:, None]
        present = share.sum(0) > 0
        share = share / share.sum(0).clamp_min(1e-12)
        statistics: dict[str, Tensor] = {}
        for index, picture in enumerate(pictures):
            for layer, value in self._style_features(picture).items():
                mask = None if masks is None else at_features(masks[index], value)
                term = share[index].to(value.device)[None, :, None, None] * self._statistic(value, mask)
                statistics[layer] = statistics[layer] + term if layer in statistics else term
        return StyleTarget(statistics, present)

    @torch.no_grad()
    def content_target(self, content: Tensor, *, masks: Tensor | None = None) -> ContentTarget:
        """The target of a batch of contents (B, 3, H, W); masks (1, K, H, W) in [0, 1] name the regions of style_target."""
        layers = list(self.settings.content_layers)
        sized = self.layers if masks is not None else layers
        features = self.encoder(content, sized)
        maps = {}
        if masks is not None:
            maps = {name: at_features(masks, value) for name, value in self._style_features(content, features).items()}
        least = {} if self.settings.content_normaliser == "none" else white_energy(self.encoder, layers, content)
        return ContentTarget({layer: features[layer] for layer in layers}, maps, least)

    def _style_features(self, picture: Tensor, known: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Features of the style layers, and as LAYER/2, LAYER/4 those of the picture at half and a quarter of its size, if that is enough.

        known: those of the picture itself, where they are known already.
        """
        layers = list(self.settings.style_layers)
        found = self.encoder(picture, layers) if known is None else {layer: known[layer] for layer in layers}
        for level in range(1, self.settings.pyramid):
            small = F.avg_pool2d(picture, 2**level)
            if min(small.shape[-2:]) < LEAST_SIDE:
                break
            found |= {f"{layer}/{2**level}": value for layer, value in self.encoder(small, layers).items()}
        return found

    def __call__(self, picture: Tensor, content: ContentTarget, style: StyleTarget) -> LossTerms:
        """All terms for pictures (B, 3, H, W) of the size of the content; one pass through the encoder."""
        settings = self.settings
        features = self.encoder(picture, self.layers)
        zero = picture.new_zeros(())
        content_term = zero
        for layer, weight in settings.content_layers.items():
            known, least = content.features[layer], content.least.get(layer, 0.0)
            distance = content_distance(features[layer], known, normaliser=settings.content_normaliser, least=least)
            content_term = content_term + weight * distance.mean()
        style_terms, share = {}, self._region_share(content, style)
        alpha = self._alpha(style)
        both = {layer: value for layer, value in self._style_features(picture, features).items() if layer in style.statistics}
        for layer, value in both.items():
            statistic = self._statistic(value, content.masks.get(layer))
            distance = style_distance(statistic, style.statistics[layer], reduction=settings.style_reduction) / alpha
            style_terms[layer] = (distance * share.to(distance)).sum(1).mean()
        tv = total_variation(picture, kind=settings.tv).mean() if settings.tv_weight else zero
        excess = range_excess(picture).mean() if settings.range_weight else zero
        sizes = len(style_terms) / max(1, len(settings.style_layers))
        weights = {layer: settings.style_layers[layer.split("/")[0]] / sizes for layer in style_terms}
        style_term = sum((weight * style_terms[layer] for layer, weight in weights.items()), zero)
        total = (
            settings.content_weight * content_term
            + settings.style_weight * style_term
            + settings.tv_weight * tv
            + settings.range_weight * excess
        )
        return LossTerms(total, content_term, style_terms, tv, excess, style_term)

    def _region_share(self, content: ContentTarget, style: StyleTarget) -> Tensor:
        """Equal weights over the regions that both sides hold (Gatys et al. 2017); (1, K)."""
        used = style.present.float()[None]
        for mask in content.masks.values():
            if mask.shape[1] != style.regions:
                raise ValueError(f"the content has {mask.shape[1]} regions and the style {style.regions}")
            used = used * (mask.sum((2, 3)) > 0).float().cpu()
        if not content.masks and style.regions > 1:
            raise ValueError("the style has regions and the content has none: give content masks too")
        return used / used.sum().clamp_min(1)

    def _alpha(self, style: StyleTarget) -> Tensor | float:
        """Flexible Convolutional Solver, section 2.4: beta = 1 gives a picture without energy a style loss of 1."""
        if self.settings.style_target_norm == "none":
            return 1.0
        return sum((t.square().mean((-2, -1)) for t in style.statistics.values()), torch.zeros(())).clamp_min(1e-12)
