"""What is kept of a video's metadata: names and languages of tracks always, all else on request, nothing of the source's pixels."""

import pytest

from impasto.job.engine import run
from impasto.job.parts import join_parts
from impasto.job.plan import plan
from impasto.job.request import Part
from impasto.settings import Controls
from tests.media.recordings import CPU, H264, Same, copied, ffmpeg, needs_ffmpeg, pictures, probed, sound

pytestmark = needs_ffmpeg

SAID = {
    "title": "Our holiday",
    "artist": "The family",
    "copyright": "(c) 2021",
    "creation_time": "2021-07-04T10:20:30.000000Z",
    "location": "+48.8577+002.2950/",
}


def recording(path, seconds=1):
    """A recording with a place, a date, a timecode, and two named tracks of sound."""
    said = [argument for key, value in SAID.items() for argument in ("-metadata", f"{key}={value}")]
    name = "title" if path.suffix == ".mkv" else "handler_name"
    tracks = ("-metadata:s:a:0", f"{name}=Camera", "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", f"{name}=Commentary")
    timecode = ("-timecode", "01:00:00:00") if path.suffix != ".mkv" else ()
    rest = ("-metadata:s:a:1", "language=fra", "-metadata", "encoder=Camera 3", "-metadata", "comment=secret")
    ffmpeg(
        *pictures(seconds),
        *sound(seconds),
        "-map",
        "0",
        "-map",
        "1",
        "-map",
        "1",
        *H264,
        "-c:a",
        "aac",
        *said,
        *tracks,
        *rest,
        *timecode,
        path,
    )
    return path


def said_by(path):
    found = probed(path, "format_tags:stream_tags:stream=codec_type")
    whole = {key.lower(): value for key, value in found["format"]["tags"].items()}
    named = [stream["tags"] for stream in found["streams"] if stream["codec_type"] == "audio"]
    tracks = [(tags.get("language"), tags.get("title") or tags.get("handler_name")) for tags in named]
    timecodes = [stream["tags"]["timecode"] for stream in found["streams"] if "timecode" in stream.get("tags", {})]
    return whole, tracks, timecodes or [whole[key] for key in ("timecode",) if key in whole]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("kind", [".mp4", ".mov", ".mkv"])
def test_metadata_is_kept_on_request_and_names_of_tracks_always(tmp_path, kind, suffix):
    source = recording(tmp_path / f"in{kind}")
    copied(source, tmp_path / f"plain{suffix}")
    copied(source, tmp_path / f"kept{suffix}", keep_metadata=True)
    plain, tracks, timecodes = said_by(tmp_path / f"plain{suffix}")
    assert plain["comment"] == "Impasto"
    assert not {*SAID} & {*plain}
    assert not timecodes
    assert tracks == [("eng", "Camera"), ("fra", "Commentary")]
    kept, tracks, timecodes = said_by(tmp_path / f"kept{suffix}")
    assert kept["comment"] == "Impasto"
    assert "Camera 3" not in kept.get("encoder", "")
    assert {key: kept.get(key) for key in SAID} == SAID
    assert tracks == [("eng", "Camera"), ("fra", "Commentary")]
    assert timecodes[:1] == ([] if kind == ".mkv" else ["01:00:00:00"])


def test_apples_own_fields_become_those_of_every_container(tmp_path):
    place = "+35.6586+139.7454+034/"
    apple = {"location.ISO6709": place, "make": "Apple", "model": "Phone", "creationdate": "2021-07-04T12:20:30+0200"}
    said = [argument for key, value in apple.items() for argument in ("-metadata", f"com.apple.quicktime.{key}={value}")]
    ffmpeg(*pictures(0.4), *H264, *said, "-movflags", "use_metadata_tags", tmp_path / "in.mov")
    copied(tmp_path / "in.mov", tmp_path / "out.mkv", keep_metadata=True)
    kept, _, _ = said_by(tmp_path / "out.mkv")
    assert (kept["location"], kept["make"], kept["model"]) == (place, "Apple", "Phone")


@pytest.mark.parametrize("keep", [False, True])
def test_parts_keep_it_when_they_are_joined(tmp_path, keep):
    source = recording(tmp_path / "in.mp4", 9)
    for number in (1, 2):
        jobs = plan([source], tmp_path / "out.mp4", "x", part=Part(number, 2)).jobs
        assert run(Same(), jobs, Controls(size=0, keep_metadata=keep), CPU).painted
    join_parts(source, tmp_path / "out.mp4")
    whole, tracks, _ = said_by(tmp_path / "out.mp4")
    assert tracks == [("eng", "Camera"), ("fra", "Commentary")]
    assert whole.get("location") == (SAID["location"] if keep else None)
    assert whole["comment"] == "Impasto"
