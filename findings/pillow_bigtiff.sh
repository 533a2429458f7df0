#!/usr/bin/env bash
# Pillow reads BigTIFF with the low byte first, and refuses the same image with the high byte first, which libtiff and tifffile read.
# Exits 0 when that is so, 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0 tifffile==2026.3.3 'numpy<3'
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError
from PIL import __version__ as version

print("Pillow", version, "tifffile", tifffile.__version__)
pixels = np.arange(32 * 48 * 3, dtype=np.uint32).reshape(32, 48, 3).astype(np.uint8)
seen = {}
for order in ("<", ">"):
    tifffile.imwrite("a.tif", pixels, photometric="rgb", bigtiff=True, byteorder=order, metadata=None)
    assert np.array_equal(tifffile.imread("a.tif"), pixels)
    try:
        seen[order] = bool(np.array_equal(np.asarray(Image.open("a.tif")), pixels))
    except UnidentifiedImageError as error:
        seen[order] = f"{type(error).__name__}: {error}"
print("low byte first: expected the pixels; seen", "the pixels" if seen["<"] is True else seen["<"])
print("high byte first: expected the pixels; seen", "the pixels" if seen[">"] is True else seen[">"])
sys.exit(0 if seen["<"] is True and seen[">"] is not True else 1)
PY
