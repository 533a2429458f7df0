"""Painting films: every frame once and in order, interrupts, cut-off files, and what the user hears of it."""

import dataclasses

import pytest
import torch

from impasto.errors import InputError
from impasto.media.videos import FilmReader
from impasto.runtime.device import Place
from impasto.runtime.engine import plan, run
from impasto.settings import Controls
from tests.films import make_film

CPU = Place(torch.device("cpu"), torch.float32)
SMALL = Controls(size=0)


class Negative:
    """Paints the negative; counts, and stops when it is told to."""

    def __init__(self, stop_at=None):
        self.painted, self.stop_at = 0, stop_at

    def __call__(self, image, *, masks=None):
        if self.painted == self.stop_at:
            raise KeyboardInterrupt
        self.painted += 1
        return 1 - image


class Trail:
    """A stylizer with memory: half of what it painted before."""

    def __call__(self, image, *, masks=None):
        return image

    def stream(self, frames, *, masks=None, first=None):
        before = None if first is None else first[1]
        for frame in frames:
            before = frame if before is None else (frame + before) / 2
            yield before


def paint(stylizer, source, output, controls=SMALL, **given):
    return run(stylizer, plan([source], output, "style"), controls, CPU, **given)


def frames_of(path):
    return torch.stack([frame.pixels for frame in FilmReader(path)])


def test_a_film_is_painted_frame_by_frame(tmp_path):
    source = make_film(tmp_path / "in.mp4")
    seen = []
    summary = paint(Negative(), source, tmp_path / "out.mp4", listener=seen.append)
    (outcome,) = summary.painted
    assert outcome.size == (48, 64)
    assert not outcome.remark
    assert (frames_of(tmp_path / "out.mp4") - (1 - frames_of(source))).abs().mean() < 0.03
    assert [event.step for event in seen] == list(range(1, 31))
    assert seen[-1].total == 30


def test_its_name_is_film_style_mp4(tmp_path):
    source = make_film(tmp_path / "in.mkv")
    (job,) = plan([source], None, "wave")
    assert job.output.name == "in-wave.mp4"
    with pytest.raises(InputError, match="one file and there are 2"):
        plan([source, source], tmp_path / "out.mp4", "wave")


def test_it_is_painted_at_the_size_that_is_asked(tmp_path):
    source = make_film(tmp_path / "in.mp4", size=(98, 130))
    (outcome,) = paint(Negative(), source, tmp_path / "out.mp4", Controls(size=65)).painted
    assert outcome.size == (48, 64)


def test_odd_sizes_lose_their_last_row(tmp_path):
    source = make_film(tmp_path / "in.mkv", size=(49, 65))
    assert FilmReader(source).info.size == (49, 65)
    (outcome,) = paint(Negative(), source, tmp_path / "out.mp4").painted
    assert outcome.size == (48, 64)


@pytest.mark.parametrize("stylizer", [Negative, Trail])
def test_interrupted_it_goes_on_to_the_same_film(tmp_path, stylizer, monkeypatch):
    from impasto.media import videos

    source = make_film(tmp_path / "in.mp4", count=40)
    paint(stylizer(), source, tmp_path / "whole.mp4")
    monkeypatch.setattr(videos.FilmWriter.__init__, "__kwdefaults__", {"part": 8})
    stopped = []

    def stop(event):
        stopped.append(event.step)
        if event.step == 20:
            raise KeyboardInterrupt

    summary = paint(stylizer(), source, tmp_path / "out.mp4", listener=stop)
    assert summary.interrupted
    assert not (tmp_path / "out.mp4").exists()
    again = []
    paint(stylizer(), source, tmp_path / "out.mp4", listener=again.append)
    assert again[0].step == 21
    whole, parted = frames_of(tmp_path / "whole.mp4"), frames_of(tmp_path / "out.mp4")
    assert len(whole) == len(parted) == 40
    assert (whole - parted).abs().mean() < 0.02


def test_other_controls_or_another_style_start_over(tmp_path):
    source = make_film(tmp_path / "in.mp4")
    for controls, identity in ((SMALL, "a"), (dataclasses.replace(SMALL, strength=0.5), "a"), (SMALL, "b")):
        stylizer = Negative(stop_at=12)
        assert paint(stylizer, source, tmp_path / "out.mp4", controls, identity=identity).interrupted
        assert stylizer.painted == 12


def test_a_cut_off_film_is_painted_as_far_as_it_goes_and_said(tmp_path):
    source = make_film(tmp_path / "in.mp4", count=60, front=True)
    source.write_bytes(source.read_bytes()[: int(source.stat().st_size * 0.6)])
    (outcome,) = paint(Negative(), source, tmp_path / "out.mp4").painted
    assert "kept" in outcome.remark
    assert 5 < len(frames_of(tmp_path / "out.mp4")) < 58


def test_a_broken_film_does_not_stop_the_others(tmp_path):
    (tmp_path / "a.mp4").write_text("no film")
    make_film(tmp_path / "b.mp4", count=4)
    jobs = plan([tmp_path / "a.mp4", tmp_path / "b.mp4"], tmp_path / "out", "style")
    summary = run(Negative(), jobs, SMALL, CPU)
    assert [outcome.source.name for outcome in summary.failed] == ["a.mp4"]
    assert [outcome.source.name for outcome in summary.painted] == ["b.mp4"]


def test_sound_that_does_not_fit_is_said_before_anything_is_painted(tmp_path):
    source, stylizer = make_film(tmp_path / "in.mp4"), Negative()
    (outcome,) = paint(stylizer, source, tmp_path / "out.webm").failed
    assert "does not fit into .webm; give a name that ends in .mkv" in str(outcome.error)
    assert stylizer.painted == 0


def test_colours_are_kept_if_asked(tmp_path):
    source = make_film(tmp_path / "in.mp4")
    paint(Negative(), source, tmp_path / "out.mp4", dataclasses.replace(SMALL, keep_color="luma"))
    before, after = frames_of(source), frames_of(tmp_path / "out.mp4")
    assert (before[20, 0] - before[20, 1]).sign().mul((after[20, 0] - after[20, 1]).sign()).mean() > 0.5
