"""Fetch what pages of `impasto export --web` run on: onnxruntime-web, a version that is pinned, by npm, into the package's assets.

    python tools/vendor_web.py

The files are not part of the repository; a wheel that is built afterwards holds them.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

TARGET = Path(__file__).resolve().parent.parent / "src/impasto/assets/web/vendor"
PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
FILES = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    "ort.webgpu.min.mjs": "3dffff71811bc13a3a3d9591c57ca5ee5735b8f5f3eaf789510b02bb040ae3a0",
    "ort-wasm-simd-threaded.asyncify.mjs": "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28",
    "ort-wasm-simd-threaded.asyncify.wasm": "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
}
"""What pages need, with SHA-256: WebAssembly for processors, and the larger one for WebGPU."""
NOTICE = f"""{PACKAGE} {VERSION}, Copyright (c) Microsoft Corporation, https://github.com/microsoft/onnxruntime, under the MIT License:

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
following conditions: The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software. THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY
CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def is_there() -> bool:
    """Whether every file is there as it should be."""
    files = {name: TARGET / name for name in FILES}
    return all(path.is_file() and _digest(path.read_bytes()) == FILES[name] for name, path in files.items())


def main() -> None:
    """Fetch the files, unless they are there."""
    if is_there():
        return
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("pages for the browser need npm once, to fetch onnxruntime-web: https://nodejs.org")
    with tempfile.TemporaryDirectory() as folder:
        words = [npm, "pack", "--silent", "--json", "--pack-destination", folder, f"{PACKAGE}@{VERSION}"]
        packed = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)[0]["filename"]
        TARGET.mkdir(parents=True, exist_ok=True)
        with tarfile.open(Path(folder) / packed) as archive:
            for name, digest in FILES.items():
                member = archive.extractfile(f"package/dist/{name}")
                data = member.read() if member else b""
                if _digest(data) != digest:
                    sys.exit(f"{name} of {PACKAGE} {VERSION} is not the file that is pinned: nothing was kept of it")
                (TARGET / name).write_bytes(data)
    (TARGET / "NOTICE.txt").write_text(NOTICE, encoding="utf-8")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    main()
