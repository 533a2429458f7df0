#!/usr/bin/env bash
# The number of threads that an encoder takes decides the pixels of a video, and FFmpeg takes as many as the machine has cores.
#
# Packages: av 18.1.0 (its FFmpeg, x264 and libvpx), numpy 2.4.6.
# Input: 16 frames of smooth noise that moves, 1280x720, the same each time; crf 18 and preset veryfast, or crf 28 with row-mt 1.
# Expected: the same frames and the same settings give the same decoded pixels, whatever the machine. libvpx's documentation of row-mt
#   speaks of speed alone, and that frame threads of x264 change pixels from some number on is written nowhere we know of.
# Seen: x264 with slice threads, PyAV's default: other pixels with 1, 2, 3, 4 and 8 threads. With frame threads: the same ones with 1, 2 and
#   4, others with 8 and 16. VP9 with row-mt: other pixels with 1 thread than with 2, 4 and 8, which agree; without row-mt all agree.
# Exit status: 0 as long as that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q av==18.1.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import hashlib
import io

import av
import numpy as np

WIDTH, HEIGHT = 1280, 720
noise = np.random.default_rng(0).integers(0, 256, (HEIGHT + 200, WIDTH + 200, 3)).astype(np.float32)
for axis in (0, 1):
    for _ in range(4):
        noise = (noise + np.roll(noise, 1, axis) + np.roll(noise, -1, axis)) / 3
noise = ((noise - noise.min()) / np.ptp(noise) * 255).astype(np.uint8)
FRAMES = [np.ascontiguousarray(noise[4 * k : 4 * k + HEIGHT, 6 * k : 6 * k + WIDTH]) for k in range(16)]


def pixels(codec, options, threads, kind, frames=FRAMES):
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as video:
        stream = video.add_stream(codec, rate=25, options=options)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        if kind:
            stream.codec_context.thread_type = kind
        stream.codec_context.thread_count = threads
        for frame in frames:
            video.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        video.mux(stream.encode(None))
    file.seek(0)
    digest = hashlib.sha256()
    for frame in av.open(file).decode(video=0):
        digest.update(frame.to_ndarray(format="rgb24").tobytes())
    return digest.hexdigest()[:8]


def row(name, codec, options, counts, kind=None, frames=FRAMES):
    found = [pixels(codec, options, count, kind, frames) for count in counts]
    print(f"{name:24}", "  ".join(f"{count}: {digest}" for count, digest in zip(counts, found)), flush=True)
    return found


print("av", av.__version__, {name: ".".join(map(str, version)) for name, version in av.library_versions.items() if name == "libavcodec"})
X264, VP9 = {"crf": "18", "preset": "veryfast", "bf": "0"}, {"crf": "28", "b": "0", "deadline": "good", "cpu-used": "4"}
slices = row("x264, slice threads", "libx264", X264, (1, 2, 3, 4, 8), "SLICE")
whole = row("x264, frame threads", "libx264", X264, (1, 2, 4, 8, 16), "FRAME")
rows = row("VP9, row-mt 1", "libvpx-vp9", VP9 | {"row-mt": "1"}, (1, 2, 4, 8), frames=FRAMES[:6])
plain = row("VP9, row-mt 0", "libvpx-vp9", VP9 | {"row-mt": "0"}, (1, 4, 8), frames=FRAMES[:6])
assert pixels("libx264", X264, 8, "FRAME") == whole[3], "the same number gives the same pixels"
assert len(set(slices)) == 5
assert len(set(whole[:3])) == 1 and whole[3] != whole[0] and whole[4] != whole[0]
assert rows[0] != rows[1] and len(set(rows[1:])) == 1
assert len(set(plain)) == 1
PY
