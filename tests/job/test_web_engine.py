"""onnxruntime-web is fetched once, from where npm would fetch it, and only as it is pinned."""

import base64
import contextlib
import functools
import hashlib
import http.server
import io
import shutil
import subprocess
import sys
import tarfile
import threading
from pathlib import Path

import pytest

from impasto.errors import UnavailableError
from impasto.events import silence
from impasto.job import web_engine

CONTENT = {"ort.wasm.min.mjs": b"export {};", "ort-wasm-simd-threaded.wasm": b"\0asm" + bytes(range(256)) * 9000}


def archive(content=CONTENT):
    """An archive as npm publishes it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as opened:
        for name, data in {"README.md": b"words", **{f"dist/{name}": data for name, data in content.items()}}.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(data)
            opened.addfile(member, io.BytesIO(data))
    return file.getvalue()


@contextlib.contextmanager
def served(folder):
    """A server of a folder; its address, and what it was asked for."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


@pytest.fixture
def registry(monkeypatch, tmp_path):
    """A registry that has the package, pinned; the folder that it serves."""
    data = archive()
    place = tmp_path / "registry/onnxruntime-web/-"
    place.mkdir(parents=True)
    (place / web_engine.ARCHIVE).write_bytes(data)
    monkeypatch.setattr(web_engine, "FILES", {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()})
    monkeypatch.setattr(web_engine, "SHA512", base64.b64encode(hashlib.sha512(data).digest()).decode())
    monkeypatch.setattr(web_engine, "BUNDLED", tmp_path / "none")
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("npm_config_registry", raising=False)
    with served(tmp_path / "registry") as (address, asked):
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", f"{address}/")
        yield place, asked


def test_it_is_fetched_once(registry, tmp_path):
    _, asked = registry
    with pytest.raises(UnavailableError, match="impasto export --web FOLDER fetches it once"):
        web_engine.check_engine()
    told = []
    folder = web_engine.fetched_engine(told.append)
    assert folder == tmp_path / "cache/onnxruntime-web-1.30.0"
    assert {name: (folder / name).read_bytes() for name in CONTENT} == CONTENT
    assert "MIT License" in (folder / "NOTICE.txt").read_text()
    assert told[-1].step == told[-1].total
    assert web_engine.fetched_engine(silence) == folder == web_engine.check_engine()
    assert asked == ["/onnxruntime-web/-/onnxruntime-web-1.30.0.tgz"]
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name], "nothing is left beside it"


def test_one_in_the_package_comes_first(registry, monkeypatch, tmp_path):
    monkeypatch.setattr(web_engine, "BUNDLED", tmp_path / "bundled")
    assert web_engine.fetched_engine(silence, tmp_path / "bundled") == tmp_path / "bundled"
    assert web_engine.fetched_engine(silence) == tmp_path / "bundled"
    assert len(registry[1]) == 1
    (tmp_path / "bundled/ort.wasm.min.mjs").write_bytes(b"something else")
    web_engine.fetched_engine(silence, tmp_path / "bundled")
    assert (tmp_path / "bundled/ort.wasm.min.mjs").read_bytes() == CONTENT["ort.wasm.min.mjs"], "what was changed is fetched anew"


def test_an_archive_in_the_cache_needs_no_network(registry, monkeypatch, tmp_path):
    place, asked = registry
    (tmp_path / "cache").mkdir()
    shutil.copy(place / web_engine.ARCHIVE, tmp_path / "cache")
    assert web_engine.fetched_engine(silence).is_dir()
    assert not asked


def test_another_archive_is_refused(registry, tmp_path):
    place, _ = registry
    (place / web_engine.ARCHIVE).write_bytes(archive({**CONTENT, "ort.wasm.min.mjs": b"export { evil };"}))
    with pytest.raises(UnavailableError, match="is not the archive that is pinned"):
        web_engine.fetched_engine(silence)
    assert not [*(tmp_path / "cache").iterdir()]


def test_another_file_is_refused(registry, monkeypatch, tmp_path):
    monkeypatch.setattr(web_engine, "FILES", {**web_engine.FILES, "ort.wasm.min.mjs": "0" * 64})
    with pytest.raises(UnavailableError, match=r"ort\.wasm\.min\.mjs .* is not the file that is pinned"):
        web_engine.fetched_engine(silence)
    assert not [*(tmp_path / "cache").iterdir()]


def test_an_archive_that_lacks_files_is_refused(registry, monkeypatch, tmp_path):
    monkeypatch.setattr(web_engine, "FILES", {**web_engine.FILES, "more.wasm": "0" * 64})
    with pytest.raises(UnavailableError, match=r"more\.wasm"):
        web_engine.fetched_engine(silence)
    assert not [*(tmp_path / "cache").iterdir()]


def test_one_that_is_cut_off_is_refused(registry, tmp_path):
    place, _ = registry
    (place / web_engine.ARCHIVE).write_bytes(archive()[:-100])
    with pytest.raises(UnavailableError, match="not the archive that is pinned"):
        web_engine.fetched_engine(silence)


@pytest.mark.parametrize("where", ["http://127.0.0.1:9", "http://registry.invalid", "nonsense", "MISSING"])
def test_without_a_network_it_is_said_what_to_do(registry, monkeypatch, tmp_path, where):
    if where == "MISSING":
        (registry[0] / web_engine.ARCHIVE).unlink()
    else:
        monkeypatch.setenv("NPM_CONFIG_REGISTRY", where)
    with pytest.raises(UnavailableError) as caught:
        web_engine.fetched_engine(silence)
    said = str(caught.value)
    assert "\n" not in said
    assert f"connect once, or put that file into {tmp_path / 'cache'}" in said
    assert web_engine.ARCHIVE in said


def test_an_interrupt_leaves_nothing(registry, tmp_path):
    def stop(event):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        web_engine.fetched_engine(stop)
    assert not [*(tmp_path / "cache").iterdir()]


def test_the_tool_says_what_went_wrong(tmp_path):
    tool = Path(__file__).parents[2] / "tools/vendor_web.py"
    code = "import runpy, sys; from impasto.job import web_engine; from pathlib import Path; web_engine.BUNDLED = Path('none');"
    code += f"runpy.run_path({str(tool)!r}, run_name='__main__')"
    own = {
        "PYTHONPATH": ":".join(sys.path),
        "NPM_CONFIG_REGISTRY": "http://127.0.0.1:9",
        "IMPASTO_CACHE": str(tmp_path),
        "PATH": "/usr/bin",
    }
    done = subprocess.run([sys.executable, "-c", code], env=own, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert "connect once" in done.stderr
    assert "Traceback" not in done.stderr
