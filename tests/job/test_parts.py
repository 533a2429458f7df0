"""Parts of a job on several machines: independent, painted once, and joined to what one machine paints."""

import hashlib
import shutil

import numpy as np
import pytest
import torch

from impasto.errors import InputError
from impasto.job.engine import run
from impasto.job.parts import join_parts
from impasto.job.plan import plan
from impasto.job.request import Part, Request, part_of
from impasto.job.spans import stretch_of
from impasto.media.film_writer import FilmWriter, slot_of
from impasto.media.images import read_picture
from impasto.media.videos import FilmReader
from impasto.runtime.device import Place
from impasto.settings import Controls
from tests.conftest import scene
from tests.films import make_film, make_shots
from tests.job.test_film import tracks_of

CPU = Place(torch.device("cpu"), torch.float32)
SHOTS = (70, 90, 60, 110, 70)


class Negative:
    """Paints each frame for itself."""

    def __call__(self, image, *, masks=None):
        return 1 - image


class Trail:
    """Keeps half of what it painted before, for as long as a shot lasts or for eight frames."""

    def __init__(self, memory):
        self.memory = memory

    def __call__(self, image, *, masks=None):
        return image

    def stream(self, frames, *, masks=None, first=None):
        before, photo = (None, None) if first is None else (first[1], first[0])
        for frame in frames:
            cut = photo is not None and (photo - frame).abs().mean() > 0.05
            before = frame if before is None or cut else (frame + before) / 2
            photo = frame
            yield before


def paint(source, output, part=None, *, stylizer=None, identity="x", frames=False, **given):
    jobs = plan([source], output, "x", frames=frames, part=part).jobs
    return run(stylizer or Negative(), jobs, Controls(size=0), CPU, identity=identity, **given)


def paint_parts(source, output, count, numbers=None, **given):
    found = [paint(source, output, Part(number, count), **given) for number in numbers or range(count, 0, -1)]
    assert not any(summary.failed for summary in found), [str(each.error) for summary in found for each in summary.failed]
    return [outcome for summary in found for outcome in summary.painted]


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def written(monkeypatch):
    """What is given to the encoder, by folder: times, pictures, and which of them begin a piece."""
    found, write = {}, FilmWriter.write

    def noted(self, picture, time, *, cut=False, duration=0):
        begins = self._container is None or cut or slot_of(time, self.info) != self._slot
        write(self, picture, time, cut=cut, duration=duration)
        kind = "parts" if ".part-" in self.output.name else self.output.stem
        found.setdefault(kind, {})[time] = (hashlib.sha256(picture.tobytes()).hexdigest(), begins)

    monkeypatch.setattr(FilmWriter, "write", noted)
    return found


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm"])
@pytest.mark.parametrize("shots", [SHOTS, (400,)], ids=["shots", "one shot"])
def test_joined_parts_are_the_film_that_is_painted_in_one_go(tmp_path, written, suffix, shots):
    """The same pictures are encoded in the same pieces, and joined they are one film of the same times."""
    source = make_shots(tmp_path / "in.mp4", shots)
    paint(source, tmp_path / f"whole{suffix}")
    parts = paint_parts(source, tmp_path / f"out{suffix}", 3)
    assert sorted(outcome.output.name for outcome in parts) == [f"out.part-{number}-of-3{suffix}" for number in (1, 2, 3)]
    assert join_parts(source, tmp_path / f"out{suffix}") == ""
    assert written["parts"] == written["whole"]
    assert_near(tmp_path / f"whole{suffix}", tmp_path / f"out{suffix}")


def assert_near(whole, joined):
    """The same frames but for the encoder, which on a busy machine now and then writes other bits of the same pictures."""
    pairs = list(zip(FilmReader(whole), FilmReader(joined), strict=True))
    assert len(pairs) == 400
    assert all(one.time == other.time for one, other in pairs)
    assert max(np.abs(one.bytes.astype(float) - other.bytes).mean() for one, other in pairs) < 2


def test_parts_begin_with_shots_where_one_begins_near():
    from tests.job.test_spans import Frames

    film = Frames(SHOTS)
    stretches = [stretch_of(film, number, 4) for number in range(1, 5)]
    assert [(span.begin, span.end) for span, _ in stretches] == [(None, 70), (70, 220), (220, 330), (330, None)]


def test_the_sound_is_carried_over_when_they_are_joined(tmp_path):
    source = make_film(tmp_path / "in.mp4", count=240)
    parts = paint_parts(source, tmp_path / "out.mp4", 2)
    assert all(tracks_of(outcome.output) == ["video h264"] for outcome in parts)
    join_parts(source, tmp_path / "out.mp4")
    assert tracks_of(tmp_path / "out.mp4") == tracks_of(source)


def test_what_is_painted_is_not_painted_again(tmp_path):
    source, steps = make_shots(tmp_path / "in.mp4", SHOTS), []
    (first,) = paint(source, tmp_path / "out.mp4", Part(2, 3)).painted
    before = digest(first.output)
    (again,) = paint(source, tmp_path / "out.mp4", Part(2, 3), listener=steps.append).painted
    assert (again.remark, steps) == ("part 2/3 was painted already", [])
    assert digest(first.output) == before
    (other,) = paint(source, tmp_path / "out.mp4", Part(2, 3), identity="another style", listener=steps.append).painted
    assert not other.remark
    assert steps


def test_a_part_that_was_stopped_is_resumed_to_the_same_pictures(tmp_path):
    source, seen = make_shots(tmp_path / "in.mp4", SHOTS), []

    def stop(event):
        if event.step == 80:
            raise KeyboardInterrupt

    for folder, listener in (("one", lambda event: None), ("other", stop)):
        interrupted = paint(source, tmp_path / folder / "out.mp4", Part(2, 2), listener=listener).interrupted
        assert interrupted == (listener is stop)
    paint(source, tmp_path / "other/out.mp4", Part(2, 2), listener=lambda event: seen.append(event.step))
    assert 30 < seen[0] < 80
    one, other = (list(FilmReader(tmp_path / folder / "out.part-2-of-2.mp4")) for folder in ("one", "other"))
    assert [frame.time for frame in one] == [frame.time for frame in other]
    assert max(np.abs(a.bytes.astype(float) - b.bytes).mean() for a, b in zip(one, other, strict=True)) < 2


def test_stylizers_with_a_memory_warm_up_before_their_part(tmp_path):
    source = make_shots(tmp_path / "in.mp4", (400,))
    paint(source, tmp_path / "whole.mp4", stylizer=Trail(8))
    for memory, most in ((8, 0.3), (0, None)):
        output = tmp_path / str(memory) / "out.mp4"
        paint_parts(source, output, 3, stylizer=Trail(memory))
        join_parts(source, output)
        apart = [
            np.abs(one.bytes.astype(float) - other.bytes).mean()
            for one, other in zip(FilmReader(tmp_path / "whole.mp4"), FilmReader(output), strict=True)
        ]
        assert most is None or np.mean(apart) < most
        if most is None:
            assert max(apart) > 1, "without its memory it would be another film: the test can fail"


def test_where_memory_has_no_end_parts_begin_with_shots_alone(tmp_path, written):
    source, alone = make_shots(tmp_path / "in.mp4", SHOTS), make_shots(tmp_path / "one.mp4", (400,))
    paint(source, tmp_path / "whole.mp4", stylizer=Trail(None))
    paint_parts(source, tmp_path / "out.mp4", 3, stylizer=Trail(None))
    join_parts(source, tmp_path / "out.mp4")
    assert written["parts"] == written["whole"]
    assert [outcome.output.name for outcome in paint_parts(alone, tmp_path / "alone.mp4", 3, stylizer=Trail(None))] == [
        "alone.part-1-of-1.mp4"
    ]


def test_a_short_film_has_fewer_parts(tmp_path):
    source = make_shots(tmp_path / "in.mp4", (120,))
    (only,) = paint_parts(source, tmp_path / "out.mp4", 8)
    assert only.output.name == "out.part-1-of-1.mp4"
    join_parts(source, tmp_path / "out.mp4")
    assert len(list(FilmReader(tmp_path / "out.mp4"))) == 120


def test_parts_that_do_not_belong_together_are_refused(tmp_path):
    source, output = make_shots(tmp_path / "in.mp4", SHOTS), tmp_path / "out.mp4"
    with pytest.raises(InputError, match=r"there is no part of .*out.mp4"):
        join_parts(source, output)
    paint_parts(source, output, 3, numbers=[1, 3])
    with pytest.raises(InputError, match=r"of the 3 parts of .* missing in .*: 2$"):
        join_parts(source, output)
    paint(source, output, Part(2, 3), identity="another style")
    with pytest.raises(InputError, match="part 2/3 was painted otherwise than part 1/3: with another style"):
        join_parts(source, output)
    paint(source, output, Part(2, 3))
    with pytest.raises(InputError, match="painted from another film than"):
        join_parts(make_shots(tmp_path / "other.mp4", (400,)), output)
    paint_parts(source, output, 2)
    with pytest.raises(InputError, match="has parts of 2 and of 3: leave those of one number"):
        join_parts(source, output)
    shutil.copy(source, tmp_path / "out.part-2-of-2.mp4")
    (tmp_path / "out.part-1-of-3.mp4").unlink()
    with pytest.raises(InputError, match=r"part-2-of-2.mp4 is not a part that Impasto painted, .*: paint it again with --part 2/2"):
        join_parts(source, output)
    assert not output.exists()


def test_a_folder_of_frames_holds_the_frames_of_all_parts(tmp_path):
    source = tmp_path / "in"
    source.mkdir()
    for number in range(230):
        scene(40, 32).rotate(number).save(source / f"{number}.png", compress_level=1)
    paint(source, tmp_path / "whole", frames=True)
    paint_parts(source, tmp_path / "out", 2, numbers=[2], frames=True)
    with pytest.raises(InputError, match=r"these are missing in .*: 1$"):
        join_parts(source, tmp_path / "out")
    paint(source, tmp_path / "out", Part(1, 2), frames=True, identity="another style")
    with pytest.raises(InputError, match="painted otherwise"):
        join_parts(source, tmp_path / "out")
    paint(source, tmp_path / "out", Part(1, 2), frames=True)
    (again,) = paint(source, tmp_path / "out", Part(1, 2), frames=True).painted
    assert again.remark == "part 1/2 was painted already"
    join_parts(source, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(path.name for path in (tmp_path / "whole").iterdir())
    for path in (tmp_path / "whole").iterdir():
        assert torch.equal(read_picture(path).pixels, read_picture(tmp_path / "out" / path.name).pixels)


def test_photos_are_shared_out_one_by_one_under_the_same_names(tmp_path):
    photos = [tmp_path / f"{number}.png" for number in range(7)]
    for path in photos:
        scene(40, 32).save(path)
    whole = plan(photos, tmp_path / "out", "x").jobs
    parts = [plan(photos, tmp_path / "out", "x", part=Part(number, 3)).jobs for number in (1, 2, 3)]
    assert [len(jobs) for jobs in parts] == [3, 2, 2]
    assert sorted(job.output for jobs in parts for job in jobs) == sorted(job.output for job in whole)
    assert plan(photos[:1], None, "x", part=Part(2, 3)).jobs == []


@pytest.mark.parametrize("text", ["3", "0/8", "9/8", "a/b", "1/0", "-1/2", "1/2/3", ""])
def test_a_part_that_is_none_is_said(text):
    with pytest.raises(InputError, match="a part is one of all, as 3/8"):
        part_of(text)


def test_a_part_of_a_job_on_a_cluster_is_refused():
    with pytest.raises(InputError, match="give --part or --cluster"):
        Request([], [], part=Part(1, 2), cluster="auto")
