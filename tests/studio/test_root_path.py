"""The studio behind proxies that serve it under a path: some take the path away, some leave it, some rename the host."""

import contextlib
import http.client
import http.server
import os
import re
import shutil
import subprocess
import sys
import threading

import pytest

pytest.importorskip("fastapi", reason="the studio needs its extra")

from starlette.testclient import TestClient

from impasto.errors import InputError
from impasto.studio.app import create_app
from impasto.studio.settings import StudioSettings
from tests.conftest import scene
from tests.studio.conftest import TOKENS, as_file, sentence

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PUBLIC = "studio.example"


class Proxy:
    """What stands before an application: it serves it under a path alone, and may take that away and call the host by another name."""

    def __init__(self, app, *, path, strip, host=None, server_knows=False):
        self.app, self.path, self.strip, self.host, self.server_knows = app, path, strip, host, server_knows

    async def __call__(self, scope, receive, send):
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        if scope["path"] != self.path and not scope["path"].startswith(f"{self.path}/"):
            await send({"type": "http.response.start", "status": 502, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        scope = dict(scope)
        if self.strip:
            scope["path"] = scope["path"][len(self.path) :] or "/"
        if self.server_knows:  # as uvicorn --root-path does
            scope["root_path"], scope["path"] = self.path, self.path + scope["path"]
        if self.host:
            scope["headers"] = [(key, self.host.encode() if key == b"host" else value) for key, value in scope["headers"]]
        await self.app(scope, receive, send)


@contextlib.contextmanager
def behind(home, *, tokens=(), root_path="/paint", names=(PUBLIC,), **proxy):
    settings = StudioSettings(home=home / "home", folders=(home,), warm=False, tokens=tokens, root_path=root_path, names=names)
    app = Proxy(create_app(settings), path="/paint", **proxy)
    with TestClient(app, base_url=f"https://{PUBLIC}", raise_server_exceptions=False, follow_redirects=False) as client:
        yield client


PROXIES = {
    "takes the path away": {"strip": True},
    "leaves it": {"strip": False},
    "takes it away and renames the host": {"strip": True, "host": "127.0.0.1:8600"},
    "takes it away, and the server knows of it": {"strip": True, "server_knows": True, "root_path": ""},
    "leaves it, and the server knows of it": {"strip": False, "server_knows": True, "root_path": ""},
}


@pytest.fixture(params=PROXIES)
def client(request, tmp_path):
    with behind(tmp_path, **PROXIES[request.param]) as found:
        yield found


def test_everything_is_found_under_the_path(client):
    page = client.get("/paint/")
    assert page.status_code == 200
    for address in re.findall(r'(?:src|href)="([^"#]+)"', page.text):
        assert not address.startswith("/"), "addresses of the page are beside it"
        answer = client.get(f"/paint/{address}")
        assert answer.status_code == 200, address
    assert client.get("/paint/static/api.js").status_code == 200
    assert client.get("/paint/api/health").json()["status"] == "ok"
    assert client.get("/paint/live").headers["location"] == "/paint/live/"
    assert client.get("/paint/live/live.js").status_code == 200
    assert client.get("/paint/api/openapi.json").json()["servers"] == [{"url": "/paint"}]


def test_the_path_alone_leads_to_the_page(client):
    answer = client.get("/paint?a=b")
    assert answer.status_code in (200, 307)  # a proxy may have put the stroke there
    if answer.status_code == 307:
        assert answer.headers["location"] == "/paint/?a=b"


def test_a_picture_is_sent_and_painted(client):
    headers = {"origin": f"https://{PUBLIC}", "sec-fetch-site": "same-origin"}
    photo = client.post("/paint/api/pictures?name=photo.png", content=as_file(scene(96, 64)), headers=headers)
    assert photo.status_code == 201, photo.text
    body = {"photo": photo.json()["id"], "styles": [{"style": "dusk"}], "quality": "draft"}
    assert client.post("/paint/api/stylize", json=body, headers=headers).headers["content-type"] == "image/png"
    job = client.post("/paint/api/stylize", json=body | {"quality": "fine", "size": 64}, headers=headers)
    assert job.headers["location"] == f"/paint/api/jobs/{job.json()['id']}"
    assert client.get(job.headers["location"]).status_code == 200
    assert "event: job" in client.get(f"{job.headers['location']}/events").text


def test_uploads_keep_their_own_limit(tmp_path):
    settings = StudioSettings(home=tmp_path / "home", folders=(tmp_path,), warm=False, root_path="/paint", max_body=100)
    with TestClient(create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        assert client.post("/paint/api/pictures?name=a.png", content=as_file(scene(64, 64))).status_code == 201
        assert client.post("/paint/api/stylize", content=b"x" * 200).status_code == 413


@pytest.mark.parametrize("kind", PROXIES)
def test_a_session_belongs_to_the_path(tmp_path, kind):
    with behind(tmp_path, tokens=TOKENS, **PROXIES[kind]) as client:
        page = client.get("/paint/")
        assert page.status_code == 401
        assert 'action="/paint/login"' in page.text
        style = re.search(r'href="([^"]+\.css)"', page.text)[1]
        assert client.get(style).status_code == 200, "what the page of the token looks like"
        assert sentence(client.get("/paint/api/styles"), 401)
        answer = client.post("/paint/login", data={"token": TOKENS[0]}, headers={"origin": f"https://{PUBLIC}"})
        assert answer.status_code == 303
        assert answer.headers["location"] == "/paint/"
        assert "; Path=/paint/;" in answer.headers["set-cookie"]
        assert client.get("/paint/api/styles").status_code == 200
        assert client.get(f"/paint/?token={TOKENS[0]}").status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", f"https://{PUBLIC}.evil.example", f"https://{PUBLIC}:444", "null"])
@pytest.mark.parametrize("kind", PROXIES)
def test_pages_of_others_are_refused(tmp_path, kind, origin):
    with behind(tmp_path, **PROXIES[kind]) as client:
        answer = client.post("/paint/api/pictures?name=photo.png", content=as_file(scene(64, 64)), headers={"origin": origin})
        assert "somebody else" in sentence(answer, 403)


def test_a_host_is_allowed_only_where_it_is_told(tmp_path):
    with behind(tmp_path, strip=True, names=()) as client:
        assert "--name adds" in sentence(client.get("/paint/api/styles"), 400)
    with behind(tmp_path, strip=True, names=(), host="127.0.0.1:8600") as client:
        assert client.get("/paint/api/styles").status_code == 200
        answer = client.post("/paint/api/pictures?name=a.png", content=b"x", headers={"origin": f"https://{PUBLIC}"})
        assert "somebody else" in sentence(answer, 403), "a page by a name that nobody told"
    with behind(tmp_path, strip=True, names=(f"{PUBLIC}:8443",), host="127.0.0.1:8600") as client:
        headers = {"origin": f"https://{PUBLIC}:8443"}
        assert client.post("/paint/api/pictures?name=a.png", content=as_file(scene(64, 64)), headers=headers).status_code == 201


@pytest.mark.parametrize(
    "path", ["paint", "/paint/", "/", "//paint", "/a b", "/a?b", "/..", "/a/../b", "/api", "/static/x", "/live", "/login"]
)
def test_paths_that_cannot_be_served_under_are_refused(tmp_path, path):
    with pytest.raises(InputError, match="path"):
        StudioSettings(home=tmp_path, root_path=path)


class _Forwards(http.server.BaseHTTPRequestHandler):
    """A proxy as a program: it takes /paint away, or leaves it."""

    port, strip = 0, True

    def _forward(self):
        if not self.path.startswith("/paint"):
            self.send_error(502)
            return
        path = (self.path[len("/paint") :] or "/") if self.strip else self.path
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        connection.request(self.command, path, body or None, dict(self.headers))
        answer = connection.getresponse()
        self.send_response(answer.status)
        for key, value in answer.getheaders():
            if key.lower() not in ("connection", "transfer-encoding"):
                self.send_header(key, value)
        self.send_header("connection", "close")
        self.end_headers()
        with contextlib.suppress(OSError, http.client.HTTPException):
            while part := answer.read1(65536):
                self.wfile.write(part)
                self.wfile.flush()
        connection.close()

    do_GET = do_POST = do_DELETE = do_PATCH = _forward  # noqa: N815

    def log_message(self, *words):
        pass


@pytest.mark.long
@pytest.mark.xdist_group("browser")
@pytest.mark.skipif(BROWSER is None, reason="the page is tested with Chromium, which is not installed (apt-get install chromium)")
@pytest.mark.parametrize("strip", [True, False])
def test_the_page_works_behind_a_proxy(tmp_path, strip):
    sync_api = pytest.importorskip("playwright.sync_api", reason="the page is tested with Playwright")
    scene(300, 200).save(tmp_path / "photo.png")
    words = [sys.executable, "-m", "impasto", "studio", "--no-browser", "--port", "0", "--root-path", "/paint", "--folder", str(tmp_path)]
    own = os.environ | {"IMPASTO_HOME": str(tmp_path / "home"), "COLUMNS": "200", "IMPASTO_TOKEN": TOKENS[0]}
    program = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=own)
    try:
        line = program.stdout.readline()
        port = int(re.search(r"127\.0\.0\.1:(\d+)/paint/\?token=", line)[1])
        handler = type("Forwards", (_Forwards,), {"port": port, "strip": strip})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/paint/"
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
            page = browser.new_page()
            page.set_default_timeout(90_000)
            asked, wrong = [], []
            page.on("request", lambda request: asked.append(request.url))
            page.on("response", lambda answer: wrong.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.goto(f"{address}?token={TOKENS[0]}")
            page.locator("body[data-ready=yes]").wait_for()
            page.set_input_files("#photo-file", tmp_path / "photo.png")
            page.locator('#photo-gallery .tile[title^="Dusk"]').first.click()
            page.locator("body[data-drafted]").wait_for()
            page.locator("body[data-finished]").wait_for()
            page.click("a[href='live/']")
            page.get_by_role("heading", name="Impasto live").wait_for()
            if os.environ.get("IMPASTO_SCREENSHOTS"):
                page.screenshot(path=f"{os.environ['IMPASTO_SCREENSHOTS']}/studio-root-path-{strip}.png")
            browser.close()
        server.shutdown()
        assert not [said for said in wrong if not said.endswith("live/styles.json")], "without the engine of pages there are no live styles"
        assert all(url.startswith((address, "blob:", "data:")) for url in asked)
    finally:
        program.terminate()
        program.wait(30)
