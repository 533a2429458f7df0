"""Pictures in files give, by rectangles, what pictures in memory give as a whole."""

import pytest
import torch

from impasto.media.canvas import Box, Canvas, brought_up, tiles
from impasto.media.images import rescale


def canvas(tmp_path, pixels, **settings):
    made = Canvas(tmp_path / "picture.raw", tuple(pixels.shape[-2:]), channels=pixels.shape[1], **settings)
    made.write(Box(0, 0, *made.size), pixels)
    return made


@pytest.mark.parametrize("size", [(1, 1), (64, 80), (101, 33), (17, 400)])
@pytest.mark.parametrize("side", [16, 40, 1000])
def test_tiles_cover_every_pixel_once(size, side):
    seen = torch.zeros(size)
    for box in tiles(size, side):
        box.of(seen).add_(1)
        assert box.top % 4 == box.left % 4 == 0
        assert max(box.size) <= 1.5 * side + 4
    assert torch.equal(seen, torch.ones(size))


@pytest.mark.parametrize("deep", [False, True])
def test_what_is_written_is_read(tmp_path, deep):
    pixels = torch.rand(1, 3, 30, 41)
    made = canvas(tmp_path, pixels, deep=deep)
    error = 0 if deep else 0.5 / 255 + 1e-6
    torch.testing.assert_close(made.read(Box(3, 5, 20, 40)), pixels[..., 3:20, 5:40], atol=error, rtol=0)
    again = Canvas(made.path, made.size, deep=deep)
    assert torch.equal(again.read(Box(0, 0, 30, 41)), made.read(Box(0, 0, 30, 41)))


@pytest.mark.parametrize("size", [(50, 60), (25, 31), (100, 120), (173, 61), (7, 200)])
def test_rectangles_are_resized_as_the_whole_is(tmp_path, size):
    made = canvas(tmp_path, torch.rand(1, 3, 50, 60), deep=True)
    whole = rescale(made.read(Box(0, 0, 50, 60)), size)
    torch.testing.assert_close(made.whole(size), whole, atol=1e-5, rtol=0)
    for box in tiles(size, 20):
        torch.testing.assert_close(made.resized(size, box), box.of(whole), atol=1e-5, rtol=0)
    copy = made.copied(tmp_path / "copy.raw", size)
    torch.testing.assert_close(copy.read(Box(0, 0, *size)), whole, atol=2e-5, rtol=0)


def test_differences_are_brought_up_with_their_signs():
    change = torch.randn(1, 3, 20, 24)
    whole = torch.nn.functional.interpolate(change, size=(45, 60), mode="bicubic", antialias=True)
    for box in tiles((45, 60), 16):
        torch.testing.assert_close(brought_up(change, (45, 60), box), box.of(whole), atol=1e-5, rtol=0)
