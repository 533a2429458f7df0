"""Colours of a small painted photograph, brought to the large one: its edges stay, its detail stays."""

import torch

from impasto.media.canvas import Box, Canvas
from impasto.media.images import rescale
from impasto.runtime.large import Plan, Work, paint_by_tiles
from impasto.runtime.local_colors import SIDE, ColorGrid, LocalColors
from tests.conftest import scene


def pixels(width, height):
    image = scene(width, height)
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(1, height, width, 3).permute(0, 3, 1, 2).float() / 255


def graded(image, *, masks=None):
    """Warmer from left to right, darker where it is light."""
    across = torch.linspace(0.6, 1.0, image.shape[-1])
    return (image * across * torch.tensor([1.0, 0.8, 0.6]).view(3, 1, 1) + 0.1 * (1 - image)).clamp(0, 1)


def test_maps_that_change_slowly_are_found():
    photo = pixels(200, 150)
    found = ColorGrid.fitted(photo, graded(photo))(photo, Box(0, 0, 150, 200), (150, 200))
    assert (found - graded(photo)).square().mean() < 1e-4


def test_large_photos_get_what_would_have_been_painted_with_their_own_detail():
    photo, seen = pixels(1300, 900), []

    def draft(image, *, masks=None):
        seen.append(tuple(image.shape[-2:]))
        return graded(image)

    found = LocalColors(draft)(photo)
    assert seen == [(354, 512)]
    assert (found - graded(photo)).square().mean() < 1e-3
    wanted = graded(photo)
    smooth = rescale(rescale(wanted, (90, 130)), (900, 1300))
    kept = (found - rescale(rescale(found, (90, 130)), (900, 1300))).square().mean() / (wanted - smooth).square().mean()
    assert 0.8 < kept < 1.2, "the photo's detail is there"


def test_small_photos_are_painted_as_they_are():
    photo = pixels(SIDE, 100)
    assert torch.equal(LocalColors(graded)(photo), graded(photo))


def test_one_colour_is_no_trouble():
    photo = torch.full((1, 3, 40, 600), 0.5)
    assert (LocalColors(lambda image, masks=None: image * 0.5)(photo) - 0.25).abs().max() < 0.01


def test_by_tiles_it_is_the_same(tmp_path):
    photo = pixels(700, 500)
    work = Work(tmp_path, "key")
    canvas = Canvas(tmp_path / "photo.raw", (500, 700))
    canvas.write(Box(0, 0, 500, 700), photo)
    work.note("read", 1)
    painted = paint_by_tiles(LocalColors(graded), canvas, work, Plan(1000, 128), device=torch.device("cpu"))
    whole = LocalColors(graded)(canvas.read(Box(0, 0, 500, 700)))
    assert (painted.read(Box(0, 0, 500, 700)) - whole).abs().max() < 1 / 255
