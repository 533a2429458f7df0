"""The page for the browser: what it needs is there, it paints what Python paints, and nothing leaves the machine."""

import base64
import contextlib
import functools
import http.server
import io
import json
import os
import re
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
from impasto.job import export_web, web_engine
from tests.conftest import scene

pytest.importorskip("onnxruntime", reason="export needs its extra")
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_engine = pytest.mark.skipif(web_engine.engine_folder() is None, reason="onnxruntime-web is not here (make web)")
needs_browser = pytest.mark.skipif(
    BROWSER is None, reason="the page is tested with Chromium, which is not installed (apt-get install chromium)"
)


@pytest.fixture
def engine(monkeypatch, tmp_path):
    """Something in the place of the engine."""
    folder = tmp_path / "engine"
    folder.mkdir()
    (folder / "engine.wasm").write_bytes(b"\0asm")
    (folder / "NOTICE.txt").write_text("words")
    monkeypatch.setattr(export_web, "fetched_engine", lambda listener: folder)


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
    for name in ("index.html", "live.js", "worker.js", "sw.js", "live.css", "icon.svg", "README.txt", "_headers", "vendor/engine.wasm"):
        assert (folder / name).is_file(), name
    assert "Cross-Origin-Opener-Policy" in (folder / "README.txt").read_text()
    page = " ".join((folder / name).read_text() for name in ("index.html", "live.js", "worker.js", "sw.js", "live.css"))
    assert "https://" not in page, "the page asks nobody else for anything"
    first = held_of(folder)
    assert first[1] == {*first[1]} & {path.relative_to(folder).as_posix() for path in folder.rglob("*")}, "every file that is held is there"
    assert {"index.html", "vendor/engine.wasm", *(style["model"] for style in styles)} <= first[1]
    assert f'data-version="{first[0]}"' in (folder / "index.html").read_text()
    assert impasto.export_web(folder, "dusk-live") == folder, "the same folder is written anew"
    second = held_of(folder)
    assert second[0] != first[0], "another page has another version"
    assert sorted(path.name for path in (folder / "models").iterdir()) == [
        Path(json.loads((folder / "styles.json").read_text())[0]["model"]).name
    ]
    assert held_of(impasto.export_web(folder, "dusk-live")) == second, "the same page has the same version"


def held_of(folder):
    """The version of a page and the files that it holds for use offline."""
    text = (folder / "sw.js").read_text()
    version, files = (re.search(rf"const {name} = (.*);", text)[1] for name in ("VERSION", "FILES"))
    return json.loads(version), {*json.loads(files)}


def test_what_cannot_be_exported_is_said(engine, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("words")
    with pytest.raises(InputError, match="holds something else"):
        impasto.export_web(tmp_path / "full", "dusk-live")
    scene(64, 64).save(tmp_path / "painting.png")
    with pytest.raises(StyleError, match="--for live"):
        impasto.export_web(tmp_path / "web", tmp_path / "painting.png")
    with pytest.raises(InputError, match="same name"):
        impasto.export_web(tmp_path / "web", "dusk-live", "dusk-live")
    assert not (tmp_path / "web").exists()


def test_without_the_engine_nothing_is_written(monkeypatch, tmp_path):
    monkeypatch.setattr(web_engine, "BUNDLED", tmp_path / "none")
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", "http://127.0.0.1:9")
    with pytest.raises(UnavailableError, match="connect once"):
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
        assert np.abs(painted - expected).max() <= 1, "grey levels of 255"
        page.locator("#strength").evaluate("slider => { slider.value = 0; slider.dispatchEvent(new Event('input')); }")
        page.wait_for_timeout(1500)
        assert np.abs(_canvas(page) - np.asarray(photo.convert("RGB"), float)).mean() <= 1, "no strength is the photo"
        page.locator("#strength").evaluate("slider => { slider.value = 1; slider.dispatchEvent(new Event('input')); }")
        page.get_by_role("radio", name="Red sun").click()
        page.wait_for_timeout(3000)
        assert np.abs(_canvas(page) - _painted("woodcut-live", photo)).max() <= 1
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


@contextlib.contextmanager
def opened(folder):
    """A browser, and a server of a folder whose answers can be made to fail: the page's address, a context, and the paths that fail."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the page is tested with Playwright")
    broken = set()

    class Server(_Server):
        def do_GET(self):
            if any(name in self.path for name in broken):
                self.send_error(500)
            else:
                super().do_GET()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Server, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1000, "height": 900})
        context.set_default_timeout(90_000)
        yield f"http://127.0.0.1:{server.server_port}/?engine=wasm", context, broken
        browser.close()
    server.shutdown()


def paint(page, path, style):
    """Open a picture and choose a style; wait until it is painted."""
    page.select_option("#size", "256")
    before = page.evaluate("Number(document.body.dataset.painted || 0)")
    page.get_by_role("radio", name=style).click()
    page.set_input_files("#file", path)
    page.wait_for_function("before => Number(document.body.dataset.painted) > before", arg=before)
    page.wait_for_timeout(500)


@needs_engine
@needs_browser
@pytest.mark.long
@pytest.mark.xdist_group("browser")
def test_every_style_is_there_offline_and_a_new_export_replaces_them(tmp_path):
    folder = impasto.export_web(tmp_path / "web", "dusk-live", "woodcut-live")
    photo = scene(200, 121)
    photo.save(tmp_path / "photo.png")
    with opened(folder) as (address, context, broken):
        page = context.new_page()
        page.goto(address)
        version = held_of(folder)[0]
        page.wait_for_function("version => document.body.dataset.held === version", arg=version)
        assert re.search(r"All \d+ files are held", page.inner_text("#held"))
        if os.environ.get("IMPASTO_SCREENSHOTS"):
            page.screenshot(path=Path(os.environ["IMPASTO_SCREENSHOTS"]) / "web-held.png")
        context.set_offline(True)
        broken.add("/")  # nor does the server give anything
        page.close()
        page = context.new_page()
        page.goto(address)
        page.locator("body[data-engine=wasm]").wait_for()
        paint(page, tmp_path / "photo.png", "Red sun")  # was never chosen before
        assert np.abs(_canvas(page) - _painted("woodcut-live", photo)).max() <= 1
        assert page.locator("#styles img").evaluate_all("images => images.every((image) => image.naturalWidth > 0)")
        if os.environ.get("IMPASTO_SCREENSHOTS"):
            page.screenshot(path=Path(os.environ["IMPASTO_SCREENSHOTS"]) / "web-offline.png")
        context.set_offline(False)
        broken.clear()
        impasto.export_web(folder, "kiss-live")
        page.goto(address)
        page.get_by_role("radio", name="The Kiss").wait_for()
        assert page.get_by_role("radio").count() == 1, "the new page is shown at once"
        page.wait_for_function("version => document.body.dataset.held === version", arg=held_of(folder)[0])
        assert page.evaluate("caches.keys()") == [f"impasto-live-{held_of(folder)[0]}"], "what the old page held is forgotten"


@needs_engine
@needs_browser
@pytest.mark.long
@pytest.mark.xdist_group("browser")
def test_what_failed_once_is_tried_again(tmp_path):
    folder = impasto.export_web(tmp_path / "web", "dusk-live", "woodcut-live")
    photo = scene(96, 64)
    photo.save(tmp_path / "photo.png")
    with opened(folder) as (address, context, broken):
        broken |= {"vendor/", "woodcut-live-", "sw.js"}
        page = context.new_page()
        page.goto(address)
        page.get_by_text("The networks could not be loaded").wait_for()
        broken.remove("vendor/")
        paint(page, tmp_path / "photo.png", "Dusk")
        assert not page.is_visible("#error")
        assert np.abs(_canvas(page) - _painted("dusk-live", photo)).max() <= 1
        page.get_by_role("radio", name="Red sun").click()
        page.get_by_text("It could not be painted").wait_for()
        broken.clear()
        page.get_by_role("radio", name="Red sun").click()
        page.locator("#error").wait_for(state="hidden")
        page.wait_for_timeout(500)
        assert np.abs(_canvas(page) - _painted("woodcut-live", photo)).max() <= 1


@needs_engine
@needs_browser
@pytest.mark.long
@pytest.mark.xdist_group("browser")
def test_what_is_transparent_stays_so_and_changes_nothing(tmp_path):
    transparency = pytest.importorskip("impasto.media.transparency")
    folder = impasto.export_web(tmp_path / "web", "dusk-live")
    photo = scene(150, 97)
    alpha = Image.new("L", photo.size, 255)
    alpha.paste(0, (0, 0, 60, 97))
    alpha.paste(0, (100, 30, 130, 50))
    holed = photo.copy()
    holed.putalpha(alpha)
    holed.save(tmp_path / "holed.png")
    with opened(folder) as (address, context, _):
        page = context.new_page()
        page.goto(address)
        page.locator("body[data-engine=wasm]").wait_for()
        paint(page, tmp_path / "holed.png", "Dusk")
        found = _canvas(page, "RGBA")
        if os.environ.get("IMPASTO_SCREENSHOTS"):
            page.screenshot(path=Path(os.environ["IMPASTO_SCREENSHOTS"]) / "web-transparent.png")
        with page.expect_download() as kept:
            page.click("#save")
        saved = np.asarray(Image.open(kept.value.path()).convert("RGBA"), float)
    assert (found[:, :, 3] == np.asarray(alpha)).all()
    filled = transparency.filled(np.asarray(photo), np.asarray(alpha))
    expected = _painted("dusk-live", Image.fromarray(filled))
    assert np.abs(found[:, :, :3] - expected)[np.asarray(alpha) == 255].max() <= 1, "hidden colours have no part in it"
    unfilled = _painted("dusk-live", Image.fromarray(np.asarray(photo) * (np.asarray(alpha)[:, :, None] > 0)))
    assert np.abs(expected - unfilled)[np.asarray(alpha) == 255].max() > 10, "black would have"
    assert (saved[:, :, 3] == np.asarray(alpha)).all()


@needs_engine
@needs_browser
@pytest.mark.long
@pytest.mark.xdist_group("browser")
def test_pictures_take_no_more_and_more_memory(tmp_path):
    import psutil

    folder = impasto.export_web(tmp_path / "web", "dusk-live")
    for number in range(2):
        scene(500 - 4 * number, 300).save(tmp_path / f"{number}.png")
    with opened(folder) as (address, context, _):
        page = context.new_page()
        page.goto(address)
        page.locator("body[data-engine=wasm]").wait_for()
        taken = []
        for number in range(14):
            paint(page, tmp_path / f"{number % 2}.png", "Dusk")
            children = psutil.Process().children(recursive=True)
            taken.append(sum(child.memory_info().rss for child in children if "--type=renderer" in " ".join(child.cmdline())))
    assert taken[-1] - taken[3] < 60e6, [round(value / 1e6) for value in taken]


def _canvas(page, mode="RGB"):
    data = page.evaluate("document.querySelector('#picture').toDataURL('image/png')")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.split(",")[1]))).convert(mode), float)


def _painted(style, photo):
    """A frame as films are painted, in grey levels of 255."""
    controls = impasto.Controls(quality="draft", precision="float32", options={"film": True})
    pixels = torch.from_numpy(np.array(photo.convert("RGB"))).permute(2, 0, 1)[None].float() / 255
    return impasto.load_style(style, controls=controls)(pixels)[0].permute(1, 2, 0).mul(255).round().numpy()


def _photograph(folder):
    from skimage import data

    Image.fromarray(data.chelsea()).save(folder / "cat.png")
    return folder / "cat.png"
