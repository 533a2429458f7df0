"""The trained updates: networks wired like the gradient of the style loss, one for every iteration.

Puy and Perez 2019, section 3. The gradient of the style loss with respect to the picture is a pass up through the encoder, a product
of the features with a Gram matrix at each scale, and a pass down through the transposed encoder with the gates of the way up.
`Update` has the same wiring with trained filters:

    scale        up                          product                down
    conv1_1      ReLU(A1 * x)       = f1     f1 Q1 + signal of 2    gate, convolve to 3 channels
    convl_1      ReLU(Al * pool(f)) = fl     fl Ql + signal of l+1  gate, convolve, upsample
    Q_l = G_l^T S_l H_l,   S_l the Gram matrix of the style,   gate_l = 1 where f_l > 0

Since no map on the way down has a bias, the update is linear in the weights of the scales.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from impasto.networks.shape import IMAGENET_MEAN, IMAGENET_STD
from impasto.networks.style_network import noise
from impasto.perception.encoder import VGG19_CHANNELS

SCALES = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
"""Layers of the style's five Gram matrices."""

Filters = Sequence[Tensor]
"""One (B or 1, K, k_l, k_l) per scale: the products f_l Q_l, for each of K regions."""


class Update(nn.Module):
    """One trained update g(X, style): (B, 3, H, W) and the filters of a style -> (B, 3, H, W).

    width: L, the channels of the first scale; the following have 2, 4, 8 and 8 times as many. channels: those of the encoder that
    the Gram matrices come from. shared: one way down for all scales, as in backpropagation; otherwise one for each
    scale. gated: the way down copies the gates of the way up; otherwise it is an ordinary decoder with ReLUs (the ablation of
    section 4.2). feedback: also take what the true gradient has and the published update leaves out: the encoder's features of the picture,
    on the way up, and their Gram matrices: the filters are then made of the difference S_l - F_l^T F_l / n_l.
    """

    def __init__(
        self,
        width: int = 32,
        channels: Sequence[int] = VGG19_CHANNELS,
        *,
        shared: bool = True,
        gated: bool = True,
        feedback: bool = False,
    ):
        super().__init__()
        self.widths = tuple(width * factor for factor in (1, 2, 4, 8, 8))
        self.shared, self.gated, self.feedback = shared, gated, feedback
        below = (3, *self.widths[:-1])
        self.up = nn.ModuleList(
            nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode="reflect") for inputs, outputs in zip(below, self.widths, strict=True)
        )
        chains = [range(5)] if shared else [range(top + 1) for top in range(5)]
        self.down = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(self.widths[level], below[level], 3, padding=1, padding_mode="reflect", bias=False) for level in chain)
            for chain in chains
        )
        self.left, self.right = (
            nn.ParameterList(nn.Parameter(torch.empty(c, k)) for c, k in zip(channels, self.widths, strict=True)) for _ in range(2)
        )
        if feedback:
            self.seen = nn.ModuleList(nn.Conv2d(c, k, 1, bias=False) for c, k in zip(channels, self.widths, strict=True))
        self.reset()

    def reset(self) -> None:
        """Random filters; the last on the way down far below Xavier's deviation, so that the first updates are small."""
        for name, value in self.named_parameters():
            if name.startswith("down."):
                nn.init.xavier_normal_(value, gain=0.03 if value.shape[0] == 3 else 1.0)
            elif name.startswith("seen."):
                nn.init.normal_(value, std=0.2 * value.shape[1] ** -0.5)
            elif name.endswith("bias"):
                nn.init.zeros_(value)
            elif name.startswith("up."):
                nn.init.kaiming_normal_(value, nonlinearity="relu")
            else:
                nn.init.normal_(value, std=value.shape[0] ** -0.5)

    def filters(self, grams: Sequence[Tensor]) -> list[Tensor]:
        """Q_l = G_l^T S_l H_l for Gram matrices (B, K, c_l, c_l); with feedback, for their difference from those of the picture."""
        return [g.t() @ gram.to(g.dtype) @ h for g, gram, h in zip(self.left, grams, self.right, strict=True)]

    def forward(
        self, x: Tensor, filters: Filters, masks: Sequence[Tensor] | None = None, encoded: Sequence[Tensor] | None = None
    ) -> Tensor:
        """The update. masks: for each scale (B or 1, K, h_l, w_l), how much each region weighs at each place; None for one region.

        encoded: with feedback, the encoder's features of the picture at the five scales.
        """
        features = []
        for level, layer in enumerate(self.up):
            x = layer(x if level == 0 else F.avg_pool2d(x, 2))
            if encoded is not None:
                x = x + self.seen[level](encoded[level].to(x.dtype))
            x = torch.relu(x)
            features.append(x)
        products = [
            _product(f, q, None if masks is None else masks[level]) for level, (f, q) in enumerate(zip(features, filters, strict=True))
        ]
        if self.shared:
            return self._descend(self.down[0], features, products)
        signals = []
        for top, chain in enumerate(self.down):
            only = [torch.zeros_like(product) if level < top else product for level, product in enumerate(products[: top + 1])]
            signals.append(self._descend(chain, features, only))
        return torch.stack(signals).sum(0)

    def _descend(self, chain: nn.Module, features: list[Tensor], products: list[Tensor]) -> Tensor:
        """The way down from the coarsest of the given products to the picture."""
        signal: Tensor | None = None
        for level in range(len(products) - 1, -1, -1):
            feature = features[level]
            if signal is not None:
                signal = F.interpolate(signal, size=feature.shape[-2:], mode="nearest")
            signal = products[level] if signal is None else signal + products[level]
            signal = chain[level](signal * (feature > 0) if self.gated else signal)  # type: ignore[index]
            if not self.gated and level > 0:
                signal = torch.relu(signal)
        assert signal is not None
        return signal


def _product(features: Tensor, filters: Tensor, masks: Tensor | None) -> Tensor:
    """f Q at every place: (B, k, h, w) and (B or 1, K, k, k) -> (B, k, h, w), regions weighed by masks (B or 1, K, h, w)."""
    batch, width, height, across = features.shape
    flat = features.permute(0, 2, 3, 1).reshape(batch, height * across, width)
    filters = filters.to(features.dtype)
    if masks is None:
        result = flat @ filters[:, 0]
    else:
        regions = filters.shape[1]
        side_by_side = filters.transpose(1, 2).reshape(len(filters), width, regions * width)
        each = (flat @ side_by_side).view(batch, height * across, regions, width)
        weights = masks.to(features.dtype).flatten(2).transpose(1, 2)
        result = (each * weights[..., None]).sum(2)
    return result.view(batch, height, across, width).permute(0, 3, 1, 2)


class SolverNetwork(nn.Module):
    """The N updates of a solver, with what they need to know of the style's encoder.

    steps: N. encoder: name of the encoder of the Gram matrices, and channels its widths. feedback: see `Update`. clipped: each
    iterate is clipped to [0, 1], which keeps the chain stable, with the gradient of no clipping; not so as published. metric: for each
    scale a symmetric (c_l, c_l), the Gram matrices enter as metric S metric; the identity as published. grain: deviation of the noise
    that the updates see on the picture. passes: iterations that it was trained for; if they are more than N, the last update is repeated.
    normaliser: "alpha" scales the style by the energy of its Gram matrices (section 3.3), "none" does not.
    """

    def __init__(
        self,
        steps: int = 4,
        width: int = 32,
        channels: Sequence[int] = VGG19_CHANNELS,
        *,
        shared: bool = True,
        gated: bool = True,
        feedback: bool = False,
        clipped: bool = False,
        normaliser: str = "alpha",
        grain: float = 0.0,
        passes: int | None = None,
        encoder: str = "vgg19",
    ):
        super().__init__()
        if normaliser not in ("alpha", "none"):
            raise ValueError(f"normaliser is 'alpha' or 'none', not {normaliser!r}")
        self.steps, self.width, self.channels, self.passes = steps, width, tuple(channels), steps if passes is None else passes
        self.shared, self.gated, self.feedback, self.clipped = shared, gated, feedback, clipped
        self.normaliser, self.grain, self.encoder = normaliser, grain, encoder
        self.updates = nn.ModuleList(Update(width, channels, shared=shared, gated=gated, feedback=feedback) for _ in range(steps))
        for level, count in enumerate(channels):
            self.register_buffer(f"metric{level}", torch.eye(count))
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def of_step(self, step: int) -> Update:
        """g_t for t = step; the last for all that follow."""
        update = self.updates[min(step, self.steps - 1)]
        assert isinstance(update, Update)
        return update

    def settings(self) -> dict[str, object]:
        """What has to be known to build the same network again."""
        names = ("steps", "passes", "width", "shared", "gated", "feedback", "clipped", "normaliser", "grain", "encoder")
        return {name: getattr(self, name) for name in names} | {"channels": list(self.channels)}

    @torch.no_grad()
    def set_metric(self, grams: Sequence[Tensor], *, shrink: float = 0.02) -> None:
        """The metric that makes the mean of these Gram matrices, (S, c_l, c_l) per scale, a multiple of the identity of norm 1, nearly.

        Most of a Gram matrix's energy lies in the mean activation; the texture is in small eigenvalues. In this metric
        all directions count alike. shrink: share of the mean eigenvalue that is added to all.
        """
        for level, gram in enumerate(grams):
            mean = gram.double().mean(0)
            values, vectors = torch.linalg.eigh(mean)
            values = values.clamp_min(0) + shrink * values.mean()
            self.get_buffer(f"metric{level}").copy_((vectors * values.rsqrt()) @ vectors.T / len(values) ** 0.25)

    def measured(self, grams: Sequence[Tensor]) -> list[Tensor]:
        """Gram matrices (B, K, c, c) in the metric of each scale."""
        return [(m := self.get_buffer(f"metric{level}").to(gram.dtype)) @ gram @ m for level, gram in enumerate(grams)]

    def grained(self, image: Tensor, generator: torch.Generator, *, amount: float | None = None) -> Tensor:
        """The grain for a picture (B, 3, H, W): (B, 1, H, W), noise of several scales, added to what the updates see."""
        return (self.grain if amount is None else amount) * noise((len(image), 1, *image.shape[-2:]), generator).to(image)

    def update(
        self,
        step: int,
        x: Tensor,
        filters: Filters,
        *,
        grain: Tensor | None = None,
        masks: Sequence[Tensor] | None = None,
        encoded: Sequence[Tensor] | None = None,
        weights: Mapping[str, Tensor] | None = None,
    ) -> Tensor:
        """g_t(X, style) for t = step: (B, 3, H, W), RGB in [0, 1] -> the change to subtract, in the precision of x.

        weights: used instead of the update's own, by name, as for training in half precision.
        """
        update = self.of_step(step)
        dtype = (next(update.up.parameters()) if weights is None else weights["up.0.weight"]).dtype
        seen = ((x if grain is None else x + grain) - self.mean.to(x)) / self.std.to(x)
        inputs = (seen.to(dtype).contiguous(memory_format=torch.channels_last), filters, masks, encoded)
        change: Tensor = update(*inputs) if weights is None else functional_call(update, dict(weights), inputs)
        return change.to(x.dtype)


def unroll(
    network: SolverNetwork,
    content: Tensor,
    steer: Callable[[int, Tensor], tuple[Filters, Sequence[Tensor] | None]],
    *,
    grain: Tensor | None = None,
    masks: Sequence[Tensor] | None = None,
    proximal: Callable[[int, Tensor], Tensor] | None = None,
    weights: Sequence[Mapping[str, Tensor]] | None = None,
    passes: int | None = None,
) -> Iterator[Tensor]:
    """The iterates X(1) .. X(N), (B, 3, H, W) each, the last not clipped; section 3.1.

        X(0) = content,   X(t+1) = P_R[ X(t) - g_t(X(t), style) ]

    steer: gives the filters Q_l for t and X(t), and, with feedback, the encoder's features of X(t). proximal: P_R for t and Y, if there is
    a regulariser. weights: see `SolverNetwork.update`. passes: iterations, those of the network by default.
    """
    x = content
    for step in range(network.passes if passes is None else passes):
        cast = None if weights is None else weights[min(step, network.steps - 1)]
        filters, encoded = steer(step, x)
        x = x - network.update(step, x, filters, grain=grain, masks=masks, encoded=encoded, weights=cast)
        if proximal is not None:
            x = proximal(step, x)
        yield x
        if network.clipped:
            x = x + (x.clamp(0, 1) - x).detach()


def alpha(grams: Sequence[Tensor]) -> Tensor:
    """Section 3.3: sum over the scales of |S_l|^2 / c_l^2, for Gram matrices (B, K, c, c) divided by positions -> (B, K)."""
    return torch.stack([gram.square().mean((-2, -1)) for gram in grams]).sum(0)
