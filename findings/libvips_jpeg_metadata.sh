#!/usr/bin/env bash
# libvips saves a JPEG without the metadata that do not fit into a segment of 64 kB, and reports no error: XMP and IPTC are gone whole (JPEG has
# extended XMP and several APP13 segments for them), and so is the value of EXIF that is too long.
# Exits 0 when that is so, 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pyvips==3.2.0 pyvips-binary==8.18.7
"$folder/venv/bin/python" - <<'PY'
import struct
import sys

import pyvips

print("libvips", ".".join(str(pyvips.version(part)) for part in range(3)), "pyvips", pyvips.__version__)


def blocks(length):
    text = b"d" * length
    return text, {
        "exif-data": b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<HHHIII", 1, 0x010E, 2, length, 26, 0) + text,
        "xmp-data": b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><!--' + text + b"--></x:xmpmeta>",
        "iptc-data": b"\x1c\x02\x78\x84\x00" + struct.pack(">I", length) + text,
    }


seen = []
for length in (10_000, 100_000):
    text, all_of_them = blocks(length)
    for name, block in all_of_them.items():
        image = pyvips.Image.black(40, 30, bands=3).copy(interpretation="srgb")
        image.set_type(pyvips.GValue.blob_type, name, block)
        seen.append(text[:1000] in image.jpegsave_buffer())
        print(f"{name} of {len(block)} bytes in a JPEG: expected kept, or an error; seen {'kept' if seen[-1] else 'gone, no error'}")
sys.exit(0 if all(seen[:3]) and not any(seen[3:]) else 1)
PY
