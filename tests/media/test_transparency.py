"""What is transparent is not there: colours that alpha hides have no influence, and are made of those that can be seen."""

import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.errors import PictureError
from impasto.media.boxes import Box
from impasto.media.color import keep_color
from impasto.media.images import Picture, filled_pixels, fitted, read_picture, write_picture
from impasto.media.large_files import read_large
from impasto.media.style_images import mirrored, read_style_image
from impasto.media.transparency import FAINT, fill, filled
from impasto.motion.cuts import Cuts

y, x = np.mgrid[0:300, 0:200]
DISC = np.hypot(y - 150, x - 100)
SMOOTH = np.stack([x / 200, y / 300, (x + y) / 500], -1).astype(np.float32)
HIDDEN = {"green": (0.0, 1.0, 0.0), "magenta": (1.0, 0.0, 1.0), "black": (0.0, 0.0, 0.0)}


def hide(colors, alpha, color):
    made = colors.copy()
    made[alpha == 0] = np.array(color) * (255 if colors.dtype == np.uint8 else 1)
    return made


def to8(values):
    return np.rint(values * 255).astype(np.uint8)


@pytest.mark.parametrize("kind", [np.uint8, np.float32])
def test_what_can_be_seen_stays_and_what_is_hidden_has_no_influence(kind):
    alpha = np.clip((80 - DISC) / 6, 0, 1).astype(np.float32)
    colors = SMOOTH
    if kind == np.uint8:
        alpha, colors = to8(alpha), to8(SMOOTH)
    found = [filled(hide(colors, alpha, color), alpha) for color in HIDDEN.values()]
    own = alpha >= FAINT * (255 if kind == np.uint8 else 1)
    for one in found:
        assert one.dtype == kind
        assert np.array_equal(one, found[0])
        assert np.array_equal(one[own], colors[own])


def test_one_colour_is_continued_everywhere():
    for alpha in (DISC < 30, DISC > 60, (x == 7) & (y == 290), x < 100):
        colors = np.where(alpha[..., None], np.float32([0.2, 0.7, 0.4]), np.float32([1, 0, 1]))
        np.testing.assert_allclose(filled(colors, alpha.astype(np.float32)), np.broadcast_to([0.2, 0.7, 0.4], colors.shape), atol=1e-5)


def test_the_continuation_is_smooth_and_joins_the_edge():
    alpha = (DISC < 80).astype(np.float32)
    found = filled(hide(SMOOTH, alpha, (0, 1, 0)), alpha)
    assert found.min() >= SMOOTH[alpha > 0].min() - 1e-5
    assert found.max() <= SMOOTH[alpha > 0].max() + 1e-5
    steps = [np.abs(np.diff(found, axis=axis)).max() for axis in (0, 1)]
    assert max(steps) < 0.06, "no edge is seen where alpha ends"
    outside = (DISC > 81) & (DISC < 84)
    assert np.abs(found[outside] - SMOOTH[outside]).mean() < 0.03


def test_lossy_alpha_is_no_influence():
    """Codecs leave alpha of 1 or 2 of 255 around what they show, over any colour."""
    colors, alpha = to8(SMOOTH), to8(DISC < 80)
    clean = filled(hide(colors, alpha, (0, 0, 0)), alpha).astype(int)
    noisy = np.where((alpha == 0) & ((x + y) % 2 == 0), 2, alpha).astype(np.uint8)
    found = filled(hide(np.where((alpha == 0)[..., None], np.uint8([0, 255, 0]), colors), noisy, (0, 255, 0)), noisy).astype(int)
    far = (DISC > 80) & (noisy == 0)
    assert np.abs(found - clean)[far].mean() < 8


def test_whole_and_by_boxes_it_is_the_same(monkeypatch):
    height, width = 700, 900
    rng = np.random.default_rng(0)
    colors, alpha = rng.random((height, width, 3), np.float32), (rng.random((height, width)) > 0.999).astype(np.float32)
    alpha[:200, 300:] = 0
    found = []
    for side in (64, 512, 2048):
        monkeypatch.setattr("impasto.media.transparency._SIDE", side)
        found.append(filled(colors, alpha))
    np.testing.assert_allclose(found[0], found[2], atol=1e-6)
    np.testing.assert_allclose(found[1], found[2], atol=1e-6)


def test_memory_is_bounded():
    """A large image is never held: what is held beside is a few boxes, and one cell for 32 x 32 pixels."""
    size = (6000, 5000)

    def read(box):
        rows, columns = np.mgrid[box.rows, box.columns]
        alpha = ((rows // 500 + columns // 500) % 2).astype(np.float32)
        return np.broadcast_to(np.float32(0.5), (*box.size, 3)), alpha

    written = []
    tracemalloc.start()
    fill(size, read, lambda box, colors: written.append((box, float(colors.min()), float(colors.max()))))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60e6, "the image itself has 360 MB"
    assert all(abs(low - 0.5) < 1e-5 and abs(high - 0.5) < 1e-5 for _, low, high in written)
    assert sum(box.size[0] * box.size[1] for box, _, _ in written) > 0.5 * size[0] * size[1]


def test_where_nothing_can_be_seen_it_is_grey_and_opaque_images_are_as_they_are():
    nothing = np.zeros((50, 40), np.float32)
    assert np.allclose(filled(np.random.default_rng(0).random((50, 40, 3), np.float32), nothing), 0.5)
    colors = SMOOTH.copy()
    assert filled(colors, None) is colors
    assert filled(colors, np.ones(colors.shape[:2], np.float32)) is colors
    one = np.zeros((1, 1, 3), np.uint8)
    assert filled(one, np.zeros((1, 1), np.uint8)).shape == (1, 1, 3)


def test_it_needs_no_pytorch():
    code = "import sys, impasto.media.transparency; assert 'torch' not in sys.modules and 'cv2' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("size", [(30, 20), (75, 50), (450, 300), (300, 200)])
@pytest.mark.parametrize("name", HIDDEN)
def test_resized_edges_have_no_fringes(size, name):
    """A disc of one colour on a hidden other one: at any size all of it that can be seen has its colour."""
    alpha = np.clip((80 - DISC) / 2, 0, 1).astype(np.float32)
    colors = hide(np.broadcast_to(np.float32([0.8, 0.4, 0.2]), (300, 200, 3)), alpha, HIDDEN[name])
    for bits, error in ((8, 1.01 / 255), (16, 1e-4)):
        picture = Picture(torch.from_numpy(colors).permute(2, 0, 1), torch.from_numpy(alpha)[None], bits=bits)
        found = fitted(picture, size)
        assert found.size == size
        np.testing.assert_allclose(found.pixels.permute(1, 2, 0), np.broadcast_to([0.8, 0.4, 0.2], (*size, 3)), atol=error)
        np.testing.assert_allclose(found.alpha.mean(), alpha.mean(), atol=0.01)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("scale", [1, 0.4])
def test_by_tiles_it_is_what_it_is_whole(tmp_path, depth, scale):
    alpha = np.clip((80 - DISC) / 6, 0, 1)
    values = np.dstack([hide(np.random.default_rng(0).random((300, 200, 3)), alpha, (0, 1, 0)), alpha])
    path = tmp_path / "a.png"
    if depth == 8:
        Image.fromarray(to8(values)).save(path)
    else:
        pyvips = pytest.importorskip("pyvips")
        pyvips.Image.new_from_array(np.rint(values * 65535).astype(np.uint16)).copy(interpretation="rgb16").pngsave(str(path))
    size = (round(300 * scale), round(200 * scale))
    whole = fitted(read_picture(path), size)
    large = read_large(path, tmp_path / "tiles", size, max_pixels=10**6)
    large.fill()
    np.testing.assert_allclose(large.pixels.read(Box(0, 0, *size))[0], whole.pixels, atol=1.01 / 255)
    np.testing.assert_allclose(large.alpha.read(Box(0, 0, *size))[0], whole.alpha, atol=0.51 / 255)


def test_colours_are_kept_by_the_statistics_of_what_can_be_seen():
    generator = torch.Generator().manual_seed(0)
    photo, painted = torch.rand(3, 40, 60, generator=generator) * 0.5, torch.rand(3, 40, 60, generator=generator) * 0.3 + 0.4
    alpha = torch.zeros(1, 40, 60)
    alpha[:, 10:30, 20:50] = 1
    seen = (..., slice(10, 30), slice(20, 50))
    for kind in ("luma", "coral"):
        alone = keep_color(kind, painted[seen], photo[seen])
        for color in (0.0, 1.0):
            found = keep_color(kind, torch.where(alpha > 0, painted, color), torch.where(alpha > 0, photo, 1 - color), alpha)
            torch.testing.assert_close(found[seen], alone, atol=1e-4, rtol=0)
        assert torch.isfinite(keep_color(kind, painted, photo, torch.zeros_like(alpha))).all()


def test_hidden_colours_make_no_cut():
    colors = to8(SMOOTH)
    alpha = to8(DISC < 40)
    cuts = Cuts()
    for color in (*HIDDEN.values(), (1, 1, 1)):
        assert not cuts(np.dstack([hide(colors, alpha, color), alpha]))


# Styles.


def saved(path, colors, alpha):
    Image.fromarray(np.dstack([to8(colors), to8(alpha)])).save(path)
    return path


def test_a_style_is_its_visible_part(tmp_path):
    """A rectangle: to the bit what the part is as an image of its own."""
    colors = np.random.default_rng(0).random((120, 160, 3))
    alpha = np.zeros((120, 160))
    alpha[30:100, 20:90] = 1
    Image.fromarray(to8(colors[30:100, 20:90])).save(tmp_path / "part.png")
    part = read_style_image(tmp_path / "part.png")
    for name, color in HIDDEN.items():
        assert torch.equal(read_style_image(saved(tmp_path / f"{name}.png", hide(colors, alpha, color), alpha)), part)
        whole = read_style_image(tmp_path / f"{name}.png", cropped=False)
        assert whole.shape == (3, 120, 160)
        assert torch.equal(whole[:, 30:100, 20:90], part)
        small, expected = (read_style_image(tmp_path / f"{file}.png", longest=35) for file in (name, "part"))
        torch.testing.assert_close(small, expected, atol=1.01 / 255, rtol=0)


def test_hidden_places_of_a_style_have_the_statistics_of_its_visible_part():
    """Fine stripes in an ellipse: mirrored they keep colours and texture, where a smooth continuation would not."""
    colors = np.stack([0.5 + 0.4 * np.sin(x * 1.3), 0.3 + 0.2 * np.sin(y * 0.9), np.full(x.shape, 0.2)], -1).astype(np.float32)
    seen = (((y - 150) / 150) ** 2 + ((x - 100) / 100) ** 2) < 1
    found = mirrored(hide(colors, seen.astype(np.float32), (0, 1, 0)), seen)
    assert np.array_equal(found[seen], colors[seen])
    assert np.array_equal(found, mirrored(hide(colors, seen.astype(np.float32), (1, 0, 1)), seen))
    smooth = filled(hide(colors, seen.astype(np.float32), (0, 1, 0)), seen.astype(np.float32))
    for statistic in (np.mean, np.std):
        assert np.abs(statistic(found[~seen], 0) - statistic(colors[seen], 0)).max() < 0.03
    detail = np.hypot(*np.gradient(found, axis=(0, 1)))  # a mirror turns stripes and keeps them as fine
    np.testing.assert_allclose(detail[~seen].mean(0), detail[seen].mean(0), rtol=0.25, atol=0.01)
    assert np.abs(smooth[~seen].std(0) - colors[~seen].std(0)).max() > 0.15


def test_thin_lines_and_single_pixels_fill_a_style(tmp_path):
    for seen in ((x + y) % 40 == 0, (x == 5) & (y == 7)):
        found = mirrored(np.where(seen[..., None], np.float32([0.1, 0.2, 0.3]), np.float32(1)), seen)
        np.testing.assert_allclose(found, np.broadcast_to([0.1, 0.2, 0.3], found.shape), atol=1e-6)


def test_a_translucent_style_is_seen_whole(tmp_path):
    colors = np.random.default_rng(0).random((40, 50, 3))
    found = read_style_image(saved(tmp_path / "a.png", colors, np.linspace(0.1, 1, 50)[None].repeat(40, 0)))
    np.testing.assert_allclose(found.permute(1, 2, 0), colors, atol=0.51 / 255)


def test_a_style_that_cannot_be_seen_is_refused(tmp_path):
    path = saved(tmp_path / "nothing.png", np.random.default_rng(0).random((40, 50, 3)), np.zeros((40, 50)))
    with pytest.raises(PictureError, match=r"nothing\.png is fully transparent: there is no style to see"):
        read_style_image(path)


def test_pixels_of_a_picture_without_alpha_are_its_own(tmp_path):
    picture = Picture(torch.rand(3, 20, 30))
    assert torch.equal(filled_pixels(picture), picture.pixels)
    path = write_picture(picture, tmp_path / "a.png")
    assert torch.equal(read_style_image(path), read_picture(path).pixels)
