"""Recordings for tests, made by ffmpeg: a flash and a beep at 0.5 s, 1.5 s and so on; and what is seen and heard of a file."""

import json
import shutil
import subprocess

import av
import numpy as np
import pytest
import torch

from impasto.job.engine import run
from impasto.job.plan import plan
from impasto.runtime.device import Place
from impasto.settings import Controls

CPU = Place(torch.device("cpu"), torch.float32)
H264 = ("-c:v", "libx264", "-preset", "ultrafast")
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None or shutil.which("ffprobe") is None, reason="the program ffmpeg is missing")


class Same:
    """Leaves frames as they are."""

    def paint_bytes(self, frame):
        return frame

    def __call__(self, image, *, masks=None):
        return image


def ffmpeg(*arguments):
    done = subprocess.run(["ffmpeg", "-v", "error", "-y", *map(str, arguments)], capture_output=True, text=True)
    if "Unknown encoder" in done.stderr or "Unrecognized option" in done.stderr:
        pytest.skip(f"this ffmpeg cannot make it: {done.stderr.strip()[-100:]}")
    assert not done.returncode, done.stderr


def pictures(seconds=2, *, size="64x48", rate="25"):
    """Arguments for a video stream that flashes."""
    flash = "drawbox=c=white:t=fill:enable='between(mod(t+0.001,1),0.5,0.6)'"
    return "-f", "lavfi", "-i", f"color=black:s={size}:r={rate}:d={seconds},{flash}"


def sound(seconds=2, *, layout=None):
    """Arguments for a sound that beeps."""
    beep = f"aevalsrc='if(between(mod(t,1),0.5,0.6),0.7*sin(5529*t),0)':s=48000:d={seconds}"
    return "-f", "lavfi", "-i", beep if layout is None else f"{beep},pan={layout}|" + "|".join(f"c{k}=c0" for k in range(_channels(layout)))


def _channels(layout):
    return av.AudioLayout(layout).nb_channels


def copied(source, output, **controls):
    """Paint a video as it is; what is said of it."""
    job = run(Same(), plan([source], output, "x").jobs, Controls(size=0, **controls), CPU)
    assert job.painted, [str(each.error) for each in job.failed]
    return job.painted[0].remark


def probed(path, entries, *arguments):
    done = subprocess.run(["ffprobe", "-v", "error", "-of", "json", "-show_entries", entries, *arguments, str(path)], capture_output=True)
    return json.loads(done.stdout)


def frame_times(path):
    """Seconds at which frames begin, from where the file begins; and whether they flash."""
    with av.open(str(path)) as container:
        stream, begin = container.streams.video[0], (container.start_time or 0) / 1e6
        return [
            (float(frame.pts * stream.time_base) - begin, frame.to_ndarray(format="gray").mean() > 120)
            for frame in container.decode(stream)
        ]


def flashes(path):
    shown = frame_times(path)
    return [time for number, (time, bright) in enumerate(shown) if bright and not (number and shown[number - 1][1])]


def heard(path, stream=0):
    """When sound begins and ends, and when it beeps: seconds from where the file begins."""
    with av.open(str(path)) as container:
        begin, beeps, last = (container.start_time or 0) / 1e6, [], -9.0
        starts, end = [], 0.0
        for frame in container.decode(container.streams.audio[stream]):
            samples = np.abs(frame.to_ndarray().astype(float))
            samples = samples.reshape(-1, frame.samples) if frame.format.is_planar else samples.reshape(frame.samples, -1).T
            full = 1.0 if frame.format.name.startswith(("flt", "dbl")) else 32767.0
            time = float(frame.pts * frame.time_base) - begin
            starts.append(time)
            end = time + frame.samples / frame.sample_rate
            for at in np.flatnonzero(samples.max(0) > 0.15 * full):
                now = time + at / frame.sample_rate
                if now > last + 0.2:
                    beeps.append(now)
                last = now
    return starts[0], end, beeps


def assert_in_time(before, after, *, seconds=0.03):
    """Flashes and beeps of a painted video are apart as those of its source are, and all of them are there."""
    seen, shown = flashes(before), flashes(after)
    assert len(shown) == len(seen)
    beeps, now = heard(before)[2], heard(after)[2]
    assert len(now) == len(beeps)
    assert np.array([*shown, *now]) - shown[0] == pytest.approx(np.array([*seen, *beeps]) - seen[0], abs=seconds)
