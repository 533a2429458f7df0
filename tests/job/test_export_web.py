"""The page for the browser: what it needs is there, it paints what Python paints, and nothing leaves the machine."""

import base64
import functools
import http.server
import io
import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import impasto
from impasto.cli import loaded
from impasto.errors import InputError, StyleError, UnavailableError
from impasto.job import export_web
from tests.conftest import scene

pytest.importorskip("onnxruntime", reason="export needs its extra")
VENDOR = export_web.PAGE / export_web.VENDOR
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_engine = pytest.mark.skipif(not any(VENDOR.glob("*.wasm")), reason="onnxruntime-web is not here (make web)")
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="the page is tested with Chromium, which is not installed (apt-get install chromium)"
)


@pytest.fixture
def engine(monkeypatch, tmp_path):
    """A page with something in the place of the engine."""
    page = tmp_path / "page"
    shutil.copytree(export_web.PAGE, page, ignore=shutil.ignore_patterns("vendor"))
    (page / "vendor").mkdir()
    (page / "vendor/engine.wasm").write_bytes(b"\0asm")
    monkeypatch.setattr(export_web, "PAGE", page)


def test_the_folder_holds_everything(engine, tmp_path):
    told = []
    folder = impasto.export_web(tmp_path / "web", "dusk-live", "woodcut-live", listener=told.append)
    assert [event.step for event in told] == [1, 2]
    styles = json.loads((folder / "styles.json").read_text())
    assert [style["title"] for style in styles] == ["Dusk, thick strokes of oil", "Red sun, woodcut in three inks"]
    for style in styles:
        assert (folder / style["model"]).stat().st_size > 500_000
        assert Image.open(folder / style["picture"]).size == (256, 256)
        assert "public domain" in style["licence"] or "Apache" in style["licence"] or style["licence"]
    for name in ("index.html", "live.js", "worker.js", "live.css", "icon.svg", "README.txt", "_headers", "vendor/engine.wasm"):
        assert (folder / name).is_file(), name
    assert "Cross-Origin-Opener-Policy" in (folder / "README.txt").read_text()
    page = " ".join((folder / name).read_text() for name in ("index.html", "live.js", "worker.js", "live.css"))
    assert "https://" not in page, "the page asks nobody else for anything"
    assert impasto.export_web(folder, "dusk-live") == folder, "the same folder is written anew"


def test_what_cannot_be_exported_is_said(engine, tmp_path, monkeypatch):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("words")
    with pytest.raises(InputError, match="holds something else"):
        impasto.export_web(tmp_path / "full", "dusk-live")
    scene(64, 64).save(tmp_path / "painting.png")
    with pytest.raises(StyleError, match="--for live"):
        impasto.export_web(tmp_path / "web", tmp_path / "painting.png")
    with pytest.raises(InputError, match="same name"):
        impasto.export_web(tmp_path / "web", "dusk-live", "dusk-live")
    monkeypatch.setattr(export_web, "PAGE", tmp_path)
    with pytest.raises(UnavailableError, match="make web"):
        impasto.export_web(tmp_path / "web", "dusk-live")
    assert not (tmp_path / "web").exists()


@pytest.mark.parametrize("words", [["--web", "x", "-o", "y.onnx"], ["--web", "x", "--precision", "float16"], [], ["a", "b"]])
def test_the_command_says_what_it_takes(words):
    from typer.testing import CliRunner

    done = CliRunner().invoke(loaded(["export"]), ["export", *words])
    assert isinstance(done.exception, InputError)


class _Server(http.server.SimpleHTTPRequestHandler):
    """A server of static files with the two headers of the page's README."""

    def end_headers(self):
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *words):
        pass


@needs_engine
@needs_browser
@pytest.mark.long
@pytest.mark.xdist_group("browser")
def test_the_browser_paints_what_python_paints(tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api", reason="the page is tested with Playwright")
    folder = impasto.export_web(tmp_path / "web", "dusk-live", "woodcut-live")
    photo = scene(256, 160)
    photo.save(tmp_path / "photo.png")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Server, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    flags = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=flags)
        page = browser.new_page(viewport={"width": 1000, "height": 900})
        page.set_default_timeout(90_000)
        asked, wrong = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(f"{address}?engine=wasm")
        page.locator("body[data-engine=wasm]").wait_for()
        page.select_option("#size", "256")
        page.set_input_files("#file", tmp_path / "photo.png")
        page.locator("body[data-painted]").wait_for()
        painted = _canvas(page)
        expected = _painted("dusk-live", photo)
        assert painted.shape == expected.shape
        assert np.abs(painted - expected).mean() <= 2, "grey levels of 255"
        page.locator("#strength").evaluate("slider => { slider.value = 0; slider.dispatchEvent(new Event('input')); }")
        page.wait_for_timeout(1500)
        assert np.abs(_canvas(page) - np.asarray(photo.convert("RGB"), float)).mean() <= 1, "no strength is the photo"
        page.locator("#strength").evaluate("slider => { slider.value = 1; slider.dispatchEvent(new Event('input')); }")
        page.get_by_role("radio", name="Red sun").click()
        page.wait_for_timeout(3000)
        assert np.abs(_canvas(page) - _painted("woodcut-live", photo)).mean() <= 2
        with page.expect_download() as kept:
            page.click("#save")
        assert kept.value.suggested_filename == "woodcut-live.png"
        page.click("#camera")
        page.get_by_text("frames a second").wait_for()
        page.wait_for_timeout(1000)
        if os.environ.get("IMPASTO_SCREENSHOTS"):
            page.set_input_files("#file", _photograph(tmp_path))
            page.wait_for_timeout(3000)
            page.screenshot(path=Path(os.environ["IMPASTO_SCREENSHOTS"]) / "studio-live.png")
        (tmp_path / "notes.png").write_text("words")
        page.set_input_files("#file", tmp_path / "notes.png")
        page.get_by_text("notes.png is no picture and no film").wait_for()
        page.wait_for_timeout(1000)
        assert page.get_by_text("notes.png is no picture and no film").is_visible(), "a frame that was still being painted does not hide it"
        browser.close()
    server.shutdown()
    assert not wrong
    assert all(url.startswith((address, "blob:", "data:")) for url in asked)


def _canvas(page):
    data = page.evaluate("document.querySelector('#picture').toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.split(",")[1]))).convert("RGB"), float)


def _painted(style, photo):
    """A frame as films are painted, in grey levels of 255."""
    controls = impasto.Controls(quality="draft", precision="float32", options={"film": True})
    pixels = torch.from_numpy(np.array(photo.convert("RGB"))).permute(2, 0, 1)[None].float() / 255
    return impasto.load_style(style, controls=controls)(pixels)[0].permute(1, 2, 0).mul(255).round().numpy()


def _photograph(folder):
    from skimage import data

    Image.fromarray(data.chelsea()).save(folder / "cat.png")
    return folder / "cat.png"
