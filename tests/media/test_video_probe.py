"""Videos are known by what they hold, whatever their names say."""

import io
import zipfile

import pytest
from PIL import Image

from impasto.media.folders import contents
from impasto.media.opening import is_film
from impasto.media.video_probe import kind_of_video
from impasto.media.videos import FilmReader
from tests.conftest import scene
from tests.films import make_film
from tests.media.recordings import H264, copied, ffmpeg, frame_times, needs_ffmpeg, pictures, sound

KINDS = {
    "mov": ("-c:v", "mpeg4"),
    "matroska": H264,
    "webm": ("-c:v", "libvpx", "-deadline", "realtime"),
    "avi": ("-c:v", "mpeg4"),
    "asf": ("-c:v", "wmv2"),
    "flv": ("-c:v", "flv1"),
    "vob": ("-c:v", "mpeg2video"),
    "mpeg2video": ("-c:v", "mpeg2video"),
    "mpegts": H264,
    "ogg": ("-c:v", "libtheora"),
    "yuv4mpegpipe": ("-pix_fmt", "yuv420p"),
    "ivf": ("-c:v", "libvpx", "-deadline", "realtime"),
    "nut": ("-c:v", "mpeg4"),
    "mxf": ("-c:v", "mpeg2video"),
}


@needs_ffmpeg
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["clip", "clip.jpg", "clip.bin"])
def test_a_video_is_painted_under_any_name(tmp_path, kind, name):
    source = tmp_path / name
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=0.4", *KINDS[kind], "-f", kind, source)
    assert is_film(source)
    assert contents(tmp_path).files == [source]
    copied(source, tmp_path / "out.mp4")
    frames = list(FilmReader(source))
    assert len(frame_times(tmp_path / "out.mp4")) == len(frames) >= 8, "Theora leaves out frames that are like the one before"
    assert FilmReader(source).info.size == (48, 64)


@needs_ffmpeg
@pytest.mark.parametrize("cut", [0, 100])
@pytest.mark.parametrize("mode", ["0", "1"], ids=["188", "192"])
def test_broadcasts_may_begin_within_a_packet(tmp_path, cut, mode):
    ffmpeg(*pictures(1), *H264, "-f", "mpegts", "-mpegts_m2ts_mode", mode, tmp_path / "whole")
    (tmp_path / "clip").write_bytes((tmp_path / "whole").read_bytes()[cut:])
    assert kind_of_video(tmp_path / "clip") == "mpegts"


def no_videos():
    archive, grey = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("clip.mp4", b"\0" * 100)
    Image.new("L", (64, 64), 0x47).save(grey, "PPM")  # each byte is what packets of MPEG-TS begin with
    box = b"\0\0\0\x18ftyp"
    return {
        "component.ts": b"export const size: number = 3;\n" * 50,
        "module.mts": "// Größe\nexport {};\n".encode() * 80,
        "song.m4a": box + b"M4A \0\0\2\0M4A mp42" + bytes(200),
        "song": box + b"M4A \0\0\2\0M4A mp42" + bytes(200),
        "archive.zip": archive.getvalue(),
        "photo.heic": box + b"heic\0\0\0\0mif1heic" + bytes(200),
        "photo.avif": box + b"avif\0\0\0\0avifmif1" + bytes(200),
        "photo.cr3": box + b"crx \0\0\0\1crx isom" + bytes(200),
        "grey.pgm": grey.getvalue(),
        "empty": b"",
        "song.ogg": b"OggS\0\2" + bytes(22) + b"\1\x1e\1vorbis" + bytes(200),
    }


@pytest.mark.parametrize("name", no_videos())
def test_what_is_no_video_is_not_taken_for_one(tmp_path, name):
    (tmp_path / name).write_bytes(no_videos()[name])
    assert not is_film(tmp_path / name)


def test_source_code_in_a_folder_is_left_out_and_said(tmp_path):
    make_film(tmp_path / "clip.mp4", count=3, sound=False)
    (tmp_path / "component.ts").write_bytes(no_videos()["component.ts"])
    found = contents(tmp_path)
    assert [path.name for path in found.files] == ["clip.mp4"]
    assert "1 .ts" in found.left_out


@needs_ffmpeg
def test_sound_alone_is_no_video(tmp_path):
    for name in ("song.m4a", "song.mka", "song.ogg", "song.wma"):
        ffmpeg(*sound(0.2), tmp_path / name)
        assert not is_film(tmp_path / name)


def test_images_are_no_videos(tmp_path):
    for name in ("a.jpg", "a.png", "a.gif", "a.webp", "a.tif", "a.bmp"):
        scene(40, 40).save(tmp_path / name)
        assert not is_film(tmp_path / name)
