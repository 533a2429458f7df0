"""The client that the plug-ins of Krita and GIMP share, against a studio: what it asks, what it says, and that it leaves nothing behind."""

import importlib.util
import io
import threading
import time
from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("fastapi", reason="the studio needs its extra")

import uvicorn

from impasto.studio.app import create_app
from impasto.studio.settings import StudioSettings
from tests.conftest import scene
from tests.studio.conftest import TOKENS, as_file

ROOT = Path(__file__).parents[2] / "integrations"
FILE = ROOT / "krita/impasto_krita/client.py"


def loaded(path, name):
    """A file as a module."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


client = loaded(FILE, "impasto_client")


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    """A studio under a path, with a token, on a port of its own."""
    home = tmp_path_factory.mktemp("home")
    app = create_app(StudioSettings(home=home / "home", folders=(home,), tokens=TOKENS[:1], root_path="/paint", warm=False))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="on"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield client.Studio(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/paint/", f" {TOKENS[0]} "), home
    server.should_exit = True
    thread.join(30)


def test_both_plugins_have_the_same_client():
    assert (ROOT / "gimp/impasto/client.py").read_bytes() == FILE.read_bytes()


def test_styles_are_listed_and_live_ones_come_last(studio):
    names = [*studio[0].styles().values()]
    live = [name.endswith("-live") for name in names]
    assert "dusk" in names
    assert live == sorted(live)
    assert any(live)


@pytest.mark.parametrize("quality", client.QUALITIES)
def test_an_image_is_painted_at_its_own_size(studio, quality):
    told = []
    picture = studio[0].paint(as_file(scene(96, 64)), "my photo.png", "dusk", quality, lambda *step: told.append(step))
    assert Image.open(io.BytesIO(picture)).size == (96, 64)
    assert told[0][0] == "Sending the image"
    assert any(text.startswith("Painting") for text, _, _ in told)


def test_nothing_is_left_in_the_studio(studio):
    import json

    studio[0].paint(as_file(scene(96, 64)), "photo.png", "dusk", "draft")
    assert json.loads(studio[0].call("jobs")) == []
    assert not [*(studio[1] / "home/studio/pictures").glob("*/[0-9a-f]*")]


def test_a_cancel_is_noticed_within_a_second(studio):
    asked = []

    def stopped():
        asked.append(time.monotonic())
        return len(asked) > 2

    with pytest.raises(client.Stopped):
        studio[0].paint(as_file(scene(700, 500)), "photo.png", "dusk", "fine", stopped=stopped)
    assert time.monotonic() - asked[-1] < 5, "the job was cancelled and removed"


def test_messages_of_the_studio_reach_the_user(studio):
    with pytest.raises(client.StudioError, match=r"Notes\.png is not a picture"):
        studio[0].paint(b"words", "notes.png", "dusk", "draft")
    with pytest.raises(client.StudioError, match="There is no style 'dusky'"):
        studio[0].paint(as_file(scene(64, 64)), "photo.png", "dusky", "draft")
    with pytest.raises(client.StudioError, match=r"photo\.png"):
        studio[0].paint(as_file(scene(400, 5)), "photo.png", "dusk", "draft")


@pytest.mark.parametrize(
    ("address", "token", "words"),
    [
        ("http://127.0.0.1:9", "", "Start one with: impasto studio"),
        ("", "", "An address looks like"),
        ("file:///etc", "", "An address looks like"),
        ("HERE", "", "needs a token"),
        ("HERE", "a-token-of-nobody-at-all", "needs another token"),
        ("HERE/elsewhere", TOKENS[0], "nothing at this address"),
    ],
)
def test_what_to_do_is_said(studio, address, token, words):
    there = client.Studio(address.replace("HERE", studio[0].address), token)
    with pytest.raises(client.StudioError, match=words):
        there.styles()


def test_another_server_is_no_studio(tmp_path):
    import functools
    import http.server

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with pytest.raises(client.StudioError, match="not a studio"):
        client.Studio(f"http://127.0.0.1:{server.server_port}").styles()
    server.shutdown()
