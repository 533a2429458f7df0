"""Time in videos: every stream begins and ends where it did, and nothing whole is called cut off."""

from fractions import Fraction

import av
import numpy as np
import pytest

from impasto.media.film_writer import FilmWriter
from impasto.media.time_jumps import Continued, recordings_of
from impasto.media.videos import FilmInfo, FilmReader
from tests.media.recordings import H264, assert_in_time, copied, ffmpeg, flashes, frame_times, heard, needs_ffmpeg, pictures, probed, sound

pytestmark = needs_ffmpeg


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_sound_after_the_last_frame_is_kept(tmp_path, suffix):
    source, output = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    ffmpeg(*pictures(1), *sound(3), *H264, "-c:a", "aac", source)
    assert copied(source, output) == ""
    assert len(heard(output)[2]) == 3
    assert heard(output)[1] == pytest.approx(3, abs=0.05)
    assert len(frame_times(output)) == 25


@pytest.mark.parametrize("offset", ["-0.4", "0.7"])
@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "aac"), (".mov", "pcm_s16le"), (".mkv", "pcm_s16le"), (".ts", "mp2")])
def test_sound_that_begins_before_or_after_the_pictures_stays_in_time(tmp_path, offset, suffix, codec):
    source = tmp_path / f"in{suffix}"
    ffmpeg(*pictures(), "-itsoffset", offset, *sound(), *H264, "-c:a", codec, source)
    for target in (".mp4", ".mkv"):
        remark = copied(source, tmp_path / f"out{target}")
        assert "cut off" not in remark
        assert "damaged" not in remark
        assert_in_time(source, tmp_path / f"out{target}")


@pytest.mark.parametrize("target", [".mp4", ".mov", ".mkv"])
def test_what_an_edit_list_hides_stays_hidden(tmp_path, target):
    """A cut without encoding keeps frames from the last key frame on, and says which of them are shown."""
    whole, source, output = tmp_path / "whole.mp4", tmp_path / "in.mp4", tmp_path / f"out{target}"
    ffmpeg(*pictures(3), *sound(3), *H264, "-g", "50", "-c:a", "aac", whole)
    ffmpeg("-ss", "0.8", "-i", whole, "-c", "copy", source)
    assert copied(source, output) == ""
    assert_in_time(source, output)
    assert len(frame_times(output)) == len(frame_times(source)) == 55
    assert flashes(output)[0] == pytest.approx(0.7, abs=0.05)


@pytest.mark.parametrize("suffix", [".ts", ".mkv"])
def test_a_recording_whose_clock_begins_at_an_hour_begins_at_nothing(tmp_path, suffix):
    source, output = tmp_path / f"in{suffix}", tmp_path / "out.mp4"
    ffmpeg(*pictures(), *sound(), *H264, "-c:a", "mp2", "-output_ts_offset", "3600", source)
    assert copied(source, output) == ""
    assert float(probed(output, "format=start_time,duration")["format"]["duration"]) == pytest.approx(2, abs=0.06)
    assert_in_time(source, output)


@pytest.mark.parametrize(
    "begins", [(0, 100), (100, 0), (50, 30), (0, 0), (95_442, 700)], ids=["ahead", "back", "a little back", "twice", "over"]
)
def test_joined_recordings_go_on_where_their_clocks_jump(tmp_path, begins):
    """Two recordings of 2 s, one file behind the other: 4 s, with the sound in time in both. A clock of 33 bits ends at 95443.7 s."""
    parts = [tmp_path / "one.ts", tmp_path / "two.ts"]
    for part, begin in zip(parts, begins, strict=True):
        ffmpeg(*pictures(), *sound(), *H264, "-bf", "2", "-c:a", "mp2", "-output_ts_offset", begin, part)
    source = tmp_path / "in.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    info = FilmReader(source).info
    assert info.duration == pytest.approx(4, abs=0.1), "so that progress and parts are right"
    for target in (".mp4", ".mkv"):
        assert copied(source, tmp_path / f"out{target}") == ""
        shown, beeps = flashes(tmp_path / f"out{target}"), heard(tmp_path / f"out{target}")[2]
        assert np.diff(shown) == pytest.approx([1, 1, 1], abs=0.05)
        assert np.array(beeps) - shown == pytest.approx(0, abs=0.05)
        assert len(frame_times(tmp_path / f"out{target}")) == 100


def test_a_clock_of_33_bits_that_runs_over_is_not_a_jump(tmp_path):
    source, output = tmp_path / "in.ts", tmp_path / "out.mp4"
    ffmpeg(*pictures(3), *sound(3), *H264, "-c:a", "mp2", "-output_ts_offset", 2**33 / 90_000 - 2.4, source)
    assert copied(source, output) == ""
    assert np.diff(frame_times(output), axis=0)[:, 0] == pytest.approx(0.04, abs=0.002)
    assert_in_time(source, output)


def test_titles_of_a_disc_follow_each_other(tmp_path):
    """Each title of an MPEG program stream begins its clock anew."""
    title, source = tmp_path / "title.mpg", tmp_path / "in.vob"
    ffmpeg(*pictures(), *sound(), "-c:v", "mpeg2video", "-c:a", "mp2", "-f", "vob", title)
    source.write_bytes(2 * title.read_bytes())
    assert "cut off" not in copied(source, tmp_path / "out.mp4")
    shown = flashes(tmp_path / "out.mp4")
    assert np.diff(shown) == pytest.approx([1, 1, 1], abs=0.05)
    assert np.array(heard(tmp_path / "out.mp4")[2]) - shown == pytest.approx(0, abs=0.05)


def test_times_go_on_with_whichever_recording_is_nearer():
    """A packet of the second recording may come a little before the last one of the first."""
    times = Continued((Fraction(0), Fraction(-90)))
    tick = Fraction(1, 10)
    assert [float(times(Fraction(time, 10), tick)) for time in (97, 98, 99, 1000, 1001)] == pytest.approx([9.7, 9.8, 9.9, 10.0, 10.1])


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_container_that_knows_its_times_is_not_searched(tmp_path, suffix):
    ffmpeg(*pictures(1), *H264, tmp_path / f"in{suffix}")
    assert recordings_of(tmp_path / f"in{suffix}", 0).offsets == (0,)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_frames_in_avi_are_in_order_and_in_time(tmp_path, codec):
    """AVI says of no packet when it is shown: B-frames come in another order than they are shown in."""
    source, output = tmp_path / "in.avi", tmp_path / "out.mp4"
    ffmpeg(*pictures(), *sound(), "-c:v", codec, "-bf", "2", "-c:a", "pcm_s16le", source)
    copied(source, output)
    times = [time for time, _ in frame_times(output)]
    assert times == pytest.approx([k / 25 for k in range(50)], abs=0.002)
    assert flashes(output) == pytest.approx([0.52, 1.52], abs=0.03)
    assert heard(output)[2] == pytest.approx([0.5, 1.5], abs=0.03)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_the_last_frame_keeps_its_own_duration(tmp_path, suffix):
    info = FilmInfo((48, 64), Fraction(25), Fraction(1, 1000), 3, 0.0)
    writer = FilmWriter(tmp_path / f"out{suffix}", None, info, (48, 64), "key")
    for time, lasts in ((0, 40), (40, 40), (80, 2000)):
        writer.write(np.full((48, 64, 3), time, np.uint8), time, duration=lasts)
    writer.finish()
    assert float(probed(tmp_path / f"out{suffix}", "format=duration")["format"]["duration"]) == pytest.approx(2.08, abs=0.002)
    again = FilmReader(tmp_path / f"out{suffix}")
    frames = list(again)
    assert float((frames[-1].time + frames[-1].duration) * again.info.time_base) == pytest.approx(2.08, abs=0.002)
    assert not again.problem


@pytest.mark.parametrize(("rate", "stated"), [("24000/1001", "23.98"), ("25", "25"), ("30000/1001", "29.97"), ("60000/1001", "59.94")])
def test_matroska_says_how_many_frames_a_second_and_can_be_painted_again(tmp_path, rate, stated):
    ffmpeg(*pictures(1, rate=rate), *H264, tmp_path / "in.mp4")
    count = len(frame_times(tmp_path / "in.mp4"))
    copied(tmp_path / "in.mp4", tmp_path / "one.mkv")
    (stream,) = probed(tmp_path / "one.mkv", "stream=r_frame_rate,avg_frame_rate")["streams"]
    assert {key: float(Fraction(value)) for key, value in stream.items()} == pytest.approx(
        dict.fromkeys(stream, float(Fraction(rate))), rel=2e-4
    ), stated
    copied(tmp_path / "one.mkv", tmp_path / "two.mkv")
    assert len(frame_times(tmp_path / "two.mkv")) == count
    assert FilmReader(tmp_path / "two.mkv").info.length == pytest.approx(count, abs=1)


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_times_are_exact_where_pieces_meet(tmp_path, suffix):
    """130 frames of 1001/30000 s that begin late, in pieces of 50: not a unit is lost, in the file or between pieces."""
    info = FilmInfo((48, 64), Fraction(30_000, 1001), Fraction(1, 30_000), 130, 0.0, start=7007)
    times = [7007 + 1001 * number for number in range(130)]
    writer = FilmWriter(tmp_path / f"out{suffix}", None, info, (48, 64), "key")
    for time in times:
        writer.write(np.full((48, 64, 3), time % 251, np.uint8), time, duration=1001)
    writer.finish()
    again = FilmReader(tmp_path / f"out{suffix}")
    assert again.info.time_base == Fraction(1, 30_000)
    assert [frame.time for frame in again] == times


def test_videos_of_phones_with_uneven_times_keep_them(tmp_path):
    source, output = tmp_path / "in.mp4", tmp_path / "out.mp4"
    uneven = ("-vf", r"select=not(mod(n\,3))+gt(n\,30)", "-fps_mode", "vfr", "-video_track_timescale", "90000")
    ffmpeg(*pictures(), *sound(), *H264, *uneven, "-c:a", "aac", source)
    assert copied(source, output) == ""
    assert [time for time, _ in frame_times(output)] == pytest.approx([time for time, _ in frame_times(source)], abs=1e-4)
    assert_in_time(source, output)


def test_gaps_in_sound_that_is_encoded_anew_stay_gaps(tmp_path):
    """A second of the sound is missing in the source: what follows is still heard when it was."""
    source = tmp_path / "in.mkv"
    ffmpeg(*pictures(4), *sound(4), *H264, "-c:a", "pcm_s16le", tmp_path / "whole.mkv")
    with av.open(str(tmp_path / "whole.mkv")) as whole, av.open(str(source), "w") as film:
        streams = {stream.index: film.add_stream_from_template(stream) for stream in whole.streams}
        for packet in whole.demux():
            hidden = packet.stream.type == "audio" and packet.pts is not None and 1.1 < packet.pts * packet.time_base < 2.2
            if packet.dts is not None and not hidden:
                packet.stream = streams[packet.stream.index]
                film.mux(packet)
    assert "encoded anew" in copied(source, tmp_path / "out.mp4")
    assert heard(tmp_path / "out.mp4")[2] == pytest.approx([0.5, 2.5, 3.5], abs=0.04)
    assert flashes(tmp_path / "out.mp4") == pytest.approx([0.52, 1.52, 2.52, 3.52], abs=0.03)
