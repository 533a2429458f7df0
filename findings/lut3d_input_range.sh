#!/usr/bin/env bash
# FFmpeg's filter lut3d and LUT_3D_INPUT_RANGE of .cube files: refused behind LUT_3D_SIZE, passed over in silence before it. 8 bits are cut off.
#
# Packages: av 18.1.0 (its FFmpeg), opencolorio 2.6.0 as the reference, numpy 2.4.6.
# Input: a .cube file with DaVinci Resolve's LUT_3D_INPUT_RANGE 0.0 2.0 and nodes that leave colours as they are, its keywords in either order.
# Expected: levels 26, 128 and 230 stay, as OpenColorIO has it for both orders, and as FFmpeg itself has it for Adobe's DOMAIN_MAX 2 2 2.
# Seen: behind LUT_3D_SIZE, where Resolve writes it, the filter cannot be made ("Invalid data"); before it, 26, 128 and 230 become 51 or 52, 255
#   and 255 without a message, as if the range were 0 to 1.
# Seen beside it: a table that adds nine tenths of a level changes no 8-bit level; OpenColorIO, rounded, adds one.
# Exit status: 0 as long as that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q av==18.1.0 opencolorio==2.6.0 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
from fractions import Fraction

import av
import numpy as np
import PyOpenColorIO as ocio


def cube(path, header, change, size=17, first=False):
    axis = np.linspace(0, 1, size)
    rows = (change(r, g, b) for b in axis for g in axis for r in axis)
    keywords = [header, f"LUT_3D_SIZE {size}\n"] if first else [f"LUT_3D_SIZE {size}\n", header]
    open(path, "w").write("".join(keywords) + "".join("%.7f %.7f %.7f\n" % row for row in rows))


def by_ffmpeg(path, levels):
    picture = np.repeat(np.array(levels, np.uint8)[None, :, None], 3, 2)
    graph = av.filter.Graph()
    source = graph.add_buffer(width=len(levels), height=1, format="rgb24", time_base=Fraction(1, 25))
    graph.link_nodes(source, graph.add("lut3d", f"file={path}:interp=trilinear"), graph.add("buffersink")).configure()
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    graph.push(frame)
    return graph.pull().to_ndarray(format="rgb24")[0, :, 0].tolist()


def by_opencolorio(path, levels):
    colors = np.repeat(np.array(levels, np.float32)[:, None] / 255, 3, 1)
    transform = ocio.FileTransform(src=path, interpolation=ocio.INTERP_LINEAR)
    ocio.Config.CreateRaw().getProcessor(transform).getDefaultCPUProcessor().applyRGB(colors)
    return np.rint(colors[:, 0] * 255).astype(int).tolist()


print("av", av.__version__, "OpenColorIO", ocio.__version__)
levels = [26, 128, 230]
same = lambda r, g, b: (2 * r, 2 * g, 2 * b)
cube("behind.cube", "LUT_3D_INPUT_RANGE 0.0 2.0\n", same)
cube("before.cube", "LUT_3D_INPUT_RANGE 0.0 2.0\n", same, first=True)
cube("domain.cube", "DOMAIN_MIN 0 0 0\nDOMAIN_MAX 2 2 2\n", same)
for name in ("behind", "before", "domain"):
    assert by_opencolorio(f"{name}.cube", levels) == levels, "OpenColorIO heeds all of them"
try:
    by_ffmpeg("behind.cube", levels)
    raise SystemExit("FFmpeg reads the range behind the size now")
except av.FFmpegError as error:
    print("range behind the size:", error)
before, domain = by_ffmpeg("before.cube", levels), by_ffmpeg("domain.cube", levels)
print("levels", levels, "range before the size:", before, "domain:", domain)
assert all(abs(a - b) <= 1 for a, b in zip(domain, levels)), "FFmpeg heeds Adobe's keyword"
assert before[0] in (51, 52) and before[1:] == [255, 255], "FFmpeg takes the range for 0 to 1"

every = list(range(255))
cube("raised.cube", "", lambda r, g, b: tuple(v + 0.9 / 255 for v in (r, g, b)))
raised, right = by_ffmpeg("raised.cube", every), by_opencolorio("raised.cube", every)
print("0.9 of a level added: FFmpeg changes the mean by", np.mean(raised) - np.mean(every), "OpenColorIO, rounded, by", np.mean(right) - np.mean(every))
assert np.mean(raised) - np.mean(every) < 0.1 and np.mean(right) - np.mean(every) == 1, "FFmpeg cuts off"
PY
echo "as described"
