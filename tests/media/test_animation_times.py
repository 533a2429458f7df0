"""Time in animations: delays add up, none is one that browsers replace, and every frame that is one is read."""

import struct
import zlib
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image, ImageOps

from impasto.media.animations import AnimationReader, AnimationWriter, delays
from impasto.media.videos import FilmInfo, FilmReader
from tests.conftest import scene
from tests.films import make_film
from tests.media.recordings import copied


def shown(path):
    """The delays of an animation in milliseconds, as Pillow reads them."""
    with Image.open(path) as image:
        found = []
        for number in range(image.n_frames):
            image.seek(number)
            image.load()
            found.append(image.info["duration"])
    return found


@pytest.mark.parametrize("rate", [24, Fraction(30_000, 1001), 30, 50, 60])
@pytest.mark.parametrize(("suffix", "least"), [(".gif", 20), (".webp", 11), (".png", 11)])
def test_delays_add_up_to_the_length_and_none_is_too_short(tmp_path, rate, suffix, least):
    """Two seconds of frames; browsers show a frame of 10 ms or less for 100 ms."""
    info = FilmInfo((8, 8), Fraction(rate), 1 / Fraction(rate), 0, 2.0)
    writer = AnimationWriter(tmp_path / f"out{suffix}", info, (8, 8), "key")
    count, noise = round(2 * rate), np.random.default_rng(0)
    for number in range(count):
        writer.write(noise.integers(0, 256, (8, 8, 3), dtype=np.uint8), number, duration=1)
    writer.finish()
    found = shown(tmp_path / f"out{suffix}")
    assert sum(found) == pytest.approx(float(1000 * count / rate), abs=10)
    assert min(found) >= least
    assert max(found) <= max(1000 / rate, least) + 10.01
    assert len(found) == (100 if rate == 60 and suffix == ".gif" else count) or "left out" in writer.remarks[-1]


def test_frames_that_a_gif_cannot_show_are_left_out_and_said(tmp_path):
    make_film(tmp_path / "in.mp4", count=10, sound=False)
    reader = FilmReader(tmp_path / "in.mp4")
    info = FilmInfo(reader.info.size, Fraction(100), Fraction(1, 100), 10, 0.1)
    writer = AnimationWriter(tmp_path / "out.gif", info, info.size, "key")
    for frame in reader:
        writer.write(frame.bytes, frame.number, duration=1)
    writer.finish()
    assert shown(tmp_path / "out.gif") == [20] * 5
    assert "5 of 10 frames are left out: .gif shows at most 50 a second" in writer.remarks


def test_a_video_with_sound_says_that_an_animation_holds_none(tmp_path):
    assert ".gif holds no sound: left out" in copied(make_film(tmp_path / "in.mp4", count=10), tmp_path / "out.gif")


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_a_last_frame_that_is_too_short_belongs_to_the_one_before(kind):
    begins = [Fraction(0), Fraction(1, 10), Fraction(2, 10)]
    numbers, lengths = delays(kind, begins, Fraction(2, 10) + Fraction(1, 1000))
    assert numbers == [0, 1]
    assert lengths == pytest.approx([100, 100], abs=1.2)


@pytest.mark.parametrize("source", ["gif", "webp", "png"])
@pytest.mark.parametrize("target", ["gif", "webp", "png", "mp4", "mov", "mkv", "webm"])
def test_the_last_frame_is_shown_as_long_as_before(tmp_path, source, target):
    frames = [scene(48, 32).rotate(20 * number) for number in range(3)]
    frames[0].save(tmp_path / f"in.{source}", save_all=True, append_images=frames[1:], duration=[100, 100, 2500])
    copied(tmp_path / f"in.{source}", tmp_path / f"out.{target}")
    if target in ("gif", "webp", "png"):
        assert shown(tmp_path / f"out.{target}") == [100, 100, 2500]
        return
    again = FilmReader(tmp_path / f"out.{target}")
    last = list(again)[-1]
    assert float((last.time + last.duration) * again.info.time_base) == pytest.approx(2.7, abs=0.002)
    assert not again.problem


def chunk(kind, data):
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")


def apng(path, delay, *, default=False, count=4):
    """An APNG of grey frames 32x32, 50, 100, 150 and so on, with this delay; default: an image of 250 before them that is no frame."""
    number, chunks = 0, [chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 0, 0, 0, 0)), chunk(b"acTL", struct.pack(">II", count, 0))]
    for index, value in enumerate(([250] if default else []) + [50 * (k + 1) for k in range(count)]):
        data, still = zlib.compress(bytes([0] + [value] * 32) * 32), default and not index
        if not still:
            chunks.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, 32, 32, 0, 0, *delay, 0, 0)))
            number += 1
        if index:
            chunks.append(chunk(b"fdAT", number.to_bytes(4, "big") + data))
            number += 1
        else:
            chunks.append(chunk(b"IDAT", data))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks) + chunk(b"IEND", b""))
    return path


def written_delays(path):
    """The delays of an APNG in seconds, as its chunks say."""
    data, at, found = path.read_bytes(), 8, []
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] == b"fcTL":
            above, below = struct.unpack(">HH", data[at + 8 + 20 : at + 8 + 24])
            found.append(Fraction(above, below or 100))
        at += 12 + length
    return found


@pytest.mark.parametrize("delay", [(1, 3), (1, 30), (1001, 30_000)])
def test_fractions_of_a_millisecond_are_kept_in_apng(tmp_path, delay):
    source = apng(tmp_path / "in.png", delay)
    copied(source, tmp_path / "out.png")
    found = written_delays(tmp_path / "out.png")
    assert len(found) == 4
    assert [float(value) for value in found] == pytest.approx([delay[0] / delay[1]] * 4, abs=2e-5)
    assert float(sum(found)) == pytest.approx(4 * delay[0] / delay[1], abs=3e-5)
    reader = AnimationReader(source)
    assert [float(frame.time * reader.info.time_base) for frame in reader] == pytest.approx(
        [number * delay[0] / delay[1] for number in range(4)], abs=2e-5
    )


def test_the_image_for_programs_without_animations_is_not_a_frame(tmp_path):
    source = apng(tmp_path / "in.png", (1, 10), default=True)
    assert [int(frame.bytes.mean()) for frame in AnimationReader(source)] == [50, 100, 150, 200]
    copied(source, tmp_path / "out.png")
    assert [int(frame.bytes.mean()) for frame in AnimationReader(tmp_path / "out.png")] == [50, 100, 150, 200]


def late_hole(path):
    """Two frames, 48x32: the second one is transparent in its left 20 columns, and black around."""
    hole = np.zeros((32, 48), bool)
    hole[:, :20] = True
    pictures = [scene(48, 32), ImageOps.expand(scene(40, 24), 4, "black")]
    if path.suffix == ".gif":
        frames = [ImageOps.posterize(picture, 2).quantize(255) for picture in pictures]
        frames[1].paste(255, mask=Image.fromarray(hole))
        for frame in frames:
            frame.putpalette([*(frame.getpalette() + 765 * [0])[:765], 9, 9, 9])
            frame.info["transparency"] = 255
    else:
        frames = [picture.convert("RGBA") for picture in pictures]
        frames[1].putalpha(Image.fromarray(np.where(hole, 0, 255).astype(np.uint8)))
    options = {".gif": {"disposal": 2, "optimize": False}, ".webp": {"lossless": True}, ".png": {"blend": 0}}[path.suffix]
    frames[0].save(path, save_all=True, append_images=frames[1:], duration=100, **options)
    return path


@pytest.mark.parametrize("suffix", ["gif", "webp", "png"])
@pytest.mark.parametrize("target", ["gif", "webp", "png", "webm"])
def test_transparency_that_begins_in_a_later_frame_is_kept(tmp_path, suffix, target):
    copied(late_hole(tmp_path / f"in.{suffix}"), tmp_path / f"out.{target}")
    first, second = (FilmReader if target == "webm" else AnimationReader)(tmp_path / f"out.{target}")
    assert first.alpha.min() > 0.97
    assert second.alpha[0, :, :18].max() < 0.03
    assert second.alpha[0, :, 22:].min() > 0.97
