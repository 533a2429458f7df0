"""By tiles a network paints what it paints in one piece."""

import pytest
import torch

from impasto.media.canvas import Box, tiles
from impasto.networks import grain, tiled
from impasto.networks.style_network import StyleNetwork

SHAPES = [{"width": 4, "blocks": 2}, {"width": 4, "blocks": 1, "patch": 2}, {"width": 4, "blocks": 1, "patch": 4}]


def network(shape):
    torch.manual_seed(0)
    made = StyleNetwork(**shape).requires_grad_(False)
    for _, norm in made.norms():
        norm.weight.uniform_(0.5, 1.5)
        norm.bias.uniform_(-0.5, 0.5)
    return made


def photo(size):
    """Noise on the left, nothing on the right: no two tiles have the same statistics."""
    pixels = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    pixels[..., size[1] // 2 :] = 0.4
    return pixels


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("size", [(160, 200), (97, 163)])
def test_with_exact_statistics_it_is_the_same_anywhere(shape, size):
    made, pixels = network(shape), photo(size)
    cut, told = tiles(size, 48), []
    moments = list(tiled.exact(made, lambda box: box.of(pixels), size, cut, [], lambda: told.append(1)))
    assert len(told) == len(cut) * len(moments)
    whole = made(pixels)
    for tile in cut:
        found = tiled.painted(made, lambda box: box.of(pixels), size, tile, moments)
        torch.testing.assert_close(found, tile.of(whole), atol=2e-4, rtol=0)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_nothing_beyond_the_reach_matters_and_something_near_it_does(shape):
    made, size = network(shape), (400, 400)
    pixels, far = photo(size), tiled.reach(made.shape)
    cut = [Box(0, 0, *size)]
    moments = list(tiled.exact(made, lambda box: box.of(pixels), size, cut, [], lambda: None))
    frozen = lambda seen: made(seen, norms=tiled.Known(moments))  # noqa: E731
    before = frozen(pixels)[..., 200, 200]
    changed = torch.rand(1, 3, *size)
    around = Box(200, 200, 204, 204).grown(far, size)  # tiles begin and end at multiples of 4
    around.of(changed).copy_(around.of(pixels))
    assert torch.equal(frozen(changed)[..., 200, 200], before)
    near = far // 2
    changed[..., : 200 - near, :] = 1
    assert not torch.equal(frozen(changed)[..., 200, 200], before)


def test_frozen_statistics_are_the_same_for_all_tiles_and_near_the_exact_ones():
    made, size = network(SHAPES[0]), (256, 256)
    pixels = photo(size)
    read = lambda box: box.of(pixels)  # noqa: E731
    sampled = tiled.frozen(made, read, size, 100_000)
    exact = list(tiled.exact(made, read, size, tiles(size, 64), [], lambda: None))
    (last,) = tiled.exact(made, read, size, tiles(size, 64), exact[:-1], lambda: None)
    assert torch.equal(last[0], exact[-1][0]), "what is known is not measured again"
    assert len(sampled) == len(exact)
    (mean, variance), (exact_mean, exact_variance) = sampled[0], exact[0]
    torch.testing.assert_close(mean, exact_mean, atol=0.05, rtol=0.1)
    torch.testing.assert_close(variance, exact_variance, atol=0.05, rtol=0.2)


def test_frozen_statistics_of_strips_and_small_pictures():
    made = network(SHAPES[0])
    for size in ((40, 900), (900, 40), (33, 35)):
        pixels = photo(size)
        assert len(tiled.frozen(made, lambda box, pixels=pixels: box.of(pixels), size, 5000)) == len([*made.norms()])


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("size", [(50, 70), (33, 129)])
def test_grain_by_rectangles_is_the_grain(tmp_path, smooth, size):
    whole = grain.painted(size, smooth=smooth)
    found = grain.Grain(size, tmp_path / "grain.raw", smooth=smooth)
    for box in tiles(size, 16):
        part = found.rectangle(box.top, box.left, box.bottom, box.right)
        torch.testing.assert_close(torch.from_numpy(part), box.of(torch.from_numpy(whole)), atol=1e-5, rtol=0)
