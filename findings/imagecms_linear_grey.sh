#!/usr/bin/env bash
# Pillow's ImageCms (LittleCMS): dark greys of a linear profile come out up to 10 of 255 too dark.
#
# A profile of grey with a straight curve, an image of mode "L": light of 2 of 255 is 21.7 of 255 in sRGB. Expected: 22. Seen: 12, by
# `profileToProfile` and by `buildTransform` without flags; `Flags.HIGHRESPRECALC` gives 15, and only `Flags.NOOPTIMIZE` 22.
# Scans and masks of linear grey are such files. Exits 0 when it is so, and 1 when it is so no more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 pillow==13.0.0
cat > "$folder/check.py" <<'PYTHON'
import io
import struct
import sys

import numpy as np
import PIL
from PIL import Image, ImageCms, features

print("Pillow", PIL.__version__, "LittleCMS", features.version("littlecms2"))
white = b"XYZ " + bytes(4) + struct.pack(">iii", 63190, 65536, 54061)
straight = b"curv" + bytes(8)
tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 2) + b"t\0" + bytes(79), b"wtpt": white, b"cprt": b"text" + bytes(4) + b"-\0", b"kTRC": straight}
head = bytes(4) + b"test" + bytes([2, 16, 0, 0]) + b"mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061) + bytes(48)
entries, data = b"", b""
for name, body in tags.items():
    entries += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(data), len(body))
    data += body + bytes(-len(body) % 4)
profile = head + struct.pack(">I", len(tags)) + entries + data
profile = struct.pack(">I", len(profile)) + profile[4:]

values = np.arange(256, dtype=np.uint8)[None]
light = values / 255
right = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055) * 255
source, target = ImageCms.ImageCmsProfile(io.BytesIO(profile)), ImageCms.createProfile("sRGB")
wrong = {}
for name, flags in (("no flags", 0), ("HIGHRESPRECALC", ImageCms.Flags.HIGHRESPRECALC), ("NOOPTIMIZE", ImageCms.Flags.NOOPTIMIZE)):
    transform = ImageCms.buildTransform(source, target, "L", "RGB", flags=flags)
    made = np.asarray(ImageCms.applyTransform(Image.fromarray(values), transform))[..., 0].astype(float)
    wrong[name] = float(np.abs(made - right).max())
    print(f"{name}: 2 becomes {made[0, 2]:.0f}, and {right[0, 2]:.1f} is right; largest difference {wrong[name]:.1f} of 255")
sys.exit(0 if wrong["no flags"] > 5 and wrong["NOOPTIMIZE"] < 1 else 1)
PYTHON
"$folder/venv/bin/python" "$folder/check.py"
