"""A style network over tiles of a picture that painted in one piece would not fit into memory, without seams.

What a pixel becomes depends on its surroundings as far as `reach`, so that tiles overlap by it, and on the means and deviations of the
instance norms, which are those of the whole picture. They are the same for all tiles: exact, by a pass over all tiles for each norm, which
computes only what comes before it; or frozen, from a single pass over a collage of pieces. A small copy of the picture is of no use: its
detail is another.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.media.canvas import Box, Size
from impasto.networks.shape import PATCHES, Shape
from impasto.networks.style_network import StyleNetwork

Read = Callable[[Box], Tensor]
"""A rectangle of what the network is given, (1, 3, h, w)."""
Moments = tuple[Tensor, Tensor]
"""Mean and variance of the channels of a layer, (C) each, float32."""
PIECES, PIECE = 8, 192
"""Pieces of a picture that frozen statistics are taken from, along each side, and their sides in pixels."""


def reach(shape: Shape) -> int:
    """How many pixels away a pixel can be and still matter, apart from the norms; a multiple of 4."""
    first = PATCHES[shape.patch] // 2 * shape.patch
    scales = [shape.patch << number for number in range(shape.strides + 1)]
    furthest: int = 2 * first + 3 * sum(scales[:-1]) + 2 * shape.blocks * scales[-1]
    return -(-furthest // 4) * 4


@dataclass
class Known:
    """Normalises by moments that are known, one after the other, and stops at the first layer whose moments are not.

    seen: what is to be normalised there.
    """

    moments: Sequence[Moments]
    place: int = 0

    def __call__(self, x: Tensor, rows: Tensor, eps: float) -> Tensor:
        """(1, C, H, W), scales and shifts (1, 2, C)."""
        if self.place == len(self.moments):
            raise _Reached(x)
        mean, variance = self.moments[self.place]
        self.place += 1
        return F.batch_norm(x, mean, variance, rows[0, 0].float(), rows[0, 1].float(), eps=eps)


@dataclass
class Joint:
    """Normalises pictures of a batch by their common moments, and keeps them."""

    moments: list[Moments]

    def __call__(self, x: Tensor, rows: Tensor, eps: float) -> Tensor:
        """(B, C, H, W), scales and shifts (B, 2, C)."""
        wide = x.float()
        self.moments.append((wide.mean((0, 2, 3)), wide.var((0, 2, 3), correction=0)))
        return F.batch_norm(x, None, None, rows[0, 0], rows[0, 1], training=True, eps=eps)


class _Reached(Exception):  # noqa: N818
    """The layer whose moments are wanted."""

    def __init__(self, features: Tensor):
        super().__init__()
        self.features = features


def frozen(network: StyleNetwork, read: Read, size: Size, pixels: float) -> list[Moments]:
    """Moments of all norms from a collage of pieces that lie evenly over the picture, in one pass.

    pixels: of the collage, at most.
    """
    side = max(16, min(PIECE, int(pixels**0.5 / PIECES), *size) // 4 * 4)
    counts = [min(PIECES, length // side) for length in size]
    for axis in (0, 1):  # of a strip more along it
        counts[axis] = min(PIECES**2 // counts[1 - axis], size[axis] // side)
    rows, columns = (_spread(length, side, count) for length, count in zip(size, counts, strict=True))
    collage = [torch.cat([read(Box(top, left, top + side, left + side)) for left in columns], -1) for top in rows]
    joint = Joint([])
    network(torch.cat(collage, -2), norms=joint)
    return joint.moments


def _spread(length: int, side: int, count: int) -> list[int]:
    """Where pieces of a line begin that lie evenly over it."""
    return [number * (length - side) // max(1, count - 1) // 4 * 4 for number in range(count)]


def exact(
    network: StyleNetwork, read: Read, size: Size, tiles: Sequence[Box], known: Sequence[Moments], done: Callable[[], None]
) -> Iterator[Moments]:
    """Moments of all norms of the whole picture after those that are known, a pass over its tiles for each.

    done: is told of each tile of a pass.
    """
    known = list(known)
    for _ in [*network.norms()][len(known) :]:
        count, total, squares = 0, torch.zeros(()), torch.zeros(())
        for tile in tiles:
            outer = tile.grown(reach(network.shape), size)
            found = _interior(_features(network, read(outer), known), outer, tile, size).double()
            count += found[0, 0].numel()
            total = total + found.sum((0, 2, 3))
            squares = squares + found.square().sum((0, 2, 3))
            done()
        mean = total / count
        known.append((mean.float(), (squares / count - mean.square()).clamp_min(0).float()))
        yield known[-1]


def painted(network: StyleNetwork, read: Read, size: Size, tile: Box, moments: Sequence[Moments]) -> Tensor:
    """One tile of the painted picture, (1, 3, h, w)."""
    outer = tile.grown(reach(network.shape), size)
    picture: Tensor = network(read(outer), norms=Known(moments))
    return tile.within(outer).of(picture)


def _features(network: StyleNetwork, seen: Tensor, known: Sequence[Moments]) -> Tensor:
    """What the first norm without moments is given."""
    try:
        network(seen, norms=Known(known))
    except _Reached as reached:
        return reached.features
    raise AssertionError("all norms have their moments")


def _interior(features: Tensor, outer: Box, tile: Box, size: Size) -> Tensor:
    """The part of features that belongs to a tile; at the right and at the bottom with what the network adds to get to a multiple of 4."""
    parts = []
    for length, begin, end, low, high, whole in (
        (features.shape[-2], outer.top, outer.bottom, tile.top, tile.bottom, size[0]),
        (features.shape[-1], outer.left, outer.right, tile.left, tile.right, size[1]),
    ):
        scale = -(-(end - begin) // 4) * 4 // length
        parts.append(slice((low - begin) // scale, length if high == whole else (high - begin) // scale))
    return features[..., parts[0], parts[1]]
