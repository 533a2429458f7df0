"""A second run leaves out what lies there already, made from the same input with the same settings, and nothing else."""

import os
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

import impasto
from impasto.events import silence
from impasto.job import painted_before, perform
from impasto.job.painted_before import Records
from impasto.job.quick import paint_at_once
from impasto.job.request import RegionRequest, Request
from tests.cli.runner import impasto_command
from tests.films import make_film

NEGATIVE = "LUT_3D_SIZE 2\n" + "".join(f"{1 - red} {1 - green} {1 - blue}\n" for blue in (0, 1) for green in (0, 1) for red in (0, 1))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def style(tmp_path):
    path = tmp_path / "negative.cube"
    path.write_text(NEGATIVE)
    return path


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        values = np.random.default_rng(number).integers(0, 255, (40, 48, 3), np.uint8)
        Image.fromarray(values).save(folder / f"p{number}.png")
    return folder


def painted(summary):
    """The names of what was painted now; everything else was there already."""
    assert not summary.failed
    return [outcome.source.name for outcome in summary.outcomes if not outcome.already]


def test_a_folder_is_painted_once(photos, style, tmp_path):
    out = tmp_path / "out"
    assert len(painted(impasto.stylize(photos, style, output=out))) == 3
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.iterdir()}
    again = impasto.stylize(photos, style, output=out)
    assert painted(again) == []
    assert [outcome.source.name for outcome in again.outcomes] == ["p0.png", "p1.png", "p2.png"]
    assert [outcome.output for outcome in again.painted] == sorted(before)
    assert all(outcome.size == (40, 48) and outcome.already for outcome in again.outcomes)
    assert again.left_out == ("3 were painted already with these settings; --again paints them again",)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in out.iterdir()} == before
    assert len(painted(impasto.stylize(photos, style, output=out, again=True))) == 3
    assert painted(impasto.stylize(photos, style, output=out)) == []


def test_what_was_changed_or_added_or_is_gone_is_painted(photos, style, tmp_path):
    out = tmp_path / "out"
    impasto.stylize(photos, style, output=out)
    source = photos / "p0.png"
    stat = source.stat()
    data = bytearray(source.read_bytes())
    Image.fromarray(np.full((40, 48, 3), 9, np.uint8)).save(source)
    assert painted(impasto.stylize(photos, style, output=out)) == ["p0.png"]
    source.write_bytes(bytes(data))
    os.utime(source, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert painted(impasto.stylize(photos, style, output=out)) == ["p0.png"], "the result is of the other file"
    Image.fromarray(np.full((40, 48, 3), 9, np.uint8)).save(photos / "p3.png")
    assert painted(impasto.stylize(photos, style, output=out)) == ["p3.png"]
    (out / "p1-negative.png").unlink()
    assert painted(impasto.stylize(photos, style, output=out)) == ["p1.png"]


@pytest.mark.parametrize("kept", ["time", "size", "neither"])
def test_a_result_that_was_changed_is_not_trusted(photos, style, tmp_path, kept):
    out = tmp_path / "out"
    impasto.stylize(photos, style, output=out)
    result = out / "p1-negative.png"
    data, stat = result.read_bytes(), result.stat()
    if kept == "size":
        result.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
    else:
        result.write_bytes(data + b"edited")
    if kept == "time":
        os.utime(result, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert painted(impasto.stylize(photos, style, output=out)) == ["p1.png"]
    assert result.read_bytes() == data
    result.touch()
    assert painted(impasto.stylize(photos, style, output=out)) == [], "it is the same, whatever its time is"


def test_other_settings_paint(photos, style, tmp_path):
    controls, wanted = impasto.Controls(), {"output": tmp_path / "out"}
    impasto.stylize(photos, style, controls=controls, **wanted)
    for other in (
        {"strength": 0.5}, {"size": 44}, {"keep_color": "luma"}, {"seed": 1}, {"background": "black"},
        {"keep_metadata": True}, {"memory": "8G"},
    ):  # fmt: skip
        assert len(painted(impasto.stylize(photos, style, controls=replace(controls, **other), **wanted))) == 3, other
        assert painted(impasto.stylize(photos, style, controls=replace(controls, **other), **wanted)) == []
    assert len(painted(impasto.stylize(photos, style, controls=controls, **wanted))) == 3, "they were painted over"
    assert painted(impasto.stylize(photos, style, controls=replace(controls, max_megapixels=7), **wanted)) == [], "it changes no pixel"


def test_another_style_of_the_same_name_paints(photos, style, tmp_path):
    out = tmp_path / "out"
    impasto.stylize(photos, style, output=out)
    style.write_text(NEGATIVE.replace("0 0 0", "0 0 0.5"))
    assert len(painted(impasto.stylize(photos, style, output=out))) == 3


def test_another_version_paints(photos, style, tmp_path, monkeypatch):
    impasto.stylize(photos, style, output=tmp_path / "out")
    monkeypatch.setattr(painted_before, "__version__", "9.9")
    assert len(painted(impasto.stylize(photos, style, output=tmp_path / "out"))) == 3


def test_masks_and_options_and_weights_are_settings(photos, style, tmp_path):
    mask = tmp_path / "mask.png"
    Image.fromarray(np.zeros((40, 48), np.uint8)).save(mask)
    request = Request([photos / "p0.png"], [style, style], weights=[1, 1], regions=RegionRequest([mask, mask]))
    found = [painted_before._settings(request)]
    for other in (
        {"weights": [1, 2]}, {"regions": RegionRequest([mask])}, {"regions": RegionRequest(count=4)}, {"frames": True}, {"styles": [style]},
        {"controls": impasto.Controls(options={"iterations": 3})}, {"controls": impasto.Controls(options={"iterations": 4})},
        {"controls": impasto.Controls(encoder=str(style))},
    ):  # fmt: skip
        found.append(painted_before._settings(replace(request, **other)))
    Image.fromarray(np.ones((40, 48), np.uint8)).save(mask)
    found.append(painted_before._settings(request))
    assert len(set(found)) == len(found)


def test_videos_animations_and_folders_of_frames_are_painted_once(photos, style, tmp_path):
    (tmp_path / "in").mkdir()
    video = make_film(tmp_path / "in" / "clip.mp4", count=4)
    frames = [Image.open(path) for path in sorted(photos.iterdir())]
    frames[0].save(tmp_path / "in" / "turning.gif", save_all=True, append_images=frames[1:], duration=100)
    out = tmp_path / "out"
    assert painted(impasto.stylize(tmp_path / "in", style, output=out)) == ["clip.mp4", "turning.gif"]
    assert painted(impasto.stylize(tmp_path / "in", style, output=out)) == []
    make_film(video, count=5)
    assert painted(impasto.stylize(tmp_path / "in", style, output=out)) == ["clip.mp4"]
    assert painted(impasto.stylize(photos, style, output=out, frames=True)) == ["photos"]
    assert painted(impasto.stylize(photos, style, output=out, frames=True)) == []
    (out / "notes.txt").write_text("something else")
    assert painted(impasto.stylize(photos, style, output=out, frames=True)) == []
    (out / "p1.png").unlink()
    assert painted(impasto.stylize(photos, style, output=out, frames=True)) == ["photos"]
    assert (out / "p1.png").is_file()
    Image.fromarray(np.zeros((40, 48, 3), np.uint8)).save(photos / "p2.png")
    assert painted(impasto.stylize(photos, style, output=out, frames=True)) == ["photos"]


def test_what_was_stopped_or_failed_is_painted_the_next_time(photos, style, tmp_path):
    out = tmp_path / "out"
    (photos / "p1.png").write_bytes(b"no image")
    seen = []

    def on_file(index, count, source):
        seen.append(source.name)
        if source.name == "p2.png":
            raise KeyboardInterrupt

    summary = impasto.stylize(photos, style, output=out, on_file=on_file)
    assert summary.interrupted
    assert len(summary.failed) == 1
    seen.clear()
    again = impasto.stylize(photos, style, output=out, on_file=lambda index, count, source: seen.append((index, count, source.name)))
    assert seen == [(0, 2, "p1.png"), (1, 2, "p2.png")]
    assert [outcome.source.name for outcome in again.outcomes] == ["p0.png", "p1.png", "p2.png"]
    assert again.left_out == (f"{out / 'p0-negative.png'} was painted already with these settings; --again paints it again",)


def test_a_source_that_is_changed_while_it_is_painted_is_painted_again(photos, style, tmp_path):
    source, out = photos / "p0.png", tmp_path / "a.png"
    other = (photos / "p1.png").read_bytes()
    request = Request([source], [style], out)
    prepared = perform.prepare(request)
    records = Records(request, prepared.jobs)
    source.write_bytes(other)
    outcome = perform.carry_out(prepared, silence).outcomes[0]
    records.note(prepared.jobs[0], outcome)
    assert Records(request, prepared.jobs).there(prepared.jobs[0]) is None


def test_large_photos_are_painted_once(style, tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (900, 1000, 3), np.uint8)
    Image.fromarray(pixels).save(tmp_path / "large.png")
    controls = impasto.Controls(size=0, memory="1T")
    for expected in (["large.png"], []):
        assert painted(impasto.stylize(tmp_path / "large.png", style, output=tmp_path / "out.png", controls=controls)) == expected
    assert painted(impasto.stylize(tmp_path / "large.png", style, output=tmp_path / "out.jpg", controls=controls)) == ["large.png"]


def test_parts_of_a_job_are_painted_once(photos, style, tmp_path):
    for number in (1, 2):
        assert len(painted(impasto.stylize(photos, style, output=tmp_path / "out", part=f"{number}/2"))) == 3 - number
    for number in (1, 2):
        assert painted(impasto.stylize(photos, style, output=tmp_path / "out", part=f"{number}/2")) == []
    assert painted(impasto.stylize(photos, style, output=tmp_path / "out")) == []


def test_the_fast_way_and_the_usual_one_know_of_each_other(photos, tmp_path):
    pytest.importorskip("openvino", reason="the extra openvino is not installed")
    request = Request([photos / "p0.png"], ["dusk"], tmp_path / "a.png", controls=impasto.Controls(quality="draft"))
    assert not paint_at_once(request).outcomes[0].already
    assert paint_at_once(request).outcomes[0].already
    assert perform.perform(request, silence).outcomes[0].already
    assert not paint_at_once(replace(request, again=True)).outcomes[0].already
    (tmp_path / "a.png").unlink()
    assert not perform.perform(request, silence).outcomes[0].already
    assert paint_at_once(request).outcomes[0].already


def test_the_command_line_says_it(photos, style, tmp_path):
    words = ("stylize", photos, "-s", style, "-o", tmp_path / "out")
    assert len(impasto_command(*words).stdout.splitlines()) == 3
    (tmp_path / "out" / "p0-negative.png").unlink()
    again = impasto_command(*words)
    assert again.returncode == 0
    assert [line.split()[0].rpartition("/")[2] for line in again.stdout.splitlines()] == ["p0-negative.png"]
    assert "2 were painted already with these settings; --again paints them again" in again.stderr
    assert len(impasto_command(*words, "--again").stdout.splitlines()) == 3


def test_records_do_not_matter_to_the_work(photos, style, tmp_path, monkeypatch):
    """A cache that cannot be written to, and damaged records: everything is painted, and nothing fails."""
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    monkeypatch.setenv("IMPASTO_CACHE", str(blocked))
    for _ in range(2):
        assert len(painted(impasto.stylize(photos, style, output=tmp_path / "out"))) == 3
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    impasto.stylize(photos, style, output=tmp_path / "out")
    (book,) = (tmp_path / "cache/painted").iterdir()
    lines = book.read_text().splitlines()
    book.write_bytes(b'\xff\n{"name": 3}\n[]\nnull\n{"name": "p0-negative.png", "key": 1}\n' + "\n".join(lines)[:-30].encode())
    assert painted(impasto.stylize(photos, style, output=tmp_path / "out")) == ["p2.png"], "its record was cut off"
    assert painted(impasto.stylize(photos, style, output=tmp_path / "out")) == []
    book.write_bytes(b"\xff" * 100)
    assert len(painted(impasto.stylize(photos, style, output=tmp_path / "out"))) == 3


def test_records_of_folders_that_are_gone_are_removed(photos, style, tmp_path):
    for name in ("a", "b"):
        impasto.stylize(photos, style, output=tmp_path / name)
    for path in (tmp_path / "a").iterdir():
        path.unlink()
    (tmp_path / "a").rmdir()
    impasto.stylize(photos, style, output=tmp_path / "c")
    assert len([*(tmp_path / "cache/painted").iterdir()]) == 2
    assert painted(impasto.stylize(photos, style, output=tmp_path / "b")) == []
