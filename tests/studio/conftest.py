"""A studio for tests: its application, called without a network, in a home of its own."""

import io
import time
from contextlib import contextmanager

import pytest

pytest.importorskip("fastapi", reason="the studio needs its extra")

from starlette.testclient import TestClient

from impasto.studio.app import create_app
from impasto.studio.settings import StudioSettings
from tests.conftest import scene
from tests.films import make_film

ADDRESS = "http://127.0.0.1:8600"
TOKENS = ("a-token-of-the-first-person", "a-token-of-the-second-person")


@contextmanager
def studio(home, **more):
    """A client of a studio; everything is stopped at the end."""
    folder = home / "films"
    folder.mkdir(parents=True, exist_ok=True)
    settings = StudioSettings(home=home / "home", folders=(folder,), warm=False, **more)
    with TestClient(create_app(settings), base_url=ADDRESS, raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A studio without tokens, and a folder with a film."""
    home = tmp_path_factory.mktemp("studio")
    (home / "films/holiday").mkdir(parents=True)
    make_film(home / "films/holiday/clip.mp4", count=12)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IMPASTO_CACHE", str(home / "cache"))  # what was learned by another test has no steps
        with studio(home) as found:
            found.home = home
            yield found


def as_file(picture, kind="PNG"):
    """A picture as bytes."""
    file = io.BytesIO()
    picture.save(file, kind)
    return file.getvalue()


def keep(client, picture=None, name="photo.png", **more):
    """Send a picture; its id."""
    answer = client.post("/api/pictures", params={"name": name}, content=as_file(picture or scene(96, 64)), **more)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def ended(client, key, seconds=120, **more):
    """A job when it has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job = client.get(f"/api/jobs/{key}", **more).json()
        if job["state"] in ("done", "failed", "cancelled", "paused"):
            return job
        time.sleep(0.05)
    raise AssertionError(f"the job did not end: {job}")


def sentence(answer, status):
    """The sentence of an answer that refuses something: one, without folders of this machine, without a traceback."""
    assert answer.status_code == status, answer.text
    said = answer.json()["error"]
    assert said
    assert "Traceback" not in said
    assert "\n" not in said
    assert "/home" not in said
    assert "/tmp" not in said
    return said
