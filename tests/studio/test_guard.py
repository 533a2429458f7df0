"""Attacks: names that lead here, pages of others, tokens, paths, sizes, slow senders, markup, bombs, and what several people see."""

import asyncio
import http.client
import io
import socket
import struct
import threading
import time
import zipfile
import zlib

import pytest

pytest.importorskip("fastapi", reason="the studio needs its extra")

import uvicorn
from PIL import Image

from impasto.errors import InputError
from impasto.studio.app import create_app
from impasto.studio.settings import StudioSettings
from tests.conftest import scene
from tests.studio.conftest import ADDRESS, TOKENS, as_file, keep, sentence, studio

FIRST, SECOND = ({"authorization": f"Bearer {token}"} for token in TOKENS)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """A studio with a token for each of two people."""
    with studio(tmp_path_factory.mktemp("guarded"), tokens=TOKENS, max_upload=400_000, max_body=5_000, max_megapixels=1) as found:
        yield found


# Names that lead to this machine, and pages of somebody else.

HOSTS = [
    "evil.example", "evil.example:8600", "127.0.0.1.evil.example", "localhost.evil.example", "evil.example#127.0.0.1",
    "127.0.0.1@evil.example",
    "evil.example/127.0.0.1", "", "127.0.0.1:99999", "127.0.0.1:8600:1", "[::ffff:1.2.3.4]", "127.0.0.1\\.evil.example", "0.0.0.0",
]  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_false_hosts_are_refused(client, host):
    assert "is not called" in sentence(client.get("/api/styles", headers={"host": host}), 400)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8600", "localhost:1", "[::1]:8600", "LOCALHOST"])
def test_true_hosts_are_served(client, host):
    assert client.get("/api/health", headers={"host": host}).status_code == 200


ORIGINS = [
    "http://evil.example",
    "null",
    "https://127.0.0.1.evil.example",
    "http://localhost:8601",
    "file://",
    "http://127.0.0.1:8600.evil.example",
]


@pytest.mark.parametrize("origin", ORIGINS)
def test_pages_of_others_change_nothing(client, origin):
    for method, path in (
        ("POST", "/api/pictures"),
        ("POST", "/api/stylize"),
        ("DELETE", "/api/styles/dusk"),
        ("PATCH", "/api/styles/dusk"),
    ):
        assert "somebody else" in sentence(client.request(method, path, headers={"origin": origin}), 403)
    assert "somebody else" in sentence(client.post("/api/pictures", headers={"sec-fetch-site": "cross-site"}), 403)


def test_no_page_of_others_is_let_to_read(client):
    answer = client.get("/api/styles", headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers
    assert client.options("/api/styles", headers={"origin": "http://evil.example"}).status_code in (404, 405)


def test_every_answer_says_how_it_may_be_used(client):
    for path in ("/", "/api/styles", "/static/main.js", "/nothing", "/api/jobs/nothing"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"], path
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert "server" not in headers
    assert client.get("/api/styles").headers["cache-control"] == "no-store"
    assert client.get("/api/styles", headers={"host": "evil.example"}).headers["x-content-type-options"] == "nosniff"


# Tokens.


@pytest.mark.parametrize(
    "path",
    ["/api/styles", "/api/jobs", "/api/events", "/api/folders/0", "/api/openapi.json", "/static/main.js", "/favicon.ico", "/nothing"],
)
def test_without_a_token_there_is_nothing(guarded, path):
    guarded.cookies.clear()
    assert "token" in sentence(guarded.get(path), 401)


def test_without_a_token_the_page_asks_for_it(guarded):
    guarded.cookies.clear()
    answer = guarded.get("/")
    assert answer.status_code == 401
    assert 'action="/login"' in answer.text
    assert guarded.get("/api/health").json() == {"status": "ok"}, "not even the version is told"


WRONG_TOKENS = ["", "x", TOKENS[0][:-1], TOKENS[0] + "x", TOKENS[0].upper(), "a" * 10_000]


@pytest.mark.parametrize("token", WRONG_TOKENS)
def test_wrong_tokens_are_refused(guarded, token, monkeypatch):
    monkeypatch.setattr("impasto.studio.guard._FAILED_SECONDS", 0.01)
    guarded.cookies.clear()
    assert "token" in sentence(guarded.get("/api/styles", headers={"authorization": f"Bearer {token}"}), 401)
    if token:
        assert guarded.get("/", params={"token": token}).status_code == 401
    assert "set-cookie" not in guarded.post("/login", data={"token": token}).headers


def test_wrong_tokens_wait(guarded):
    began = time.monotonic()
    guarded.get("/api/styles", headers={"authorization": "Bearer wrong"})
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("way", ["address", "form"])
def test_a_token_becomes_a_session(guarded, way):
    guarded.cookies.clear()
    answer = guarded.get("/", params={"token": TOKENS[0]}) if way == "address" else guarded.post("/login", data={"token": TOKENS[0]})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/", "the token does not stay in the address"
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert TOKENS[0] not in cookie
    assert guarded.get("/api/styles").status_code == 200


@pytest.mark.parametrize(
    "cookie", ["impasto-session=x.y", "impasto-session=", "impasto-session=" + "a" * 32 + "." + "0" * 64, 'impasto-session="', "x=y"]
)
def test_false_sessions_are_refused(guarded, cookie):
    guarded.cookies.clear()
    assert sentence(guarded.get("/api/styles", headers={"cookie": cookie}), 401)


def test_other_addresses_need_a_token(tmp_path):
    with pytest.raises(InputError, match="needs a token"):
        StudioSettings(host="0.0.0.0", home=tmp_path)
    with pytest.raises(InputError, match="at least 16"):
        StudioSettings(host="0.0.0.0", home=tmp_path, tokens=("short",))
    settings = StudioSettings(host="0.0.0.0", home=tmp_path, tokens=TOKENS, names=("studio.example",))
    assert {"studio.example", "127.0.0.1", socket.gethostname().lower()} <= settings.hosts
    assert "evil.example" not in settings.hosts


def test_what_signs_sessions_is_nobody_elses(guarded, tmp_path):
    with studio(tmp_path, tokens=TOKENS):
        assert (tmp_path / "home/studio/secret").stat().st_mode & 0o077 == 0


# What several people see of one another.


def test_people_see_nothing_of_one_another(guarded, tmp_path):
    guarded.cookies.clear()
    photo = keep(guarded, headers=FIRST)
    style = _bundled("dusk-live").read_bytes()
    assert guarded.post("/api/styles", params={"name": "secret"}, content=style, headers=FIRST).status_code == 201
    job = guarded.post("/api/stylize", json={"photo": photo, "styles": [{"style": "dusk"}], "size": 32}, headers=FIRST).json()["id"]
    assert [each["id"] for each in guarded.get("/api/jobs", headers=FIRST).json()] == [job]
    for path in (
        f"/api/pictures/{photo}",
        f"/api/jobs/{job}",
        f"/api/jobs/{job}/events",
        f"/api/jobs/{job}/preview",
        f"/api/jobs/{job}/files/0",
    ):
        assert sentence(guarded.get(path, headers=SECOND), 404)
    for action in ("cancel", "pause", "resume"):
        assert sentence(guarded.post(f"/api/jobs/{job}/{action}", headers=SECOND), 404)
    assert sentence(guarded.delete(f"/api/jobs/{job}", headers=SECOND), 404)
    assert sentence(guarded.delete(f"/api/pictures/{photo}", headers=SECOND), 404)
    body = {"photo": photo, "styles": [{"style": "dusk"}], "quality": "draft"}
    assert sentence(guarded.post("/api/stylize", json=body, headers=SECOND), 404)
    body = {"photo": keep(guarded, headers=SECOND), "styles": [{"style": f"picture:{photo}"}], "quality": "draft"}
    assert sentence(guarded.post("/api/stylize", json=body, headers=SECOND), 404)
    assert guarded.get("/api/jobs", headers=SECOND).json() == []
    assert "secret" in str(guarded.get("/api/styles", headers=FIRST).json())
    assert "secret" not in str(guarded.get("/api/styles", headers=SECOND).json())


def test_two_browsers_with_one_token_see_nothing_of_one_another(guarded):
    sessions = []
    for _ in range(2):
        guarded.cookies.clear()
        cookie = guarded.get("/", params={"token": TOKENS[0]}).headers["set-cookie"].split(";")[0]
        guarded.cookies.clear()
        sessions.append({"cookie": cookie})
    photo = keep(guarded, headers=sessions[0])
    assert guarded.get(f"/api/pictures/{photo}", headers=sessions[0]).status_code == 200
    assert sentence(guarded.get(f"/api/pictures/{photo}", headers=sessions[1]), 404)


def _bundled(name):
    from impasto.storage.registry import ASSETS

    return ASSETS / "styles" / f"{name}.safetensors"


# Paths.

PATHS = [
    "../secret.mp4", "holiday/../../secret.mp4", "/etc/passwd", "..", "holiday/../..", "....//secret.mp4", "..\\secret.mp4",
    "%2e%2e/secret.mp4",
    "link.mp4", "linked/secret.mp4", ".hidden.mp4", ".hidden/clip.mp4", "clip.mp4\x00.png", "~/secret.mp4", "C:\\secret.mp4",
    "//etc/passwd", "",
    "holiday/./../../secret.mp4", "notes.txt",
]  # fmt: skip


@pytest.fixture(scope="module")
def laid_out(client):
    """A folder with links that lead outside, hidden files, and a secret beside it."""
    films, secret = client.home / "films", client.home / "secret.mp4"
    data = (films / "holiday/clip.mp4").read_bytes()
    secret.write_bytes(data)
    (films / ".hidden").mkdir()
    for path in (films / ".hidden.mp4", films / ".hidden/clip.mp4"):
        path.write_bytes(data)
    (films / "link.mp4").symlink_to(secret)
    (films / "linked").symlink_to(client.home)
    (films / "notes.txt").write_text("words")
    return client


@pytest.mark.parametrize("path", PATHS)
def test_no_film_outside_is_reached(laid_out, path):
    body = {"folder": 0, "path": path, "styles": [{"style": "dusk"}]}
    for address in ("/api/jobs/film", "/api/jobs/frames", "/api/command"):
        answer = laid_out.post(address, json=body)
        assert answer.status_code == 422, f"{address} {path!r}: {answer.text}"
        assert str(laid_out.home) not in answer.text


@pytest.mark.parametrize("path", ["..", "../", "linked", "/etc", ".hidden", "holiday/../..", "\x00", "%2e%2e"])
def test_no_folder_outside_is_listed(laid_out, path):
    assert str(laid_out.home) not in sentence(laid_out.get("/api/folders/0", params={"path": path}), 422)


def test_what_is_listed_is_inside(laid_out):
    assert {entry["name"] for entry in laid_out.get("/api/folders/0").json()} == {"holiday"}
    for number in ("1", "-1", "99999999999999999999"):
        assert sentence(laid_out.get(f"/api/folders/{number}"), 422)
    assert laid_out.get("/api/folders/..%2f..").status_code in (404, 422)


KEYS = ["../../secret", "..%2f..%2fsecret", "%2e%2e", "0" * 31, "0" * 33, "G" * 32, "%00", "' or 1=1", "a/../b"]


@pytest.mark.parametrize("key", KEYS)
def test_no_key_leads_anywhere(client, key):
    for path in (
        f"/api/pictures/{key}",
        f"/api/jobs/{key}",
        f"/api/jobs/{key}/files/0",
        f"/api/styles/{key}/file",
        f"/api/styles/{key}/picture",
    ):
        assert client.get(path).status_code in (404, 405, 422), path
    assert client.delete(f"/api/styles/{key}").status_code in (404, 405, 422)
    for body in ({"photo": key, "styles": [{"style": "dusk"}]}, {"photo": "0" * 32, "styles": [{"style": f"picture:{key}"}]},
                 {"photo": keep(client), "styles": [{"style": key}]}):  # fmt: skip
        assert client.post("/api/stylize", json=body | {"quality": "draft"}).status_code in (404, 422)


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/..%2fapp.py", "/static/%2e%2e/app.py", "/static//etc/passwd", "/static/..%5capp.py"]
)
def test_the_page_serves_its_own_files_alone(client, path):
    assert client.get(path).status_code in (404, 405)


# Names.

NAMES = [
    "<img src=x onerror=alert(1)>.png",
    "../../../etc/passwd.png",
    "a\r\nset-cookie: x=y.png",
    "\x00.png",
    "." * 200 + ".png",
    "con.png",
    "/",
    "💣.png",
    "a/b\\c.png",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_names(client, name):
    key = keep(client, name=name)
    kept = client.post("/api/pictures", params={"name": name}, content=as_file(scene(40, 30))).json()
    assert not set('<>"/\\\r\n\x00') & set(kept["name"])
    folder = client.home / "home/studio/pictures/local" / key
    assert len([path for path in folder.iterdir() if not path.name.startswith(".")]) == 1
    body = {"photo": key, "styles": [{"style": "dusk"}], "quality": "draft"}
    assert client.post("/api/stylize", json=body).status_code == 200


@pytest.mark.parametrize("name", ["../evil", "", ".", "<b>", "a/b", "x" * 101, "dusk", "a\nb"])
def test_styles_have_names_that_are_names(client, name):
    painting = keep(client, scene(64, 64))
    assert sentence(client.post("/api/jobs/learn", json={"painting": painting, "name": name}), 422)
    assert sentence(client.post("/api/styles", params={"name": name}, content=b"x"), 422)


# Files that are not what they seem.


def png_of(width, height):
    """The beginning of a PNG file that says to be this large."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))  # noqa: E731
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0" * 10_000)) + chunk(b"IEND", b"")


def pickle_of_torch():
    """A zip archive with a pickle, as .pt files are."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("archive/data.pkl", b"cos\nsystem\n(S'touch owned'\ntR.")
    return file.getvalue()


BOMBS = {
    "a bomb": png_of(60_000, 60_000), "a long strip": png_of(1, 2**31 - 1), "no size": png_of(0, 10), "an archive": pickle_of_torch(),
    "a page": b"<!doctype html><script>alert(1)</script>", "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    "noise": bytes(range(256)) * 40,
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_what_is_no_picture_is_refused(client, name):
    assert sentence(client.post("/api/pictures", params={"name": "photo.png"}, content=BOMBS[name]), 422)


@pytest.mark.parametrize("data", [pickle_of_torch(), b"\x80\x04.", b"", b"\xff" * 100, struct.pack("<Q", 2**60) + b"{}"])
def test_what_is_no_style_file_is_refused(client, data):
    assert sentence(client.post("/api/styles", params={"name": "mine"}, content=data), 422)
    assert "mine" not in {style["name"] for style in client.get("/api/styles").json()}


def test_a_picture_beyond_the_limit_is_refused(guarded):
    large = as_file(Image.new("RGB", (1200, 1000)))
    assert "megapixels" in sentence(guarded.post("/api/pictures", params={"name": "large.png"}, content=large, headers=FIRST), 422)


# Sizes and slowness.


def test_large_bodies_are_refused(guarded):
    assert "0.4 MB" in sentence(guarded.post("/api/pictures", content=b"x" * 400_001, headers=FIRST), 413)
    assert "0.005 MB" in sentence(guarded.post("/api/stylize", content=b"x" * 5_001, headers=FIRST), 413)
    assert sentence(guarded.post("/api/pictures", content=b"x", headers=FIRST | {"content-length": "-1"}), 413)

    def endless():
        for _ in range(100):
            yield b"x" * 10_000

    assert sentence(guarded.post("/api/pictures", content=endless(), headers=FIRST), 413)
    assert guarded.post("/api/stylize", content=endless(), headers=FIRST).status_code in (400, 413)
    assert not [*(guarded.app._settings.home / "studio/pictures").glob("*/.*")]


def test_deep_json_is_refused(client):
    for body in (b"[" * 100_000, b'{"photo":' * 20_000, b"NaN", b'"words"', b"\xff\xfe", b"{}"):
        answer = client.post("/api/stylize", content=body, headers={"content-type": "application/json"})
        assert sentence(answer, answer.status_code if answer.status_code == 400 else 422)


@pytest.fixture(scope="module")
def listening(tmp_path_factory):
    """A studio that really listens."""
    home = tmp_path_factory.mktemp("listening")
    settings = StudioSettings(home=home, folders=(home,), pause_seconds=0.5, body_seconds=1.5, warm=False)
    config = uvicorn.Config(create_app(settings), host="127.0.0.1", port=0, log_level="critical", access_log=False)
    server = uvicorn.Server(config)
    listener = config.bind_socket()
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield listener.getsockname()[1]
    server.should_exit = True
    thread.join(30)


@pytest.mark.parametrize("pause", [0.1, 1.0])
def test_slow_bodies_are_refused(listening, pause):
    connection = http.client.HTTPConnection("127.0.0.1", listening, timeout=20)
    connection.putrequest("POST", "/api/pictures?name=slow.png")
    connection.putheader("content-length", "1000")
    connection.endheaders()
    began = time.monotonic()
    try:
        while time.monotonic() - began < 10:
            connection.send(b"x")
            time.sleep(pause)
            if time.monotonic() - began > 2.5:
                break
    except OSError:
        pass
    answer = connection.getresponse()
    assert answer.status == 408
    assert time.monotonic() - began < 8


def test_somebody_who_goes_away_leaves_nothing(listening, tmp_path_factory):
    connection = socket.create_connection(("127.0.0.1", listening))
    connection.sendall(b"POST /api/pictures?name=a.png HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 1000\r\n\r\nabc")
    time.sleep(0.2)
    connection.close()
    time.sleep(0.5)
    answer = http.client.HTTPConnection("127.0.0.1", listening, timeout=10)
    answer.request("GET", "/api/health")
    assert answer.getresponse().status == 200


def test_deletes_at_the_same_time_do_no_harm(client):
    keys = [keep(client, scene(40, 30)) for _ in range(4)]
    found = []

    def remove(key):
        found.append(client.delete(f"/api/pictures/{key}").status_code)

    threads = [threading.Thread(target=remove, args=(key,)) for key in keys for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(found) <= {204, 404}
    assert found.count(204) >= 4
    for key in keys:
        assert sentence(client.get(f"/api/pictures/{key}"), 404)


def test_old_pictures_make_room(tmp_path):
    with studio(tmp_path, max_pictures=3) as client:
        keys = []
        for number in range(5):
            keys.append(keep(client, scene(40 + number, 30)))
            time.sleep(0.02)
        known = [client.get(f"/api/pictures/{key}").status_code for key in keys]
        assert known == [404, 404, 200, 200, 200]


def test_streams_of_events_have_an_end(client, monkeypatch):
    monkeypatch.setattr("impasto.studio.routes._STREAMS", 0)
    assert "too many" in sentence(client.get("/api/events"), 503)


def test_nothing_is_sent_to_another_machine(monkeypatch, tmp_path):
    """No telemetry: the whole program opens no connection to anybody."""
    asked = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: asked.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *names, **more: asked.append(names) or [])
    with studio(tmp_path) as client:
        client.get("/")
        keep(client)
        client.get("/api/styles")
    assert not [address for address in asked if isinstance(address, tuple) and str(address[0]) not in ("127.0.0.1", "::1")]
    assert ADDRESS.startswith("http://127.0.0.1")
