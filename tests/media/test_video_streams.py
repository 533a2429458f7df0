"""Which stream of a file is painted, how it changes on the way, and what becomes of the others."""

import os
from fractions import Fraction
from itertools import pairwise

import av
import numpy as np
import pytest
from av.codec.context import ThreadType
from PIL import Image

from impasto.media.film_writer import FilmWriter
from impasto.media.videos import FilmError, FilmInfo, FilmReader, with_bars
from tests.media.recordings import H264, assert_in_time, copied, ffmpeg, needs_ffmpeg, pictures, probed, sound

pytestmark = needs_ffmpeg


def test_a_cover_is_not_the_video(tmp_path):
    Image.new("RGB", (90, 90), "red").save(tmp_path / "cover.jpg")
    for name, arguments in (
        (
            "in.mp4",
            ("-i", tmp_path / "cover.jpg", "-map", "2", "-map", "0", "-map", "1", "-c:v:0", "mjpeg", "-disposition:v:0", "attached_pic"),
        ),
        ("in.mkv", ("-attach", tmp_path / "cover.jpg", "-metadata:s:t", "mimetype=image/jpeg")),
    ):
        source = tmp_path / name
        ffmpeg(*pictures(1), *sound(1), *arguments, *(H264 if name == "in.mkv" else ("-c:v:1", "libx264")), "-c:a", "aac", source)
        reader = FilmReader(source)
        assert reader.info.size == (48, 64)
        assert len(list(reader)) == 25
        assert "left out: cover image" in copied(source, tmp_path / f"out-{name}")


def test_a_song_with_a_cover_is_refused_in_a_message(tmp_path):
    Image.new("RGB", (90, 90), "red").save(tmp_path / "cover.jpg")
    source = tmp_path / "song.mp4"
    ffmpeg("-i", tmp_path / "cover.jpg", *sound(1), "-map", "0", "-map", "1", "-c:v", "mjpeg", "-disposition:v", "attached_pic", source)
    with pytest.raises(FilmError, match="no video stream in it but a cover image"):
        FilmReader(source)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_of_several_video_streams_the_default_one_is_painted_and_the_others_are_named(tmp_path, suffix):
    source = tmp_path / f"in{suffix}"
    roles = ("-disposition:v:0", "0", "-disposition:v:1", "default", "-metadata:s:v:0", "title=Rear camera")
    ffmpeg(*pictures(1, size="96x64"), *pictures(1), "-map", "0", "-map", "1", *H264, *roles, source)
    reader = FilmReader(source)
    assert reader.info.size == (48, 64)
    said = " ".join(reader.remarks)
    assert "2 video streams: stream 1 (h264 64x48) is painted" in said
    assert ('"Rear camera" 0' if suffix == ".mkv" else "stream 0") + " (h264 96x64)" in said


def joined(tmp_path, *parts):
    source = tmp_path / "in.ts"
    for number, arguments in enumerate(parts):
        ffmpeg(*arguments, "-output_ts_offset", 20 * number, tmp_path / f"{number}.ts")
    source.write_bytes(b"".join((tmp_path / f"{number}.ts").read_bytes() for number in range(len(parts))))
    return source


def test_pixels_that_change_their_shape_on_the_way_are_followed(tmp_path):
    """4:3 and then 16:9 in the same 352x288 pixels, as broadcasts change: 384x288, and then 512x288 as 384x216 between bars."""
    white = ("-f", "lavfi", "-i", "color=white:s=352x288:r=25:d=1", "-c:v", "mpeg2video")
    source = joined(tmp_path, (*white, "-aspect", "4:3"), (*white, "-aspect", "16:9"))
    reader = FilmReader(source)
    frames = list(reader)
    assert reader.info.size == (288, 384)
    assert len(frames) == 50
    assert frames[0].bytes.min() > 250
    last = frames[-1].bytes
    assert last[:34].max() < 5
    assert last[-34:].max() < 5
    assert last[38:-38].min() > 250
    assert "25 frames of" in reader.remarks[-1]
    assert "bars surround them" in reader.remarks[-1]


def test_bars_keep_the_shape_of_a_frame_in_the_middle():
    found = with_bars(np.full((96, 80, 3), 200, np.uint8), (48, 64))
    assert found.shape == (48, 64, 3)
    assert (found[:, 12:52] == 200).all()
    assert not found[:, :12].any()
    assert not found[:, 52:].any()


def comb(picture):
    """How much lines differ from the mean of their neighbours."""
    rows = picture[..., 1].astype(float)
    return np.abs(rows[1:-1] - (rows[:-2] + rows[2:]) / 2).mean()


FIELDS = ("-flags", "+ilme+ildct", "-top", "1")


@pytest.mark.parametrize("kind", ["MPEG-2", "MBAFF"])
def test_what_becomes_interlaced_in_the_middle_is_deinterlaced_from_there(tmp_path, kind):
    coder = ("-c:v", "mpeg2video", "-b:v", "4M") if kind == "MPEG-2" else (*H264, "-crf", "15")
    moving = "color=black:s=128x96:r=50:d=1,drawbox=x=0:y=0:w=24:h=96:c=white:t=fill"
    pan = "scroll=h=-0.05"
    source = joined(
        tmp_path,
        ("-f", "lavfi", "-i", f"{moving},fps=25", "-vf", pan, *coder),
        ("-f", "lavfi", "-i", moving, "-vf", f"{pan},interlace=scan=tff:lowpass=0", *coder, *FIELDS),
    )
    with av.open(str(source)) as film:
        stored = [(frame.interlaced_frame, comb(frame.to_ndarray(format="rgb24"))) for frame in film.decode(video=0)]
    assert not stored[0][0]
    assert stored[-1][0]
    reader = FilmReader(source)
    frames = list(reader)
    assert len(frames) == len(stored) == 50
    assert [later.time - one.time for one, later in pairwise(frames)] == [3600] * 49
    assert max(comb(frame.bytes) for frame in frames[27:-1]) < 0.4 * max(value for _, value in stored[27:])
    assert "is interlaced and is deinterlaced" in " ".join(reader.remarks)


LAYOUTS = {"7.1": 8, "quad": 4, "5.1(side)": 6, "hexagonal": 6, "4.1": 5, "6.1": 7}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_channels_are_kept_or_it_is_said_that_they_are_mixed_down(tmp_path, layout, suffix):
    source = tmp_path / "in.mkv"
    ffmpeg(*pictures(1), *sound(1, layout=layout), *H264, "-c:a", "pcm_s16le", source)
    remark = copied(source, tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as film:
        channels = film.streams.audio[0].codec_context.layout.nb_channels
    assert "encoded anew" in remark
    assert channels == LAYOUTS[layout] or f"its {LAYOUTS[layout]} channels ({layout}) mixed down to" in remark
    if layout in ("7.1", "quad", "5.1(side)"):
        assert channels == LAYOUTS[layout]


@pytest.mark.parametrize("rate", [11_025, 37_000, 192_000])
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_sound_of_any_rate_is_encoded_anew(tmp_path, rate, suffix):
    source = tmp_path / "in.mkv"
    ffmpeg(*pictures(), *sound(), *H264, "-c:a", "pcm_s16le", "-ar", rate, source)
    assert "encoded anew" in copied(source, tmp_path / f"out{suffix}")
    assert_in_time(source, tmp_path / f"out{suffix}")


@pytest.mark.parametrize(
    ("codec", "suffix"),
    [
        ("libopus", ".mkv"),
        ("libvorbis", ".mkv"),
        ("ac3", ".ts"),
        ("pcm_s24be", ".mov"),
        ("mp3", ".avi"),
        ("flac", ".mkv"),
        ("alac", ".mov"),
    ],
)
def test_sound_of_every_kind_stays_in_time_in_every_container(tmp_path, codec, suffix):
    source = tmp_path / f"in{suffix}"
    ffmpeg(*pictures(), *sound(), "-c:v", "mpeg2video" if suffix == ".ts" else "mpeg4", "-c:a", codec, source)
    for target in (".mp4", ".mov", ".mkv", ".webm"):
        remark = copied(source, tmp_path / f"out{target}")
        assert "left out" not in remark
        assert_in_time(source, tmp_path / f"out{target}", seconds=0.05)


def test_chapters_are_not_said_to_be_lost_where_they_are_kept(tmp_path):
    (tmp_path / "chapters").write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=1000\ntitle=One\n", encoding="utf-8")
    source = tmp_path / "in.mp4"
    ffmpeg(*pictures(1), "-i", tmp_path / "chapters", "-map_metadata", "1", *H264, source)
    assert copied(source, tmp_path / "out.mp4") == ""
    assert probed(tmp_path / "out.mp4", "chapter_tags=title")["chapters"] == [{"tags": {"title": "One"}}]


def encoded(path, frames):
    """The decoded frames of a video that is written of these."""
    info = FilmInfo(frames[0].shape[:2], Fraction(25), Fraction(1, 25), len(frames), 0.0)
    writer = FilmWriter(path, None, info, info.size, "key")
    for number, frame in enumerate(frames):
        writer.write(frame, number)
    writer.finish()
    return [frame.bytes for frame in FilmReader(path)]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="cores cannot be taken away here")
@pytest.mark.parametrize("suffix", [".mp4", ".webm"])
def test_the_pixels_are_the_same_on_machines_of_any_number_of_cores(tmp_path, suffix):
    """Encoders decide otherwise with other numbers of threads, and FFmpeg takes as many as there are cores unless it is told."""
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        pytest.skip("one core alone")
    wide = np.kron(np.random.default_rng(0).integers(0, 256, (60, 100, 3), dtype=np.uint8), np.ones((7, 7, 1), np.uint8))
    frames = [np.ascontiguousarray(wide[3 * number : 3 * number + 360, 5 * number : 5 * number + 640]) for number in range(6)]
    many = encoded(tmp_path / f"many{suffix}", frames)
    try:
        os.sched_setaffinity(0, {min(cores)})
        one = encoded(tmp_path / f"one{suffix}", frames)
    finally:
        os.sched_setaffinity(0, cores)
    assert all(np.array_equal(*pair) for pair in zip(many, one, strict=True))


def test_encoders_have_threads_of_frames_in_a_fixed_number(tmp_path):
    info = FilmInfo((240, 320), Fraction(25), Fraction(1, 25), 1, 0.0)
    for suffix in (".mp4", ".webm"):
        writer = FilmWriter(tmp_path / f"out{suffix}", None, info, info.size, "key")
        writer.write(np.zeros((240, 320, 3), np.uint8), 0)
        context = writer._stream.codec_context
        assert (context.thread_count, context.thread_type) == (4, ThreadType.FRAME)
        writer.finish()


def test_a_360_degree_video_is_said_to_be_flat_afterwards(tmp_path):
    source = tmp_path / "in.mp4"
    ffmpeg(*pictures(1), *H264, tmp_path / "flat.mp4")
    data = (tmp_path / "flat.mp4").read_bytes()
    spherical = box(b"st3d", bytes(5)) + box(
        b"sv3d", box(b"svhd", bytes(4) + b"t\0") + box(b"proj", box(b"prhd", bytes(16)) + box(b"equi", bytes(20)))
    )
    source.write_bytes(with_boxes(data, spherical))
    assert "is a 360-degree video" in " ".join(FilmReader(source).remarks)
    assert "360" not in " ".join(FilmReader(tmp_path / "flat.mp4").remarks)


def box(kind, content):
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def with_boxes(data, added):
    """An MP4 whose index follows its frames, with boxes more at the end of the description of its frames."""
    data = bytearray(data)
    at = data.index(b"avc1", data.index(b"stsd")) - 4
    end = at + int.from_bytes(data[at : at + 4], "big")
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd", b"avc1"):
        begin = data.rindex(kind, 0, at + 8) - 4
        data[begin : begin + 4] = (int.from_bytes(data[begin : begin + 4], "big") + len(added)).to_bytes(4, "big")
    data[end:end] = added
    return bytes(data)
