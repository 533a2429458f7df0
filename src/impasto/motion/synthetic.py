"""Moving scenes made of still pictures, whose optical flow and occlusion are known exactly.

A picture as ground and pieces of others in front of it, each on a course of its own (a line, a turn, a zoom), seen by a camera that pans,
turns, zooms and shakes, under a light that changes. What a film network has to keep stable is in them, and nothing is estimated.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Course:
    """How much moves, per frame: speed in pixels, turn in radians, zoom in shares of the size, shake in pixels, light in shares."""

    speed: float = 3.0
    turn: float = 0.01
    zoom: float = 0.008
    shake: float = 0.7
    light: float = 0.02


@dataclass(frozen=True)
class Scene:
    """A film whose motion is known.

    frames: (T, 3, H, W), RGB in [0, 1]. shown: (T, H, W), number of the layer that is seen at each place, 0 for the ground. maps:
    (T, L, 3, 3), float64, from places (x, y, 1) of layer l to places of frame t.
    """

    frames: Tensor
    shown: Tensor
    maps: Tensor

    def flow(self, start: int, end: int) -> Tensor:
        """The exact flow (2, H, W) from one frame to another: (dx, dy) in pixels, starting on the first."""
        surface = self.shown[start]
        between = self.maps[end] @ torch.linalg.inv(self.maps[start])
        places = _places(*surface.shape)
        moved = torch.einsum("hwij,jhw->ihw", between[surface], places)
        flow: Tensor = (moved - places)[:2].float()
        return flow

    def traced(self, start: int, end: int) -> Tensor:
        """(1, H, W), 1 where the place is seen in the other frame too: inside it, and nothing in front."""
        surface, height, width = self.shown[start], *self.shown.shape[1:]
        x, y = (_places(height, width)[:2] + self.flow(start, end)).unbind(0)
        inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        seen = inside
        for column in (x.floor(), x.ceil()):  # all four places that are read there have to be of the same layer
            for row in (y.floor(), y.ceil()):
                surface_hit = self.shown[end][row.long().clamp(0, height - 1), column.long().clamp(0, width - 1)]
                seen = seen & (surface_hit == surface)
        return seen[None].float()


def moving_scene(
    pictures: Sequence[Tensor], size: tuple[int, int], length: int, generator: torch.Generator, *, course: Course | None = None
) -> Scene:
    """A film of `length` frames of this size: the first picture as the ground, a piece of each of the others before it.

    pictures: (3, h, w), RGB in [0, 1], each with sides of at least 8 pixels. All randomness comes from the generator.
    """
    course = course or Course()
    height, width = size
    camera = _camera(size, length, generator, course)
    layers = [_ground(pictures[0], size, length)]
    layers += [_piece(picture, size, length, generator, course) for picture in pictures[1:]]
    maps = torch.stack([torch.stack([camera[t] @ layer.maps[t] for layer in layers]) for t in range(length)])
    light = 1 + course.light * torch.randn(length, generator=generator).cumsum(0).clamp(-10, 10)
    frames, shown = [], []
    for t in range(length):
        frame, seen = torch.zeros(3, height, width), torch.zeros(height, width, dtype=torch.long)
        for number, layer in enumerate(layers):
            color, cover = _sampled(layer, torch.linalg.inv(maps[t, number]), size)
            frame = frame.lerp(color, cover) if number else color
            seen = torch.where(cover[0] > 0.5, number, seen) if number else seen
        frames.append((frame * light[t].clamp(0.5, 1.5)).clamp(0, 1))
        shown.append(seen)
    return Scene(torch.stack(frames), torch.stack(shown), maps)


@dataclass(frozen=True)
class _Layer:
    """A picture (3, h, w), how much of it is there (1, h, w), and its maps to an unmoved camera's frames, (T, 3, 3)."""

    picture: Tensor
    cover: Tensor
    maps: Tensor


def _similarity(scale: float, angle: float, origin: tuple[float, float], target: tuple[float, float]) -> Tensor:
    """Scales and turns about `origin` and brings it to `target`: (3, 3) on (x, y, 1)."""
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    x, y = origin
    return torch.tensor([[c, -s, target[0] - c * x + s * y], [s, c, target[1] - s * x - c * y], [0, 0, 1]], dtype=torch.float64)


def _uniform(generator: torch.Generator, limit: float) -> float:
    return limit * (2 * float(torch.rand((), generator=generator)) - 1)


def _ground(picture: Tensor, size: tuple[int, int], length: int) -> _Layer:
    """Fills the frame, and where a camera looks past it, continues mirrored."""
    height, width = picture.shape[-2:]
    scale = max(size[0] / height, size[1] / width) * 1.1
    still = _similarity(scale, 0.0, ((width - 1) / 2, (height - 1) / 2), ((size[1] - 1) / 2, (size[0] - 1) / 2))
    return _Layer(picture, torch.ones(1, height, width), still.expand(length, 3, 3))


def _piece(picture: Tensor, size: tuple[int, int], length: int, generator: torch.Generator, course: Course) -> _Layer:
    """An ellipse of a picture, a quarter to a half as high as the frame, on a line, turning and growing evenly."""
    height, width = picture.shape[-2:]
    y = torch.linspace(-1, 1, height)[:, None]
    x = torch.linspace(-1, 1, width)[None]
    # An edge of about one pixel, so that the outline is not a staircase.
    cover = ((0.95 - (x.square() + y.square()).sqrt()) * min(height, width) / 2 + 0.5).clamp(0, 1)[None]
    scale = size[0] * (0.375 + _uniform(generator, 0.125)) / height
    start = (size[1] * (0.5 + _uniform(generator, 0.4)), size[0] * (0.5 + _uniform(generator, 0.4)))
    speed = (_uniform(generator, course.speed), _uniform(generator, course.speed))
    turn, zoom = _uniform(generator, course.turn), _uniform(generator, course.zoom)
    maps = [
        _similarity(
            scale * (1 + zoom) ** t, turn * t, ((width - 1) / 2, (height - 1) / 2), (start[0] + speed[0] * t, start[1] + speed[1] * t)
        )
        for t in range(length)
    ]
    return _Layer(picture, cover, torch.stack(maps))


def _camera(size: tuple[int, int], length: int, generator: torch.Generator, course: Course) -> list[Tensor]:
    """Its own pan, turn and zoom, even over the film, and a shake that is new in every frame."""
    centre = ((size[1] - 1) / 2, (size[0] - 1) / 2)
    pan = (_uniform(generator, course.speed), _uniform(generator, course.speed))
    turn, zoom = _uniform(generator, course.turn / 2), _uniform(generator, course.zoom)
    maps = []
    for t in range(length):
        shake = (course.shake * torch.randn(2, generator=generator)).tolist()
        target = (centre[0] + pan[0] * t + shake[0], centre[1] + pan[1] * t + shake[1])
        maps.append(_similarity((1 + zoom) ** t, turn * t, centre, target))
    return maps


def _places(height: int, width: int) -> Tensor:
    """(3, H, W): x, y and 1 of every pixel."""
    rows, columns = torch.meshgrid(torch.arange(height, dtype=torch.float64), torch.arange(width, dtype=torch.float64), indexing="ij")
    return torch.stack([columns, rows, torch.ones_like(rows)])


def _sampled(layer: _Layer, back: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """The layer on the grid of a frame: its colours (3, H, W) and how much of it is there, (1, H, W)."""
    places = torch.einsum("ij,jhw->ihw", back, _places(*size))
    height, width = layer.picture.shape[-2:]
    grid = torch.stack([2 * places[0] / (width - 1) - 1, 2 * places[1] / (height - 1) - 1], -1)[None].float()
    color = F.grid_sample(layer.picture[None].float(), grid, mode="bilinear", padding_mode="reflection", align_corners=True)[0]
    if bool((layer.cover == 1).all()):
        return color, torch.ones(1, *size)
    return color, F.grid_sample(layer.cover[None], grid, mode="bilinear", padding_mode="zeros", align_corners=True)[0]
