"""Painting films: every frame once and in order, interrupts, cut-off files, and what the user hears of it."""

import dataclasses
import time

import av
import pytest
import torch
from PIL import Image

from impasto.errors import InputError
from impasto.job.engine import run
from impasto.job.plan import plan
from impasto.media.images import Picture, read_picture, write_picture
from impasto.media.videos import FilmReader
from impasto.runtime.device import Place
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
    return run(stylizer, plan([source], output, "style").jobs, controls, CPU, **given)


def tracks_of(path):
    with av.open(str(path)) as film:
        return [f"{stream.type} {stream.codec_context.name}" for stream in film.streams if stream.type in ("video", "audio", "subtitle")]


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
    (job,) = plan([source], None, "wave").jobs
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
    from impasto.media import film_writer

    source = make_film(tmp_path / "in.mp4", count=40)
    paint(stylizer(), source, tmp_path / "whole.mp4")
    monkeypatch.setitem(film_writer.FilmWriter.__init__.__kwdefaults__, "piece", 8)
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
    jobs = plan([tmp_path / "a.mp4", tmp_path / "b.mp4"], tmp_path / "out", "style").jobs
    summary = run(Negative(), jobs, SMALL, CPU)
    assert [outcome.source.name for outcome in summary.failed] == ["a.mp4"]
    assert [outcome.source.name for outcome in summary.painted] == ["b.mp4"]


def test_sound_that_does_not_fit_is_encoded_anew_and_said(tmp_path):
    (outcome,) = paint(Negative(), make_film(tmp_path / "in.mp4"), tmp_path / "out.webm").painted
    assert "the sound (aac) does not fit into .webm and is encoded anew" in outcome.remark
    assert tracks_of(tmp_path / "out.webm") == ["video vp9", "audio opus"]


def test_colours_are_kept_if_asked(tmp_path):
    source = make_film(tmp_path / "in.mp4")
    paint(Negative(), source, tmp_path / "out.mp4", dataclasses.replace(SMALL, keep_color="luma"))
    before, after = frames_of(source), frames_of(tmp_path / "out.mp4")
    assert (before[20, 0] - before[20, 1]).sign().mul((after[20, 0] - after[20, 1]).sign()).mean() > 0.5


def test_frames_that_change_their_size_are_fitted_and_said(tmp_path):
    parts = [make_film(tmp_path / f"{n}.ts", count=6, size=size, sound=False) for n, size in enumerate([(48, 64), (96, 80)])]
    source = tmp_path / "both.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    (outcome,) = paint(Negative(), source, tmp_path / "out.mp4").painted
    assert outcome.size == (48, 64)
    assert "6 frames of" in outcome.remark
    assert "bars surround them" in outcome.remark
    frames = frames_of(tmp_path / "out.mp4")
    assert frames.shape == (12, 3, 48, 64)
    bars = torch.cat([frames[6:, ..., :10], frames[6:, ..., 54:]], -1)
    assert bars.min() > 0.9, "80x96 is 40x48 in the middle of 64x48; the bars beside it are black, painted as their negative"
    assert frames[11, 1, 4:20, 13].max() < 0.3, "the green bar of the last frame, 6 of 80 pixels wide, begins at the left edge of the 40"
    assert frames[11, 1, 4:20, 18:50].min() > 0.7


def test_a_film_of_one_frame(tmp_path):
    source = make_film(tmp_path / "in.mp4", count=1, sound=False)
    (outcome,) = paint(Trail(), source, tmp_path / "out.mp4").painted
    assert not outcome.remark
    assert len(frames_of(tmp_path / "out.mp4")) == 1


def test_broken_packets_cost_their_own_frames_only(tmp_path):
    source = make_film(tmp_path / "in.ts", count=60, size=(96, 128), sound=False)
    data = bytearray(source.read_bytes())
    middle = len(data) // 2 // 188 * 188
    data[middle : middle + 5 * 188] = bytes(5 * 188)
    source.write_bytes(bytes(data))
    (outcome,) = paint(Negative(), source, tmp_path / "out.mp4").painted
    assert 30 < len(frames_of(tmp_path / "out.mp4")) <= 60
    assert frames_of(tmp_path / "out.mp4")[-1].mean() == pytest.approx(1 - float(list(FilmReader(source))[-1].pixels.mean()), abs=0.05)
    assert outcome.size == (96, 128)


def test_what_goes_wrong_while_a_frame_is_written_is_raised(tmp_path, monkeypatch):
    from impasto.media import film_writer

    def full(self, picture, time, *, cut=False, duration=0):
        raise film_writer.FilmError("no space left")

    monkeypatch.setattr(film_writer.FilmWriter, "write", full)
    (outcome,) = paint(Negative(), make_film(tmp_path / "in.mp4"), tmp_path / "out.mp4").failed
    assert "no space left" in str(outcome.error)


def test_decoding_and_encoding_go_on_while_a_frame_is_painted(tmp_path):
    """Painting waits for neither: with half as much time again for the whole, they took place beside it."""
    source = make_film(tmp_path / "in.mp4", count=40, size=(240, 320))

    class Slow:
        def __call__(self, image, *, masks=None):
            time.sleep(0.02)
            return image

    started = time.monotonic()
    paint(Slow(), source, tmp_path / "out.mp4")
    assert time.monotonic() - started < 40 * 0.02 * 1.5 + 1


def numbered(folder, count=12, size=(48, 64)):
    """A folder of frames, frame 9 before frame 10."""
    for number in range(count):
        pixels = torch.full((3, *size), 0.05 * number)
        write_picture(Picture(pixels), folder / f"shot {number}.png")
    return folder


def test_a_folder_of_frames_becomes_a_folder_of_frames(tmp_path):
    folder = numbered(tmp_path / "shot")
    (job,) = plan([folder], None, "wave", frames=True).jobs
    assert job.output.name == "shot-wave"
    summary = run(Trail(), plan([folder], tmp_path / "out", "wave", frames=True).jobs, SMALL, CPU)
    (outcome,) = summary.painted
    written = [float(read_picture(tmp_path / "out" / f"shot {number}.png").pixels.mean()) for number in range(12)]
    expected, before = [], None
    for number in range(12):
        before = 0.05 * number if before is None else (0.05 * number + before) / 2
        expected.append(before)
    assert written == pytest.approx(expected, abs=0.01)
    assert sorted(path.name for path in (tmp_path / "out").iterdir())[0] == "shot 0.png"
    assert outcome.size == (48, 64)


def test_a_folder_of_frames_becomes_a_film_if_that_is_asked(tmp_path):
    folder = numbered(tmp_path / "shot")
    summary = run(Negative(), plan([folder], tmp_path / "out.mp4", "wave", frames=True).jobs, SMALL, CPU)
    assert len(summary.painted) == 1
    reader = FilmReader(tmp_path / "out.mp4")
    assert len(list(reader)) == 12
    assert reader.info.rate == 25
    assert tracks_of(tmp_path / "out.mp4") == ["video h264"]


def test_interrupted_frames_go_on(tmp_path):
    folder = numbered(tmp_path / "shot")
    jobs = plan([folder], tmp_path / "out", "wave", frames=True).jobs
    stylizer = Negative(stop_at=7)
    assert run(stylizer, jobs, SMALL, CPU).interrupted
    again = Negative()
    assert run(again, jobs, SMALL, CPU).painted
    assert again.painted == 5
    assert len(list((tmp_path / "out").glob("*.png"))) == 12
    other = Negative()
    assert run(other, jobs, SMALL, CPU, identity="another style").painted
    assert other.painted == 12


def test_frames_of_several_sizes_are_refused_with_the_name_of_the_first_other_one(tmp_path):
    folder = numbered(tmp_path / "shot")
    write_picture(Picture(torch.rand(3, 30, 30)), folder / "shot 7.png")
    (outcome,) = run(Negative(), plan([folder], tmp_path / "out", "wave", frames=True).jobs, SMALL, CPU).failed
    assert "shot 7.png has 30x30 pixels and the frames before it 64x48" in str(outcome.error)
    with pytest.raises(InputError, match="no folder of frames"):
        plan([folder / "shot 1.png"], None, "wave", frames=True)
    (tmp_path / "empty").mkdir()
    (outcome,) = run(Negative(), plan([tmp_path / "empty"], tmp_path / "o", "wave", frames=True).jobs, SMALL, CPU).failed
    assert "no frames in" in str(outcome.error)
    with pytest.raises(InputError, match="2 folders of frames"):
        plan([folder, tmp_path / "empty"], tmp_path / "out.mp4", "wave", frames=True)


def test_frames_of_another_size_are_refused_before_any_work(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for number, size in enumerate([(64, 48), (64, 48), (48, 64)]):
        Image.new("RGB", size, (90, 60, 30)).save(folder / f"{number}.png")
    calls = []

    def noted(image, *, masks=None):
        calls.append(image)
        return image

    jobs = plan([folder], tmp_path / "out", "x", frames=True).jobs
    (outcome,) = run(noted, jobs, Controls(size=0), CPU).failed
    assert "2.png has 48x64 pixels and the frames before it 64x48" in str(outcome.error)
    assert not calls
    assert not (tmp_path / "out").exists()
