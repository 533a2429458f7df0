"""Animated GIF, WebP and PNG are short films."""

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.errors import InputError
from impasto.job.engine import run
from impasto.job.plan import plan
from impasto.media.animations import AnimationReader
from impasto.media.opening import is_animation, made_here
from impasto.media.videos import FilmError, FilmReader
from impasto.runtime.device import Place
from impasto.settings import Controls
from tests.conftest import scene
from tests.films import make_film

CPU = Place(torch.device("cpu"), torch.float32)
LENGTHS = [40, 80, 120, 40, 200]


def animation(path, *, alpha=False):
    frames = []
    for number in range(5):
        image = scene(64, 48).rotate(15 * number).convert("RGBA")
        if alpha:
            image.putalpha(Image.fromarray(np.where(np.arange(64)[None] < 20, 0, 255).astype(np.uint8).repeat(48, 0)))
        frames.append(image if alpha else image.convert("RGB"))
    options = {"disposal": 2} if path.suffix == ".gif" else {"lossless": True} if path.suffix == ".webp" else {}
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=LENGTHS, loop=0, **options)
    return path


def negative(image, *, masks=None):
    return 1 - image


@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "transparent"])
@pytest.mark.parametrize("target", ["gif", "webp", "png"])
@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_they_are_painted_frame_by_frame_with_their_times(tmp_path, suffix, target, alpha):
    source = animation(tmp_path / f"in.{suffix}", alpha=alpha)
    assert is_animation(source)
    (outcome,) = run(negative, plan([source], tmp_path / f"out.{target}", "x").jobs, Controls(size=0), CPU).painted
    before, after = AnimationReader(source), AnimationReader(outcome.output)
    assert after.info.alpha == alpha
    for one, other in zip(before, after, strict=True):
        assert one.time * before.info.time_base == pytest.approx(other.time * after.info.time_base, abs=0.005)
        assert one.duration * before.info.time_base == pytest.approx(other.duration * after.info.time_base, abs=0.01)
        seen = slice(None) if one.alpha is None else one.alpha[0] > 0.5
        difference = (1 - one.pixels - other.pixels).abs()
        assert difference[..., seen].mean() < 0.06 if one.alpha is not None else difference.mean() < 0.06
    assert made_here(outcome.output)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
def test_where_we_choose_the_name_the_format_stays(tmp_path, suffix):
    (job,) = plan([animation(tmp_path / f"in.{suffix}")], None, "x").jobs
    assert job.output.name == f"in-x.{suffix}"
    assert job.moving
    scene(40, 40).save(tmp_path / f"still.{suffix}")
    (still,) = plan([tmp_path / f"still.{suffix}"], None, "x").jobs
    assert still.output.name == "still-x.png"
    assert not still.moving


def test_an_animation_becomes_a_film_and_a_film_an_animation(tmp_path):
    source = animation(tmp_path / "in.gif")
    (outcome,) = run(negative, plan([source], tmp_path / "out.mp4", "x").jobs, Controls(size=0), CPU).painted
    film = FilmReader(outcome.output)
    times = [float(frame.time * film.info.time_base) for frame in film]
    assert times == pytest.approx([0, 0.04, 0.12, 0.24, 0.28], abs=0.002)
    clip = make_film(tmp_path / "film.mp4", count=12)
    (outcome,) = run(negative, plan([clip], tmp_path / "film.gif", "x").jobs, Controls(size=0), CPU).painted
    frames = list(AnimationReader(outcome.output))
    assert len(frames) == 12
    assert [frame.time for frame in frames][:3] == [0, 40, 80]


def test_interrupted_it_is_resumed_to_the_same_bytes(tmp_path):
    source = animation(tmp_path / "in.gif")
    jobs = plan([source], tmp_path / "out.gif", "x").jobs

    def stop(event):
        if event.step == 3:
            raise KeyboardInterrupt

    assert run(negative, jobs, Controls(size=0), CPU, listener=stop).interrupted
    assert not (tmp_path / "out.gif").exists()
    steps = []
    run(negative, jobs, Controls(size=0), CPU, listener=lambda event: steps.append(event.step))
    assert steps == [4, 5]
    run(negative, plan([source], tmp_path / "whole.gif", "x").jobs, Controls(size=0), CPU)
    assert (tmp_path / "out.gif").read_bytes() == (tmp_path / "whole.gif").read_bytes()


def test_what_cannot_be_is_said(tmp_path):
    scene(40, 40).save(tmp_path / "still.gif")
    with pytest.raises(FilmError, match="holds 1 frames"):
        AnimationReader(tmp_path / "still.gif")
    source = animation(tmp_path / "in.gif")
    with pytest.raises(InputError, match="limit of"):
        AnimationReader(source, max_pixels=1000)
    data = source.read_bytes()
    source.write_bytes(data[: len(data) * 2 // 3])
    summary = run(negative, plan([source], tmp_path / "out.gif", "x").jobs, Controls(size=0), CPU)
    assert summary.failed or summary.painted[0].remark or AnimationReader(tmp_path / "out.gif").info.frames < 5


def test_the_exif_block_of_an_animated_webp_is_one(tmp_path):
    source = animation(tmp_path / "in.gif")
    run(negative, plan([source], tmp_path / "out.webp", "x").jobs, Controls(size=0), CPU)
    data = (tmp_path / "out.webp").read_bytes()
    at = data.index(b"EXIF")
    assert data[at + 8 : at + 12] in (b"MM\0*", b"II*\0"), "no prefix of JPEG before it"
