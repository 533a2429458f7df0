"""AVIF sequences are animations, and animations are read in the colours that they state."""

import shutil
import struct
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image

from impasto.job.plan import plan
from impasto.media.animations import AnimationReader
from impasto.media.opening import is_animation
from tests import profiles as icc
from tests.conftest import scene


def frames_of(count, size=(96, 64)):
    return [scene(*size).convert("RGB").rotate(90 * number) for number in range(count)]


def saved(path, frames, **options):
    frames[0].save(path, save_all=True, append_images=frames[1:], **options)
    return path


@pytest.mark.parametrize("suffix", ["avif", "avifs"])
def test_a_sequence_is_an_animation_with_its_times(tmp_path, suffix):
    path = saved(tmp_path / f"a.{suffix}", frames_of(4), format="AVIF", duration=[200, 50, 1000, 120])
    assert is_animation(path)
    reader = AnimationReader(path)
    frames = [*reader]
    assert [frame.time * reader.info.time_base * 1000 for frame in frames] == [0, 200, 250, 1250]
    assert reader.info.frames == 4
    assert not reader.info.alpha
    assert reader.loop == 0
    with Image.open(path) as image:
        for frame in frames:
            image.seek(frame.number)
            assert np.array_equal((frame.pixels.permute(1, 2, 0).numpy() * 255).round(), np.asarray(image.convert("RGB")))


def test_a_single_avif_is_none(tmp_path):
    scene(96, 64).convert("RGB").save(tmp_path / "a.avif")
    assert not is_animation(tmp_path / "a.avif")


def test_times_that_are_no_whole_milliseconds_do_not_add_up_their_rounding(tmp_path):
    if shutil.which("ffmpeg") is None:
        pytest.skip("needs ffmpeg")
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc=size=64x64:rate=30:duration=2",
        "-c:v",
        "libaom-av1",
        "-cpu-used",
        "8",
    ]
    made = subprocess.run([*command, "-f", "avif", str(tmp_path / "a.avif")], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"ffmpeg writes no AVIF here: {made.stderr[-80:]}")
    times = [frame.time for frame in AnimationReader(tmp_path / "a.avif")]
    assert len(times) == 60
    assert np.abs(np.array(times) - np.arange(60) * 1000 / 30).max() <= 0.51


def test_transparency_is_kept(tmp_path):
    frames = [frame.convert("RGBA") for frame in frames_of(2)]
    for frame in frames:
        frame.putalpha(Image.fromarray(np.tile(np.arange(96, dtype=np.uint8) * 2, (64, 1))))
    reader = AnimationReader(saved(tmp_path / "a.avif", frames, duration=100, quality=100))
    assert reader.info.alpha
    assert np.abs(next(iter(reader)).alpha[0].numpy() * 255 - np.asarray(frames[0].getchannel("A"))).max() <= 2


def test_the_result_is_named_after_a_format_that_is_written(tmp_path):
    saved(tmp_path / "a.avif", frames_of(2), duration=100)
    (job,) = plan([tmp_path / "a.avif"], None, "dusk").jobs
    assert job.output.name == "a-dusk.webp"
    assert job.moving


def test_frames_are_read_in_the_colours_of_the_file(tmp_path):
    frames = frames_of(2)
    profile = icc.of_matrix(icc.ADOBE, icc.gamma(563 / 256))
    saved(tmp_path / "a.webp", frames, duration=100, lossless=True, icc_profile=profile)
    expected = [icc.shown(np.asarray(frame) / 255, icc.ADOBE, lambda v: v ** (563 / 256)) for frame in frames]
    for frame, right in zip(AnimationReader(tmp_path / "a.webp"), expected, strict=True):
        assert np.abs(frame.pixels.permute(1, 2, 0).numpy() - right).max() * 255 < 1.2
    saved(tmp_path / "a.png", [frame.convert("L") for frame in frames], duration=100)
    made, gamma = (tmp_path / "a.png").read_bytes(), b"gAMA" + struct.pack(">I", 100_000)
    chunk = struct.pack(">I", 4) + gamma + struct.pack(">I", zlib.crc32(gamma))
    (tmp_path / "a.png").write_bytes(made[:33] + chunk + made[33:])
    for frame, source in zip(AnimationReader(tmp_path / "a.png"), frames, strict=True):
        right = icc.encoded(np.asarray(source.convert("L")) / 255)
        assert np.abs(frame.pixels.numpy() - right).max() * 255 < 0.6


def test_sequences_of_hdr_are_said(tmp_path):
    path = saved(tmp_path / "a.avif", frames_of(2), duration=100)
    made = path.read_bytes().replace(b"colrnclx\0\x01\0\x0d", b"colrnclx\0\x09\0\x10")
    path.write_bytes(made)
    reader = AnimationReader(path)
    assert reader.info.remarks == (f"{path} is HDR (PQ) and is brought to the range of ordinary screens",)
    with Image.open(path) as image:
        assert np.abs(next(iter(reader)).pixels.permute(1, 2, 0).numpy() * 255 - np.asarray(image.convert("RGB"))).mean() > 5
