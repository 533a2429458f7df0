#!/usr/bin/env bash
# swscale makes 65280 of white where luma and chroma become RGB of 16 bits, and 0.996 where they become floats.
#
# Packages: av 18.1.0 (its FFmpeg), numpy 2.4.6.
# Input: white of YUV of 8 and 10 bits (luma 235, 940, and 255, 1023 of full range; chroma in the middle), by VideoFrame.reformat.
# Expected: 65535 in rgb48 and gbrp16, 1.0 in gbrpf32, as white is 255 in rgb24, and as RGB of 10 bits becomes RGB of 16 in the same library.
# Seen: 65280 to 65283 of video range, whatever the depth (0.9961 as a float); of full range the value shifted to the left, 65280 of 8 bits and 65472
#   of 10. Black is 0. Whoever divides by 65535 is up to one level of 255 too dark, and in PQ near white two of 255.
# Exit status: 0 as long as that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q av==18.1.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import av
import numpy as np
from av.video.reformatter import Interpolation

EXACT = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP


def white(stored, luma, full, made):
    frame = av.VideoFrame(64, 16, stored)
    kind, middle = (np.uint16, 512) if "10" in stored else (np.uint8, 128)
    for number, plane in enumerate(frame.planes):
        np.frombuffer(plane, kind)[:] = middle if number else luma
    given = {"src_colorspace": 1, "dst_colorspace": 1, "src_color_range": 2 if full else 1, "dst_color_range": 2}
    return frame.reformat(format=made, interpolation=EXACT, **given).to_ndarray()[8, 8].tolist()


def white_of_rgb():
    frame = av.VideoFrame(64, 16, "gbrp10le")
    for plane in frame.planes:
        np.frombuffer(plane, np.uint16)[:] = 1023
    return frame.reformat(format="rgb48le").to_ndarray()[8, 8].tolist()


print("av", av.__version__, "libswscale", av.library_versions["libswscale"])
for stored, luma, full, most in (
    ("yuv444p", 235, False, 65280), ("yuv444p10le", 940, False, 65280), ("yuv420p10le", 940, False, 65280), ("yuv444p10le", 1023, True, 65472),
):
    found = {made: white(stored, luma, full, made) for made in ("rgb24", "rgb48le", "gbrp16le", "gbrpf32le")}
    print(stored, "full range" if full else "video range", found)
    assert found["rgb24"] == [255] * 3
    assert found["rgb48le"] == found["gbrp16le"] and 0 <= found["rgb48le"][0] - most <= 3
    assert np.allclose(found["gbrpf32le"], most / 65535, atol=1e-4)
print("RGB of 10 bits", white_of_rgb())
assert white_of_rgb() == [65535] * 3
PY
