"""What pages for the browser run on: onnxruntime-web, a version that is pinned, out of the package, the cache, or the npm registry."""

import base64
import hashlib
import os
import secrets
import shutil
import tarfile
import time
import urllib.request
from http.client import HTTPException
from pathlib import Path

from impasto.errors import UnavailableError
from impasto.events import Event, Listener
from impasto.storage.registry import ASSETS, NETWORK_TIMEOUT, cache_folder

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
ARCHIVE = f"{PACKAGE}-{VERSION}.tgz"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Of the archive that is published, in base64, as the registry states it."""
FILES = {
    "ort.wasm.min.mjs": "219e6a1fc8a9938268d18efca3c91d310bd2f4a59bbd13744df5b2b7fc6cee3b",
    "ort-wasm-simd-threaded.mjs": "e13f7f94fc51b4ca72b12faeb1ee95f4ace6dfbc8939bc718aabdc0a27c4299b",
    "ort-wasm-simd-threaded.wasm": "3398c10d07d229bd91b364548e130e0e51a8e5704b88c7c083ebbeb78842dee2",
    "ort.webgpu.min.mjs": "3dffff71811bc13a3a3d9591c57ca5ee5735b8f5f3eaf789510b02bb040ae3a0",
    "ort-wasm-simd-threaded.asyncify.mjs": "3d1c85995364bb643302fc6fd877a0c3ba5ae72401815e0f24828a53d9191e28",
    "ort-wasm-simd-threaded.asyncify.wasm": "39f9f0894d478800487ed9f7dbe92618498db320cf55c8e3d89adff8dce658da",
}
"""What pages need of it, with SHA-256: WebAssembly for processors, and the larger one for WebGPU."""
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
BUNDLED = ASSETS / "web/vendor"
"""Where a wheel may hold it."""
_BLOCK = 1 << 18


def cached() -> Path:
    """The folder in the cache where it is kept."""
    return cache_folder() / f"{PACKAGE}-{VERSION}"


def engine_folder() -> Path | None:
    """The folder that holds it, None if there is none."""
    return next((folder for folder in (BUNDLED, cached()) if all((folder / name).is_file() for name in FILES)), None)


def check_engine() -> Path:
    """The folder that holds it. Raises UnavailableError if there is none."""
    found = engine_folder()
    if found is None:
        raise UnavailableError(f"the page runs on {PACKAGE}, which is not here: impasto export --web FOLDER fetches it once")
    return found


def fetched_engine(listener: Listener, folder: Path | None = None) -> Path:
    """The folder that holds it, fetched into the cache if there is none. folder: where it has to be instead. listener: is told of
    megabytes.

    Raises UnavailableError if it cannot be fetched, or is not what is pinned; then nothing is kept of it.
    """
    found = engine_folder() if folder is None else folder if all(_is_pinned(folder / name, FILES[name]) for name in FILES) else None
    if found is not None:
        return found
    target = cached() if folder is None else folder
    beside = target.with_name(f".{target.name}-{secrets.token_hex(8)}")
    try:
        beside.mkdir(parents=True)
        given = cache_folder() / ARCHIVE
        archive = given if given.is_file() else _download(beside / ARCHIVE, listener)
        _check(archive)
        with tarfile.open(archive) as opened:
            for name in FILES:
                member = opened.extractfile(f"package/dist/{name}")
                (beside / name).write_bytes(member.read() if member else b"")
                if not _is_pinned(beside / name, FILES[name]):
                    raise UnavailableError(f"{name} of {PACKAGE} {VERSION} is not the file that is pinned: nothing was kept of it")
        (beside / ARCHIVE).unlink(missing_ok=True)
        (beside / "NOTICE.txt").write_text(NOTICE, encoding="utf-8")
        shutil.rmtree(target, ignore_errors=True)
        beside.rename(target)
    except (OSError, tarfile.TarError, KeyError) as error:
        raise UnavailableError(f"{PACKAGE} {VERSION} cannot be kept in {target} ({error})") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return target


def address() -> str:
    """Where the archive is fetched from: the npm registry, or the one that npm is told of by $NPM_CONFIG_REGISTRY."""
    registry = os.environ.get("NPM_CONFIG_REGISTRY") or "https://registry.npmjs.org"
    return f"{registry.rstrip('/')}/{PACKAGE}/-/{ARCHIVE}"


def _download(path: Path, listener: Listener) -> Path:
    where, began, taken = address(), time.monotonic(), 0
    try:
        with urllib.request.urlopen(where, timeout=NETWORK_TIMEOUT) as answer, path.open("wb") as file:
            total = int(answer.headers.get("content-length") or 0)
            while block := answer.read(_BLOCK):
                taken += file.write(block)
                listener(Event(taken // 10**6, max(taken, total) // 10**6, time.monotonic() - began))
    except (OSError, ValueError, HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise UnavailableError(
            f"the page runs on {PACKAGE} {VERSION}, which is fetched once, and {where} did not give it ({reason}); "
            f"connect once, or put that file into {cache_folder()}"
        ) from None
    return path


def _check(archive: Path) -> None:
    """Raises UnavailableError for any archive but the one that is pinned."""
    with archive.open("rb") as file:
        found = base64.b64encode(hashlib.file_digest(file, "sha512").digest()).decode()
    if found != SHA512:
        raise UnavailableError(f"{archive.name} is not the archive that is pinned (SHA-512 {SHA512[:16]}...): nothing was kept of it")


def _is_pinned(path: Path, digest: str) -> bool:
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == digest
