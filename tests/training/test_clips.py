"""Moving pictures for training: their motion is where it is said to be."""

import shutil

import pytest
import torch

from impasto.errors import InputError
from impasto.media.images import Picture, write_picture
from impasto.motion.synthetic import Course
from impasto.motion.warp import warp
from impasto.training.clips import Clip, Films, Mixed, MovingPictures
from impasto.training.made_pictures import made_pictures
from tests.films import make_film


def made():
    return made_pictures(4, 96, torch.Generator().manual_seed(0))


def drawn(clips, length=5, size=64, seed=1):
    return clips.draw(length, size, torch.Generator().manual_seed(seed))


def folder_of_frames(path, count=8, size=(72, 96), speed=2):
    path.mkdir(parents=True)
    wide = made().draw(1, max(size) + speed * count, torch.Generator().manual_seed(3))[0]
    for number in range(count):
        begin = speed * number
        write_picture(Picture(wide[:, : size[0], begin : begin + size[1]]), path / f"{number:05d}.png")
    return path


def test_a_scene_warped_along_its_motion_is_its_neighbour():
    clip = drawn(MovingPictures(made(), course=Course(light=0.0)))
    assert clip.frames.shape == (5, 3, 64, 64)
    warped, inside = warp(clip.frames[:-1], clip.backward)
    seen = clip.backward_traced * inside
    assert (seen * (clip.frames[1:] - warped)).abs().mean() < 0.02 < (clip.frames[1:] - clip.frames[:-1]).abs().mean()


def test_motion_over_several_frames_is_composed():
    clip = drawn(MovingPictures(made(), course=Course(light=0.0, shake=0.2)))
    flows, masks = clip.from_frame(2)
    warped, inside = warp(clip.frames, flows)
    error = (masks * inside * (warped - clip.frames[2:3])).abs().mean((1, 2, 3))
    unmoved = (clip.frames - clip.frames[2:3]).abs().mean((1, 2, 3))
    assert error[2] < 1e-6
    assert (error[[0, 4]] < 0.5 * unmoved[[0, 4]]).all()
    assert masks[2].min() == 1
    assert masks[0].mean() <= masks[1].mean() < 1


def test_the_same_seed_draws_the_same_clip(tmp_path):
    films = Films([folder_of_frames(tmp_path / "film")])
    for clips in (MovingPictures(made()), films, Mixed([MovingPictures(made()), films], [1, 3])):
        assert torch.equal(drawn(clips, 3).frames, drawn(clips, 3).frames)


def test_films_are_told_by_their_contents_and_not_by_where_they_lie(tmp_path):
    folder_of_frames(tmp_path / "here" / "frames")
    make_film(tmp_path / "here" / "film.mp4", count=4)
    shutil.copytree(tmp_path / "here", tmp_path / "there", copy_function=shutil.copy)
    here, there = Films([tmp_path / "here"]), Films([tmp_path / "there"])
    assert here.digest == there.digest
    make_film(tmp_path / "there" / "film.mp4", count=5)
    assert Films([tmp_path / "there"]).digest != here.digest


def test_films_and_folders_of_frames_are_found(tmp_path):
    folder_of_frames(tmp_path / "all" / "one")
    folder_of_frames(tmp_path / "all" / "two")
    make_film(tmp_path / "all" / "three.mp4", size=(64, 64))
    films = Films([tmp_path / "all"])
    assert len(films) == 3
    clip = drawn(films, 4)
    assert clip.frames.shape == (4, 3, 64, 64)
    assert clip.backward.shape == clip.forward.shape == (3, 2, 64, 64)


def test_motion_is_estimated(tmp_path):
    clip = drawn(Films([folder_of_frames(tmp_path / "film", size=(96, 128))]), 3, 96)
    pan = clip.backward[:, 0, 30:-30, 30:-30].median().abs()
    assert pan == pytest.approx(2.0, abs=0.5)


def test_cuts_are_left_out(tmp_path):
    """Two shots of one film: the run across the cut differs most, and is not drawn."""
    folder = folder_of_frames(tmp_path / "film", count=30, speed=1)
    for number in range(15, 30):
        write_picture(
            Picture(torch.full((3, 72, 96), 0.9) * torch.rand(1, generator=torch.Generator().manual_seed(0))), folder / f"{number:05d}.png"
        )
    films = Films([folder], moving=0.0)
    assert (0, 14) not in films._ranked(2)
    assert len(films._ranked(2)) == 27


def test_what_is_no_film_is_said(tmp_path):
    with pytest.raises(InputError, match="no film and no folder of frames"):
        Films([tmp_path / "nothing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no films and no folders of frames"):
        Films([tmp_path / "empty"])
    folder = folder_of_frames(tmp_path / "film", count=3)
    with pytest.raises(InputError, match="9 frames in a row"):
        drawn(Films([folder]), 9)
    write_picture(Picture(torch.rand(3, 40, 40)), folder / "00003.png")
    with pytest.raises(InputError, match="not of one size"):
        Films([folder])


def test_a_clip_of_one_frame_does_not_move():
    clip = drawn(MovingPictures(made()), length=1)
    assert isinstance(clip, Clip)
    flows, masks = clip.from_frame(0)
    assert flows.abs().max() == 0
    assert masks.min() == 1
