#!/usr/bin/env bash
# libvips: `icc_transform` of 16 bits is further from the profile's formula than that of 8 bits.
#
# A profile of Adobe RGB's primaries and a gamma of 2.2, which needs no tables: (86, 152, 167) of 255 lies at the edge of sRGB, and is
# (1, 153, 169) there. Expected: 16 bits give 1.2 for red, as the formula does. Seen: 8 bits give 1, 16 bits give 14.
# Exits 0 when it is so, and 1 when it is so no more.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet numpy==2.4.6 pyvips==3.2.0 pyvips-binary==8.18.7
cat > "$folder/check.py" <<'PYTHON'
import struct
import sys

import numpy as np
import pyvips

print("pyvips", pyvips.__version__, "libvips", ".".join(str(pyvips.version(number)) for number in range(3)))
ADOBE = np.array([[0.60974, 0.20528, 0.14919], [0.31111, 0.62567, 0.06322], [0.01947, 0.06087, 0.74457]])
SRGB = np.array([[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]])
GAMMA = 563 / 256


def xyz(values):
    return b"XYZ " + bytes(4) + struct.pack(">iii", *(round(value * 65536) for value in values))


curve = b"curv" + bytes(4) + struct.pack(">IH", 1, 563)
tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", 2) + b"t\0" + bytes(79), b"wtpt": xyz((0.9642, 1, 0.8249)), b"cprt": b"text" + bytes(4) + b"-\0"}
tags |= {name: xyz(column) for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), ADOBE.T)} | dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
head = bytes(4) + b"test" + bytes([2, 16, 0, 0]) + b"mntrRGB XYZ " + bytes(12) + b"acsp" + bytes(28) + struct.pack(">iii", 63190, 65536, 54061) + bytes(48)
entries, data = b"", b""
for name, body in tags.items():
    entries += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(data), len(body))
    data += body + bytes(-len(body) % 4)
profile = head + struct.pack(">I", len(tags)) + entries + data
profile = struct.pack(">I", len(profile)) + profile[4:]

color = np.array([[[86, 152, 167]]])
light = ((color / 255) ** GAMMA @ (np.linalg.inv(SRGB) @ ADOBE).T).clip(0, 1)
right = np.where(light <= 0.0031308, light * 12.92, 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055) * 255
print("formula:", right.round(1).ravel())
made = {}
for bits, kind, interpretation in ((8, np.uint8, "srgb"), (16, np.uint16, "rgb16")):
    image = pyvips.Image.new_from_array((color * (257 if bits == 16 else 1)).astype(kind)).copy(interpretation=interpretation)
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    made[bits] = image.icc_transform("srgb", embedded=True, depth=bits).numpy() / (257 if bits == 16 else 1)
    print(f"{bits} bits:", made[bits].round(1).ravel())
wrong = {bits: float(np.abs(values - right).max()) for bits, values in made.items()}
print("largest difference of 255:", {bits: round(value, 1) for bits, value in wrong.items()})
sys.exit(0 if wrong[8] < 1 and wrong[16] > 5 else 1)
PYTHON
"$folder/venv/bin/python" "$folder/check.py"
