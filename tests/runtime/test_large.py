"""Pictures painted by tiles: the same as in one piece, without seams, resumed to the bit."""

import pytest
import torch

from impasto.media.canvas import Box, Canvas, tiles
from impasto.media.color import KEEP_COLOR, keep_color
from impasto.networks.style_network import StyleNetwork
from impasto.networks.stylizer import NetworkStylizer
from impasto.runtime.device import Place
from impasto.runtime.large import Plan, Work, paint_by_tiles

CPU = torch.device("cpu")


def stylizer(**settings):
    torch.manual_seed(0)
    network = StyleNetwork(4, 1, smooth=True)
    return NetworkStylizer(network, Place(CPU, torch.float32), **settings)


def photo(folder, pixels):
    """A picture as a job keeps it: read before, which is noted."""
    work = Work(folder, "key")
    made = Canvas(folder / "photo.raw", tuple(pixels.shape[-2:]))
    made.write(Box(0, 0, *made.size), pixels)
    work.note("read", 1)
    return made, made.read(Box(0, 0, *made.size))


def uneven(size):
    pixels = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    pixels[..., size[1] // 2 :] = 0.4
    return pixels


def paint(painter, folder, pixels, plan, **more):
    canvas, seen = photo(folder, pixels)
    painted = paint_by_tiles(painter, canvas, Work(folder, "key"), plan, device=CPU, **more)
    return painted.read(Box(0, 0, *painted.size)), seen


@pytest.mark.parametrize("strength", [1.0, 0.6])
@pytest.mark.parametrize("whole", [0, 110 * 140, 310 * 170])
@pytest.mark.parametrize("size", [(200, 264), (341, 402), (610, 330)])
def test_a_network_with_exact_statistics_paints_what_it_paints_in_one_piece(tmp_path, strength, whole, size):
    painter = stylizer(strength=strength, stroke=4.0)
    assert len(painter.sizes(size)) >= 2, "it is painted small first"
    found, seen = paint(painter, tmp_path, uneven(size), Plan(whole, 64, exact=True))
    assert (found - painter(seen)).abs().max() <= 1 / 255


def test_frozen_statistics_are_near_it(tmp_path):
    painter = stylizer(stroke=4.0)
    found, seen = paint(painter, tmp_path, uneven((256, 264)), Plan(130 * 140, 128))
    assert (found - painter(seen)).abs().mean() <= 3 / 255


def test_a_flat_sky_has_no_seams(tmp_path):
    painter = stylizer(stroke=4.0, grain=False)
    side = 64
    found, _ = paint(painter, tmp_path, torch.full((1, 3, 256, 256), 0.6), Plan(130 * 130, side))
    inside = found[..., 80:176, 80:176]
    rows = (inside[..., 1:, :] - inside[..., :-1, :]).abs().amax((0, 1, 3))
    borders = [box.top for box in tiles((256, 256), side)]
    at = [edge - 81 for edge in sorted(set(borders)) if 81 < edge < 176]
    assert at
    assert all(rows[place] <= rows.max() for place in at)
    assert rows[at].max() <= rows[[n for n in range(len(rows)) if n not in at]].max() + 1e-6


def test_of_other_stylizers_the_change_is_brought_up(tmp_path):
    calls = []

    def darker(image, *, masks=None):
        calls.append((tuple(image.shape), tuple(masks.shape)))
        return image - 0.25

    pixels = 0.3 + 0.6 * torch.rand(1, 3, 150, 190)
    found, seen = paint(darker, tmp_path, pixels, Plan(50 * 60, 32), masks=torch.rand(1, 2, 150, 190))
    torch.testing.assert_close(found, seen - 0.25, atol=1 / 255, rtol=0)
    assert calls == [((1, 3, 38, 48), (1, 2, 38, 48))]


def test_what_fits_is_painted_in_one_piece(tmp_path):
    found, seen = paint(lambda image, masks=None: 1 - image, tmp_path, torch.rand(1, 3, 40, 50), Plan(10_000, 32))
    torch.testing.assert_close(found, 1 - seen, atol=0.5 / 255 + 1e-4, rtol=0)


@pytest.mark.parametrize("how", KEEP_COLOR)
def test_colours_are_kept(tmp_path, how):
    found, seen = paint(lambda image, masks=None: image.flip(1) * 0.8, tmp_path, uneven((60, 80)), Plan(10_000, 32), keep=KEEP_COLOR[how])
    torch.testing.assert_close(found[0], keep_color(how, seen[0].flip(0) * 0.8, seen[0]), atol=2 / 255, rtol=0)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("painter", [lambda: stylizer(stroke=4.0), lambda: lambda image, masks=None: 1 - image], ids=["network", "other"])
def test_interrupted_at_any_tile_it_is_resumed_to_the_same_bytes(tmp_path, painter, exact):
    pixels, plan, told = uneven((130, 170)), Plan(70 * 70, 48, exact), []
    wanted, _ = paint(painter(), tmp_path / "whole", pixels, plan, listener=told.append)
    assert told[-1].step == told[-1].total == len(told)
    stops = [0]

    def impatient(event):
        stops[0] += 1
        if stops[0] % 19 == 0:
            raise KeyboardInterrupt

    canvas, _ = photo(tmp_path / "parts", pixels)
    attempts = 0
    while True:
        attempts += 1
        try:
            found = paint_by_tiles(painter(), canvas, Work(tmp_path / "parts", "key"), plan, device=CPU, listener=impatient)
            break
        except KeyboardInterrupt:
            assert attempts < 100
    assert attempts > 1
    assert torch.equal(found.read(Box(0, 0, *found.size)), wanted)


def test_what_belongs_to_another_picture_is_begun_anew(tmp_path):
    work = Work(tmp_path, "one")
    work.note("painted", 3)
    assert Work(tmp_path, "one").done("painted") == 3
    assert Work(tmp_path, "other").done("painted") == 0
    for broken in ("", "[]", '{"key": "one", "done": {"painted": "many"}}', '{"key": "one", "done": 3}'):
        (tmp_path / "state.json").write_text(broken)
        assert Work(tmp_path, "one").done("painted") == 0


def test_a_plan_that_was_begun_is_kept_unless_its_tiles_became_too_large(tmp_path):
    work = Work(tmp_path, "one")
    assert Plan(5000.5, 512).kept(work) == Plan(5000, 512)
    assert Plan(9000, 1024).kept(work) == Plan(5000, 512)
    work.note("0", 1)
    assert Plan(900, 256).kept(work) == Plan(900, 256)
    assert not work.done("0")
