#!/usr/bin/env bash
# Pillow writes an EXIF block with an Exif directory (any camera's) into an uncompressed TIFF, and fails at a compressed one. Given as an
# object instead of bytes it fails at neither, and loses the directory without a word.
# Exits 0 when that is so, 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pillow==13.0.0
"$folder/venv/bin/python" - <<'PY'
import io
import sys

import PIL
from PIL import Image

print("Pillow", PIL.__version__)
exif = Image.Exif()
exif[0x010F] = "Maker"
exif.get_ifd(0x8769)[0x9003] = "2021:07:04 12:20:30"
image, seen = Image.new("RGB", (40, 30)), []
for compression in (None, "tiff_adobe_deflate", "tiff_lzw"):
    for given in (exif.tobytes(), exif):
        file = io.BytesIO()
        try:
            image.save(file, "TIFF", exif=given, compression=compression)
            found = dict(Image.open(file).getexif().get_ifd(0x8769))
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        seen.append(found)
        print(f"{compression}, EXIF as {type(given).__name__}: expected the date, seen {found}")
date, lost, failed = {0x9003: "2021:07:04 12:20:30"}, {}, "RuntimeError: Error setting from dictionary"
sys.exit(0 if seen == [date, lost, failed, lost, failed, lost] else 1)
PY
