#!/usr/bin/env bash
# Four valid TIFF files that pyvips reads without an error as other images than they are: LZMA comes out black, planes of half floats
# mixed up, floats whose zero is white as a negative, and associated alpha of grey floats multiplies the colours by 255.
# Exits 0 when that is so, 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyvips==3.2.0 pyvips-binary==8.18.7 tifffile==2026.3.3 'numpy<3'
cd "$folder"
"$folder/venv/bin/python" - <<'PY'
import sys

import numpy as np
import pyvips
import tifffile

pyvips.cache_set_max(0)
print("libvips", ".".join(str(pyvips.version(part)) for part in range(3)), "pyvips", pyvips.__version__, "tifffile", tifffile.__version__)
rng = np.random.default_rng(0)
rgb = rng.integers(1, 256, (32, 48, 3), dtype=np.uint8)
half, grey = rng.random((32, 48, 3)).astype(np.float16), rng.random((32, 48)).astype(np.float32)
alpha = np.full_like(grey, 0.5)
cases = {
    "lzma": (rgb, {"photometric": "rgb", "compression": "lzma"}, rgb, "the pixels", lambda seen: not seen.any(), "zeros"),
    "planes of halves": (
        np.moveaxis(half, -1, 0), {"photometric": "rgb", "planarconfig": "separate"}, half, "the pixels",
        lambda seen: np.abs(seen - half).max() > 0.5, "other pixels",
    ),
    "zero is white, floats": (1 - grey, {"photometric": "miniswhite"}, grey, "1 - stored, as for integers", lambda seen: np.allclose(seen, 1 - grey), "the negative"),
    "associated alpha, grey floats": (
        np.dstack([grey * alpha, alpha]), {"photometric": "minisblack", "extrasamples": ["assocalpha"], "planarconfig": "contig"},
        np.dstack([grey, alpha]), "colours divided by alpha", lambda seen: np.allclose(seen[..., 0], 255 * grey, rtol=1e-3), "255 times that",
    ),
}
same = True
for name, (stored, options, expected, wanted, wrong, what) in cases.items():
    tifffile.imwrite("a.tif", stored, metadata=None, **options)
    assert np.array_equal(tifffile.imread("a.tif"), stored)
    try:
        seen = pyvips.Image.new_from_file("a.tif").numpy().astype(np.float64)
    except pyvips.Error as error:
        print(f"{name}: an error now: {str(error).strip().splitlines()[-1]}")
        same = False
        continue
    as_seen = bool(wrong(seen))
    right = seen.shape == expected.shape and np.allclose(seen, expected, atol=2e-3)
    print(f"{name}: expected {wanted}; seen {what if as_seen else 'the right pixels' if right else 'something else'}")
    same &= as_seen
sys.exit(0 if same else 1)
PY
