"""A table of colours that does to a photo what was done to it, as well as colours alone can.

The table T has a colour at each of N x N x N places, and others are interpolated trilinearly. It minimises

    mean |T(s) - t|^2  +  SMOOTH * mean |second differences of T|^2  +  STILL * mean |first differences of T - identity|^2
                       +  RISING * mean (differences of the luma of T that fall)^2

over the colours s of the photo and t of the result, by conjugate gradients; what still falls after it is brought up and
down, so that luma never falls where red, green or blue rises.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from impasto.media.color import luma

SMOOTH, STILL, RISING = 1e-3, 1e-4, 1000.0
"""Weights; colours that the photo does not have are continued straight by the first, and left as they are by the second."""
_STEPS, _ROUNDS = 60, 12
_LUMA = torch.tensor([0.299, 0.587, 0.114])


def identity(size: int) -> Tensor:
    """The table (N, N, N, 3) of blue, green, red that changes nothing."""
    line = torch.linspace(0, 1, size)
    blue, green, red = torch.meshgrid(line, line, line, indexing="ij")
    return torch.stack([red, green, blue], -1)


def fitted(photo: Tensor, painted: Tensor, size: int = 33) -> Tensor:
    """The table (N, N, N, 3) for a photo and its result, (3, H, W) or (3, N) in [0, 1] each."""
    source, target = (pixels.reshape(3, -1).T.double().clamp(0, 1) for pixels in (photo, painted))
    places, shares = _interpolation(source, size)
    couplings, count = _couplings(places, shares, size), len(source)
    plain = identity(size).double()
    wanted = torch.zeros(size**3, 3, dtype=torch.float64)
    for corner in range(8):
        wanted.index_add_(0, places[corner], shares[corner][:, None] * (target - source) / count)
    change = torch.zeros(size**3, 3, dtype=torch.float64)
    for _ in range(_ROUNDS):
        falls = [_light(plain + change.view(plain.shape)).diff(dim=axis) < 0 for axis in range(3)]

        def gradient(change: Tensor, falls: list[Tensor] = falls) -> Tensor:
            """Of all terms without what is constant, halved."""
            cube = change.view(plain.shape)
            rough = SMOOTH * _roughness(cube, 2) + STILL * _roughness(cube, 1) + RISING * _falling(cube, falls)
            return (_coupled(cube, couplings) / count + rough).reshape(-1, 3)

        change = _solved(gradient, wanted - RISING * _falling(plain, falls).reshape(-1, 3), change)
    return rising((plain + change.view(plain.shape)).float())


def _solved(gradient: Callable[[Tensor], Tensor], wanted: Tensor, start: Tensor) -> Tensor:
    """Conjugate gradients from a start."""
    found, left = start, wanted - gradient(start)
    step, energy = left, left.square().sum()
    for _ in range(_STEPS):
        curvature = gradient(step)
        length = energy / (step * curvature).sum().clamp_min(1e-30)
        found, left = found + length * step, left - length * curvature
        before, energy = energy, left.square().sum()
        if energy < 1e-12 * wanted.square().sum():
            break
        step = left + energy / before * step
    return found


def _falling(cube: Tensor, falls: Sequence[Tensor]) -> Tensor:
    """Half the gradient of the mean square of the differences of luma that fall."""
    light, total = _light(cube), torch.zeros_like(cube[..., 0])
    for axis, where in enumerate(falls):
        total += _adjoint(light.diff(dim=axis) * where, axis)
    return total[..., None] * _LUMA.to(cube) / total.numel()


def _interpolation(colors: Tensor, size: int) -> tuple[list[Tensor], list[Tensor]]:
    """The eight places around each colour, and its share of them."""
    at = colors * (size - 1)
    low = at.floor().clamp(0, size - 2)
    part = at - low
    places, shares = [], []
    for corner in range(8):
        offset = torch.tensor([corner & 1, corner >> 1 & 1, corner >> 2])
        red, green, blue = (low.long() + offset).unbind(1)
        places.append((blue * size + green) * size + red)
        shares.append(torch.where(offset.bool(), part, 1 - part).prod(1))
    return places, shares


def _couplings(places: list[Tensor], shares: list[Tensor], size: int) -> dict[tuple[int, int, int], Tensor]:
    """How much each place (N, N, N) shares colours with its neighbour at an offset: the normal equations of interpolation."""
    found: dict[tuple[int, int, int], Tensor] = {}
    for one in range(8):
        for other in range(8):
            offset = ((other >> 2) - (one >> 2), (other >> 1 & 1) - (one >> 1 & 1), (other & 1) - (one & 1))
            there = found.setdefault(offset, torch.zeros(size**3, dtype=torch.float64))
            there.index_add_(0, places[one], shares[one] * shares[other])
    return {offset: value.view(size, size, size, 1) for offset, value in found.items()}


def _coupled(cube: Tensor, couplings: Mapping[tuple[int, int, int], Tensor]) -> Tensor:
    """The normal equations applied; what comes in from the other end is coupled by nothing."""
    total = torch.zeros_like(cube)
    for offset, value in couplings.items():
        total += value * cube.roll([-step for step in offset], (0, 1, 2))
    return total


def _roughness(cube: Tensor, order: int) -> Tensor:
    """Half the gradient of the mean square of differences along the axes."""
    total = torch.zeros_like(cube)
    for axis in range(3):
        difference = cube.diff(n=order, dim=axis)
        for _ in range(order):
            difference = _adjoint(difference, axis)
        total += difference
    scale: float = cube.shape[0] ** (2 * order - 2) / cube[..., 0].numel()
    return total * scale


def _adjoint(differences: Tensor, axis: int) -> Tensor:
    """The transpose of taking differences along an axis."""
    ends = list(differences.shape)
    ends[axis] = 1
    edge = differences.new_zeros(ends)
    return torch.cat([edge, differences], axis) - torch.cat([differences, edge], axis)


def rising(table: Tensor) -> Tensor:
    """The table in [0, 1] with luma that never falls where a channel rises: each colour is moved by as much grey as that takes."""
    table = table.clamp(0, 1)
    for _ in range(_ROUNDS):
        light = _light(table)
        upper = _highest(light)
        lower = -_highest(-light.flip(0, 1, 2)).flip(0, 1, 2)
        if torch.equal(upper, lower):
            break
        table = (table + ((upper + lower) / 2 - light)[..., None]).clamp(0, 1)
    return table


def _light(table: Tensor) -> Tensor:
    return luma(table.permute(3, 0, 1, 2).flatten(2)).view(table.shape[:3])


def _highest(values: Tensor) -> Tensor:
    """The highest value of all places that are not above any channel."""
    for axis in range(3):
        values = values.cummax(axis).values
    return values
