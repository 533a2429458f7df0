"""Pictures made from nothing, or nearly: contents for adapting a network where there is no folder of photographs.

    leaves  disks of all sizes that cover one another (dead leaves: Lee, Mumford and Huang 2001), each with a texture and shading
    clouds  random fields with the spectrum of photographs, 1 / frequency
    scenes  skies with clouds, ridges one behind the other, balls and boxes in the light: smooth areas and long contours
    gradients  any colours that run into one another, parted by a contour or two: what is hardest to decode
    paintings  crops of the example paintings that come with the package

They have what a painting network has to learn from contents: edges at every scale, flat areas, gradients, texture, and
the colours of photographs. All of it is drawn from a generator, so a seed repeats it.
"""

import math
from collections.abc import Callable
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.media.images import read_picture, rescale
from impasto.storage.registry import bundled, locate
from impasto.training.data import Pictures
from impasto.training.settings import USUAL_KINDS, Kind

_TO_RGB = torch.tensor([[1.0, 0.5, 0.5], [1.0, 0.0, -1.0], [1.0, -0.5, 0.5]])
"""From luma, blue-yellow and red-green to red, green, blue."""
_SPREAD = torch.tensor([1.0, 0.22, 0.10])
"""Typical deviation of the three in photographs, relative to luma."""


def _uniform(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _color(generator: torch.Generator) -> Tensor:
    """A colour (3, 1, 1) with the luma and the chroma of photographs."""
    luma = _uniform(generator, 0.03, 0.97)
    chroma = torch.randn(2, generator=generator) * _SPREAD[1:] * 0.9
    return (_TO_RGB @ torch.cat([torch.tensor([luma]), chroma])).clamp(0, 1)[:, None, None]


def fractal(size: int, generator: torch.Generator, *, slope: float = 1.0, channels: int = 1) -> Tensor:
    """(channels, size, size) of random fields with amplitude spectrum 1 / frequency^slope, mean 0, deviation 1."""
    frequency = (torch.fft.fftfreq(size)[:, None].square() + torch.fft.rfftfreq(size)[None].square()).sqrt()
    frequency[0, 0] = math.inf
    noise = torch.fft.rfft2(torch.randn(channels, size, size, generator=generator))
    field = torch.fft.irfft2(noise / frequency**slope, s=(size, size))
    normalised: Tensor = field / field.std((1, 2), keepdim=True).clamp_min(1e-6)
    return normalised


def clouds(size: int, generator: torch.Generator) -> Tensor:
    """(3, size, size): a fractal field in the colours of photographs around a random one."""
    field = fractal(size, generator, slope=_uniform(generator, 0.9, 1.6), channels=3)
    contrast = _uniform(generator, 0.08, 0.28)
    mixed = torch.einsum("ij,jhw->ihw", _TO_RGB * _SPREAD, field)
    return (_color(generator) + contrast * mixed).clamp(0, 1)


def _grid(size: int) -> tuple[Tensor, Tensor]:
    line = (torch.arange(size) + 0.5) / size
    return line[:, None].expand(size, size), line[None].expand(size, size)


_EVERYWHERE = (slice(None), slice(None))


def _shaded(size: int, generator: torch.Generator, textures: Tensor, window: tuple[slice, slice] = _EVERYWHERE) -> Tensor:
    """A surface (3, size, size) or a window of it: one colour with a gradient of light and one of some textures (N, size, size)."""
    y, x = (axis[window] for axis in _grid(size))
    angle, slope = _uniform(generator, 0, 2 * math.pi), _uniform(generator, 0, 0.5)
    light = 1 + slope * ((x - 0.5) * math.cos(angle) + (y - 0.5) * math.sin(angle))
    grain = textures[int(torch.randint(len(textures), (), generator=generator))][window]
    rough = max(0.0, _uniform(generator, -0.08, 0.2))
    return (_color(generator) * light * (1 + rough * grain)).clamp(0, 1)


def _cover(picture: Tensor, surface: Tensor, distance: Tensor) -> Tensor:
    """Put a surface over a picture where distance is negative; distance in pixels, edges one pixel soft."""
    return torch.lerp(picture, surface, (0.5 - distance).clamp(0, 1))


def leaves(size: int, generator: torch.Generator, *, count: int = 60) -> Tensor:
    """(3, size, size): ellipses and boxes whose sizes follow 1 / r^3, each hiding what lies under it."""
    y, x = _grid(size)
    textures = torch.stack([fractal(size, generator, slope=slope)[0] for slope in (0.4, 0.8, 1.2)])
    picture = _shaded(size, generator, textures)
    for _ in range(count):
        radius = min(0.45, 0.03 / math.sqrt(_uniform(generator, 0.004, 1.0)))
        stretch, angle = _uniform(generator, 0.5, 1.0), _uniform(generator, 0, math.pi)
        center = _uniform(generator, 0, 1), _uniform(generator, 0, 1)
        window = _around(center[1], 1.5 * radius, size), _around(center[0], 1.5 * radius, size)
        dx, dy = x[window] - center[0], y[window] - center[1]
        along = (dx * math.cos(angle) + dy * math.sin(angle)) / radius
        across = (dy * math.cos(angle) - dx * math.sin(angle)) / (radius * stretch)
        box = _uniform(generator, 0, 1) < 0.3
        reach = torch.maximum(along.abs(), across.abs()) if box else (along.square() + across.square()).sqrt()
        surface = _shaded(size, generator, textures, window)
        picture[:, *window] = _cover(picture[:, *window], surface, (reach - 1) * radius * stretch * size)
    return picture


def _around(center: float, radius: float, size: int) -> slice:
    """The pixels of an edge that a shape can reach, with the soft rim; center and radius in shares of the edge."""
    return slice(max(0, math.floor((center - radius) * size) - 2), math.ceil((center + radius) * size) + 2)


def scenes(size: int, generator: torch.Generator) -> Tensor:
    """(3, size, size): a sky, ridges from far to near, and a few lit balls and boxes."""
    y, x = _grid(size)
    textures = torch.stack([fractal(size, generator, slope=slope)[0] for slope in (0.4, 0.9, 1.3)])
    picture = torch.lerp(_color(generator), _color(generator), (y * _uniform(generator, 0.8, 1.6)).clamp(0, 1))
    cover = (fractal(size, generator, slope=1.6)[0] * _uniform(generator, 0.0, 0.4) - _uniform(generator, 0.0, 0.4)).clamp(0, 0.9)
    picture = torch.lerp(picture, torch.full_like(picture, _uniform(generator, 0.7, 1.0)), cover)
    horizon, ridges = _uniform(generator, 0.2, 0.7), int(_uniform(generator, 1, 5))
    haze = _color(generator)
    for ridge in range(ridges):
        outline = fractal(size, generator, slope=_uniform(generator, 1.0, 1.8))[0, 0]
        level = horizon + (1 - horizon) * ridge / ridges + outline * _uniform(generator, 0.005, 0.06)
        surface = torch.lerp(_shaded(size, generator, textures), haze, 0.5 * (1 - (ridge + 1) / ridges))
        picture = _cover(picture, surface, (level[None] - y) * size)
    light = _uniform(generator, 0, 2 * math.pi)
    for _ in range(int(_uniform(generator, 0, 6))):
        radius = _uniform(generator, 0.03, 0.22)
        dx, dy = (x - _uniform(generator, 0, 1)) / radius, (y - _uniform(generator, 0.2, 1)) / radius
        surface = _shaded(size, generator, textures)
        if _uniform(generator, 0, 1) < 0.6:
            reach = (dx.square() + dy.square()).sqrt()
            lit = (dx * math.cos(light) + dy * math.sin(light)) * 0.6 + (1 - reach.square()).clamp_min(0).sqrt() * 0.6
            surface = surface * (0.25 + lit.clamp_min(0))
        else:
            dy = dy * _uniform(generator, 0.4, 2.0)
            reach = torch.maximum(dx.abs(), dy.abs())
            surface = surface * torch.where(dx < _uniform(generator, -0.8, 0.8), 1.0, _uniform(generator, 0.3, 0.8))
        picture = _cover(picture, surface.clamp(0, 1), (reach - 1) * radius * size)
    return picture.clamp(0, 1)


def gradients(size: int, generator: torch.Generator) -> Tensor:
    """(3, size, size): fields of any colour without texture, saturated ones too, up to three of them parted by smooth contours."""

    def colors() -> Tensor:
        field = fractal(size, generator, slope=_uniform(generator, 2.0, 3.5), channels=3)
        return (torch.rand(3, 1, 1, generator=generator) + _uniform(generator, 0.0, 0.2) * field).clamp(0, 1)

    picture = colors()
    for _ in range(int(_uniform(generator, 0, 3))):
        height = fractal(size, generator, slope=2.5)
        steepness = (height[:, 1:] - height[:, :-1]).abs().mean().clamp_min(1e-6)
        picture = _cover(picture, colors(), (height - _uniform(generator, -0.5, 1.0)) / steepness)
    return picture


@lru_cache(maxsize=1)
def _bundled_paintings() -> tuple[Tensor, ...]:
    return tuple(read_picture(locate(name, "painting")).pixels for name in bundled("painting"))


def paintings(size: int, generator: torch.Generator) -> Tensor:
    """(3, size, size): a crop of one of the example paintings that come with the package."""
    chosen = _bundled_paintings()
    picture = chosen[int(torch.randint(len(chosen), (), generator=generator))]
    side = round(min(picture.shape[-2:]) * _uniform(generator, 0.4, 1.0))
    top, left = (int(_uniform(generator, 0, edge - side + 1)) for edge in picture.shape[-2:])
    return rescale(picture[None, :, top : top + side, left : left + side], (size, size))[0]


KINDS: dict[Kind, Callable[[int, torch.Generator], Tensor]] = {
    "leaves": leaves,
    "clouds": clouds,
    "scenes": scenes,
    "gradients": gradients,
    "paintings": paintings,
}


def made_pictures(count: int, size: int, generator: torch.Generator, *, kinds: tuple[Kind, ...] = USUAL_KINDS) -> Pictures:
    """`count` made pictures of size x size pixels, the kinds in turn; slightly blurred, as by a lens."""
    pictures = []
    for index in range(count):
        picture = KINDS[kinds[index % len(kinds)]](size, generator)
        blur = _uniform(generator, 0.0, 0.9)
        kernel = torch.tensor([blur / 4, 1 - blur / 2, blur / 4])
        weight = (kernel[:, None] * kernel[None]).expand(3, 1, 3, 3)
        pictures.append(F.conv2d(F.pad(picture[None], (1, 1, 1, 1), mode="reflect"), weight, groups=3)[0])
    return Pictures(pictures)
