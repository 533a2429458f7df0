#!/usr/bin/env bash
# LibRaw (rawpy) develops a linear DNG too dark whose BlackLevel is stated for each of its three samples: white is not lowered by black.
#
# Packages: rawpy 0.28.0 (LibRaw 0.22.2), tifffile 2026.3.3, numpy 2.4.6.
# Input: two DNG files of the same light, white all over, BlackLevel 3000, WhiteLevel 15000: one a mosaic (CFA), one with all colours at
#   each pixel (LinearRaw, BlackLevel 3000 3000 3000, as the DNG specification has it: one value for each sample).
# Expected: both are white, 255, with no_auto_bright and adjust_maximum_thr=0: (15000 - 3000) / (15000 - 3000).
# Seen: the mosaic is 255; the linear one is about 230, which is (15000 - 3000) / 15000 in linear light. LibRaw looks for the black that four
#   colours have in common, and the fourth, which such a file has not, has 0. With user_black=3000 and user_cblack=[0, 0, 0, 0] it is 255.
# Exit status: 0 as long as that is so.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q rawpy==0.28.0 tifffile==2026.3.3 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PY'
import numpy as np
import rawpy
import tifffile

BLACK, WHITE = 3000, 15000
XYZ_TO_CAMERA = np.linalg.inv([[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.072175], [0.0193339, 0.119192, 0.9503041]])
matrix = [number for value in XYZ_TO_CAMERA.ravel() for number in (round(value * 10_000), 10_000)]
about = [
    (271, "s", 0, "Test", True), (272, "s", 0, "Camera", True), (50706, "B", 4, (1, 4, 0, 0), True), (50708, "s", 0, "Test Camera", True),
    (50721, "2i", 9, tuple(matrix), True), (50728, "2I", 3, (1, 1) * 3, True), (50778, "H", 1, 21, True),
]
pattern = [(33421, "H", 2, (2, 2), True), (33422, "B", 4, (0, 1, 1, 2), True)]
single = [(50714, "H", 1, BLACK, True), (50717, "H", 1, WHITE, True)]
triple = [(50714, "H", 3, (BLACK,) * 3, True), (50717, "H", 3, (WHITE,) * 3, True)]
tifffile.imwrite("mosaic.dng", np.full((64, 96), WHITE, np.uint16), photometric=32803, metadata=None, extratags=[*about, *pattern, *single])
tifffile.imwrite("linear.dng", np.full((64, 96, 3), WHITE, np.uint16), photometric=34892, metadata=None, extratags=[*about, *triple])


def developed(path, **more):
    with rawpy.imread(path) as raw:
        made = raw.postprocess(use_camera_wb=True, no_auto_bright=True, adjust_maximum_thr=0.0, gamma=(2.4, 12.92), **more)
        return int(made[32, 48, 1]), raw.black_level_per_channel, raw.white_level


print("rawpy", rawpy.__version__, "LibRaw", rawpy.libraw_version)
mosaic, linear = developed("mosaic.dng"), developed("linear.dng")
mended = developed("linear.dng", user_black=BLACK, user_cblack=[0, 0, 0, 0])
print("white of the mosaic", mosaic, "of the linear file", linear, "with user_black", mended)
assert mosaic[0] == 255 and mended[0] == 255, "white is white"
light = (WHITE - BLACK) / WHITE
assert abs(linear[0] - 255 * (1.055 * light ** (1 / 2.4) - 0.055)) <= 1, "LibRaw lowers white by black now"
PY
echo "LibRaw still does not lower the white of a linear DNG by its black"
