"""Cuts are told from motion, light and noise."""

from itertools import pairwise

import torch

from impasto.media.images import list_pictures, read_picture
from impasto.motion.cuts import is_cut


def shot(*, color, seed=0):
    """A scene of soft shapes, (3, 48, 64)."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, 5, 7, generator=generator)
    shapes = torch.nn.functional.interpolate(coarse, size=(48, 64), mode="bicubic")[0]
    return (torch.tensor(color)[:, None, None] + 0.7 * (shapes - 0.5)).clamp(0, 1)


def test_a_new_shot_is_a_cut():
    assert is_cut(shot(color=(0.2, 0.3, 0.6)), shot(color=(0.7, 0.5, 0.3), seed=1))


def test_motion_light_and_noise_are_none():
    frame = shot(color=(0.4, 0.5, 0.6))
    assert not is_cut(frame, frame)
    assert not is_cut(frame, frame.roll(6, 2))
    assert not is_cut(frame, (frame * 1.15).clamp(0, 1))
    assert not is_cut(frame, (frame + 0.05 * torch.randn(frame.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 1))


def test_another_size_is_a_cut():
    assert is_cut(torch.zeros(3, 16, 16), torch.zeros(3, 16, 18))


def test_real_films_have_none_inside_and_one_between(shared_data):
    """Every sequence is one shot; where one follows another there is a cut."""
    last, inside, between = None, [], []
    for folder in sorted((shared_data / "video/val").iterdir()):
        frames = [read_picture(path).pixels[:, ::4, ::4] for path in list_pictures(folder)[:12]]
        inside += [is_cut(a, b) for a, b in pairwise(frames)]
        if last is not None:
            height, width = (min(a, b) for a, b in zip(last.shape[1:], frames[0].shape[1:], strict=True))
            between.append(is_cut(last[:, :height, :width], frames[0][:, :height, :width]))
        last = frames[-1]
    assert not any(inside)
    assert all(between)
