"""How well style went from region to region: the loss between matching regions, the leak from others, and agreement of masks."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.perception.encoder import Encoder
from impasto.perception.loss import style_distance
from impasto.perception.statistics import gram

LAYERS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
LEAST_POSITIONS = 10


@dataclass(frozen=True)
class RegionFigures:
    """matching: mean relative Gram distance between each region and its own region of the style; lower is better.

    others: the mean distance between each region and the style's other regions. leak: the share of regions and layers
    in which some other region of the style is nearer than the region's own; 0 is perfect. regions: how many were compared.
    """

    matching: float
    others: float
    leak: float
    regions: int


class RegionJudge:
    """Judges pictures (1, 3, H, W) of one photo against one painting (1, 3, h, w), with masks (1, K, H, W) and (1, K, h, w) in {0, 1}.

    The distance of two regions is |G - G_s|^2 / |G_s|^2, G the Gram matrix of the region; the mean over `LAYERS` is taken. Regions that
    have no more than 10 positions at relu4_1 on either side are left out.
    """

    def __init__(self, encoder: Encoder, style: Tensor, content_masks: Tensor, style_masks: Tensor):
        with torch.no_grad():
            found = encoder(style, LAYERS)
        counts = [F.avg_pool2d(masks, 8).sum((0, 2, 3)) for masks in (content_masks, style_masks)]
        kept = torch.minimum(*counts) > LEAST_POSITIONS
        self.encoder, self.masks = encoder, content_masks[:, kept]
        self.wanted = {layer: gram(value, _at(style_masks[:, kept], value))[0] for layer, value in found.items()}

    @torch.no_grad()
    def __call__(self, picture: Tensor) -> RegionFigures:
        """The figures of one picture."""
        found = self.encoder(picture, LAYERS)
        tables = [_table(gram(value, _at(self.masks, value))[0], self.wanted[layer]) for layer, value in found.items()]
        count = len(tables[0])
        diagonal = torch.eye(count, dtype=torch.bool)
        every = torch.stack(tables)
        matching, others = float(every[:, diagonal].mean()), float(every[:, ~diagonal].mean()) if count > 1 else float("nan")
        nearest = every.argmin(2)
        leak = float((nearest != torch.arange(count)).float().mean())
        return RegionFigures(matching, others, leak, count)


def _table(found: Tensor, wanted: Tensor) -> Tensor:
    """Distances (K, K) of every region of a picture to every region of the style."""
    return style_distance(found[:, None], wanted[None], reduction="relative").cpu()


def _at(masks: Tensor, features: Tensor) -> Tensor:
    return F.adaptive_avg_pool2d(masks.to(features.device).float(), (features.shape[-2], features.shape[-1]))


def adjusted_rand_index(first: Tensor, second: Tensor) -> float:
    """Agreement of two labelings of the same places, in any order of labels: 1 for the same, 0 on average for chance.

    first, second: integers of the same shape. Hubert and Arabie 1985, Eq. 5.
    """
    _, left = torch.unique(first, return_inverse=True)
    _, other = torch.unique(second, return_inverse=True)
    columns = int(other.max()) + 1
    table = torch.bincount((left * columns + other).flatten(), minlength=(int(left.max()) + 1) * columns).double().view(-1, columns)

    def pairs(counts: Tensor) -> Tensor:
        return (counts * (counts - 1) / 2).sum()

    both, rows, across = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    expected = rows * across / pairs(table.sum())
    highest = (rows + across) / 2
    return float((both - expected) / (highest - expected)) if highest != expected else 1.0
