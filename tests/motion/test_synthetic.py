"""Scenes with known motion: frames agree with their flow wherever it can be traced, and nowhere else by accident; .flo files."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.errors import InputError
from impasto.media.images import read_picture
from impasto.motion.flow_files import read_flow
from impasto.motion.stability import stability
from impasto.motion.synthetic import Course, moving_scene
from impasto.motion.warp import compose, warp
from tests.films import write_flow


def smooth(seed, height=90, width=120):
    coarse = torch.rand(1, 3, 6, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=(height, width), mode="bicubic", align_corners=True)[0].clamp(0, 1)


def scene(seed=0, *, length=4, **course):
    generator = torch.Generator().manual_seed(seed)
    return moving_scene([smooth(seed), smooth(seed + 100), smooth(seed + 200)], (72, 96), length, generator, course=Course(**course))


@given(seed=st.integers(0, 50), end=st.integers(0, 3))
@settings(max_examples=15, deadline=None)
def test_frames_agree_with_their_flow_wherever_it_is_traced(seed, end):
    film = scene(seed, light=0.0)
    mask = film.traced(1, end)
    warped, inside = warp(film.frames[end][None], film.flow(1, end)[None])
    gap = (mask * inside[0] * (warped[0] - film.frames[1])).abs()
    assert gap.mean() < 4e-3
    assert gap.quantile(0.99) < 0.06


def test_nothing_moves_where_nothing_is_told_to():
    film = scene(speed=0.0, turn=0.0, zoom=0.0, shake=0.0, light=0.0)
    assert film.flow(0, 3).abs().max() < 1e-5
    assert film.traced(0, 3).mean() > 0.98
    assert (film.frames[3] - film.frames[0]).abs().max() < 1e-5


def test_what_comes_in_front_or_leaves_is_not_traced():
    film = scene(speed=6.0)
    mask = film.traced(0, 3)[0].bool()
    x, y = (film.flow(0, 3) + torch.stack(torch.meshgrid(torch.arange(96.0), torch.arange(72.0), indexing="xy"))).unbind(0)
    outside = (x < 0) | (x > 95) | (y < 0) | (y > 71)
    assert outside.any()
    assert not (mask & outside).any()
    covered = ~mask & ~outside
    assert covered.any()
    there = film.shown[3][y.round().long().clamp(0, 71), x.round().long().clamp(0, 95)]
    assert (there != film.shown[0])[covered].float().mean() > 0.3


def test_flows_there_and_back_cancel_and_add_up():
    film = scene()
    both, _ = compose(film.flow(0, 2)[None], film.flow(2, 0)[None])
    mask = film.traced(0, 2)
    assert (both[0] * mask).abs().quantile(0.98) < 0.05
    through, inside = compose(film.flow(0, 1)[None], film.flow(1, 2)[None])
    mask = film.traced(0, 1) * film.traced(0, 2) * inside[0]
    assert ((through[0] - film.flow(0, 2)) * mask).abs().quantile(0.98) < 0.05


def test_light_changes_the_frames_and_not_the_flow():
    dark, plain = scene(light=0.1), scene(light=0.0)
    torch.testing.assert_close(dark.flow(0, 3), plain.flow(0, 3))
    ratios = [float(a.mean() / b.mean()) for a, b in zip(dark.frames, plain.frames, strict=True)]
    assert max(ratios) - min(ratios) > 0.02


def test_the_film_itself_is_almost_stable():
    film = scene(length=5, light=0.0)
    steady = stability((film.frames[t], film.frames[t - 1], film.flow(t, t - 1), film.traced(t, t - 1)) for t in range(1, 5))
    assert steady.e_stab < 0.03
    assert steady.pairs == 4


def test_a_seed_repeats_a_scene():
    assert torch.equal(scene(3).frames, scene(3).frames)
    assert not torch.equal(scene(3).frames, scene(4).frames)


def test_flow_files_give_back_what_was_written(tmp_path):
    flow = torch.randn(2, 7, 11)
    flow[:, 2, 3] = 1.7e9
    again, known = read_flow(write_flow(flow, tmp_path / "a.flo"), size=(7, 11))
    assert known[0, 2, 3] == 0
    assert known.sum() == 76
    assert again[:, 2, 3].abs().max() == 0
    torch.testing.assert_close(again * known, flow * known, atol=0, rtol=0)


def test_files_that_are_no_flow_are_refused(tmp_path):
    path = tmp_path / "a.flo"
    with pytest.raises(InputError, match="cannot read"):
        read_flow(path)
    path.write_bytes(b"nothing at all, and long")
    with pytest.raises(InputError, match=r"no \.flo file"):
        read_flow(path)
    write_flow(torch.zeros(2, 4, 5), path)
    with pytest.raises(InputError, match="5x4 places and the frames 6x4"):
        read_flow(path, size=(4, 6))
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match="holds 19 instead of 20"):
        read_flow(path)
    path.write_bytes(path.read_bytes()[:4] + b"\xff" * 40)
    with pytest.raises(InputError, match="cannot be"):
        read_flow(path)


def test_true_flow_of_sintel_moves_its_frames(shared_data):
    """The true flow from frame 2 to frame 3 brings frame 3 onto frame 2, far better than no flow."""
    for folder in sorted((shared_data / "video/flow").iterdir()):
        frames = [read_picture(shared_data / "video/val_gt" / folder.name / f"{n:05d}.jpg").pixels for n in (2, 3)]
        flow, known = read_flow(folder / "00002.flo", size=(frames[0].shape[-2], frames[0].shape[-1]))
        occluded = read_picture(folder / "00002_occlusion.png").pixels[:1] > 0.5
        warped, inside = warp(frames[1][None], flow[None])
        mask = inside[0] * known * ~occluded
        gaps = [float((mask * (other - frames[0])).square().mean()) for other in (warped[0], frames[1])]
        assert gaps[0] < 0.35 * gaps[1], folder.name
