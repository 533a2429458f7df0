"""What stands between the studio and whoever calls: its names, its own pages, tokens, and limits of size and time.

Pure ASGI, before anything else reads a request.
"""

import asyncio
import hashlib
import hmac
import html
import json
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from impasto.studio.settings import StudioSettings

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOCAL = "local"
"""Who everybody is where no token is needed: the user of this machine."""
COOKIE = "impasto-session"
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        "connect-src 'self'; font-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
}
"""What every answer says to the browser: nothing from elsewhere, in no frame, no guessing of types."""
_OPEN = ("/api/health", "/login")
_FAILED_SECONDS = 1.0
"""How long a wrong token waits for its answer, so that guessing takes for ever."""
_LOGIN = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Impasto</title><link rel="stylesheet" href="{root}/static/studio.css"><main class="login"><h1>Impasto</h1><p>{said}</p>
<form method="post" action="{root}/login"><label>Token <input name="token" type="password" autocomplete="current-password" required></label>
<button class="primary">Come in</button></form></main></html>"""


class RefusedError(Exception):
    """A request that is not served: its status and the sentence that says why."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Guard:
    """Lets requests through to an application, with `scope["state"]["owner"]`: whose pictures and jobs they may see."""

    def __init__(self, app: App, settings: StudioSettings, uploads: MutableMapping[str, int]):
        """uploads: the paths that take larger bodies, with how many bytes."""
        self._app, self._settings, self._uploads = app, settings, uploads
        self._hosts, self._secret = settings.hosts, _secret(settings.home) if settings.tokens else b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, or refuse it with a sentence."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in reversed(scope["headers"])}
        scope, path = _rooted(scope, self._settings.root_path)
        begun = False

        async def answer(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message = {**message, "headers": [*_headers(path, message["headers"]), *message["headers"]]}
            await send(message)

        try:
            self._check_host(headers)
            self._check_origin(scope, headers)
            if not path:
                await self._to_root(scope, answer)
                return
            if path == "/login" and scope["method"] == "POST" and self._settings.tokens:
                await self._log_in(scope, self._limited(path, headers, receive), answer)
                return
            owner, cookie = self._owner(path, headers)
            if owner is None:
                await self._ask(scope, path, headers, answer)
                return
            scope.setdefault("state", {})["owner"] = owner
            scope["state"]["cookie"] = cookie
            await self._app(scope, self._limited(path, headers, receive), answer)
        except RefusedError as refused:
            if begun:
                raise
            await _reply(answer, refused.status, _sentence(refused.sentence), close=True)

    def _check_host(self, headers: dict[str, str]) -> None:
        """A page of somebody else can lead its name to this machine, and would then be this machine's own page to the browser."""
        given = headers.get("host", "")
        try:
            split = urlsplit(f"//{given}")
            name, port = (split.hostname or "").lower(), split.port
        except ValueError:
            name, port = "", None
        if name not in self._hosts or any(part in given for part in "/\\@?#") or (port is not None and not 0 < port < 65536):
            raise RefusedError(400, f"the studio is not called {given[:80]!r}; --name adds a name that it is reached by")

    def _check_origin(self, scope: Scope, headers: dict[str, str]) -> None:
        """Whatever changes something comes from a page of this studio, or from a program.

        A proxy may call this machine by another name than its pages have; that of its pages is then one of those that the studio was told.
        """
        if scope["method"] in ("GET", "HEAD", "OPTIONS"):
            return
        origin, site = headers.get("origin"), headers.get("sec-fetch-site", "same-origin")
        if origin is not None and urlsplit(origin).netloc.lower() not in {headers.get("host", "").lower(), *self._settings.places}:
            raise RefusedError(403, "this came from a page of somebody else")
        if site not in ("same-origin", "none"):
            raise RefusedError(403, "this came from a page of somebody else")

    def _owner(self, path: str, headers: dict[str, str]) -> tuple[str | None, str | None]:
        """Whose request it is, None if that is not known; and the session that the browser has to be given, if any."""
        if not self._settings.tokens:
            return LOCAL, None
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            token = self._token(given.strip())
            return (None if token is None else _digest(f"token {token}")), None
        session = self._session(headers.get("cookie", ""))
        if session is not None:
            return _digest(f"session {session}"), None
        if path in _OPEN or (path.startswith("/static/") and path.endswith(".css")):
            return "", None
        return None, None

    def _token(self, given: str) -> str | None:
        """The token that this is, None if it is none; always in the same time."""
        found = [token for token in self._settings.tokens if hmac.compare_digest(token.encode(), given.encode())]
        return found[0] if found else None

    def _session(self, cookies: str) -> str | None:
        try:
            value = SimpleCookie(cookies)[COOKIE].value
        except (CookieError, KeyError):
            return None
        session, _, signature = value.partition(".")
        return session if hmac.compare_digest(signature.encode(), self._signed(session).encode()) else None

    def _signed(self, session: str) -> str:
        """A signature that only this studio makes, and only while the tokens are these."""
        said = f"{session} {sorted(self._settings.tokens)}"
        return hmac.new(self._secret, said.encode(), hashlib.sha256).hexdigest()

    async def _to_root(self, scope: Scope, send: Send) -> None:
        """The path without its last stroke: what the page needs lies behind it."""
        query = scope.get("query_string", b"")
        where = f"{scope['root_path']}/".encode() + (b"?" + query if query else b"")
        await _reply(send, 307, "", headers=[(b"location", where)])

    async def _ask(self, scope: Scope, path: str, headers: dict[str, str], send: Send) -> None:
        """No token: the address of the studio takes one, and everything else is refused."""
        given = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0] if path == "/" else ""
        if scope["method"] == "GET" and given:
            await self._admit(scope, given, send)
            return
        if "authorization" in headers:
            await asyncio.sleep(_FAILED_SECONDS)
        if path == "/" and "authorization" not in headers:
            await _reply(send, 401, _login(scope, "Whoever runs this studio has the token."), "text/html")
            return
        await _reply(send, 401, _sentence("this studio needs a token"), headers=[(b"www-authenticate", b"Bearer")])

    async def _log_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                break
        await self._admit(scope, parse_qs(body[:4096].decode("latin-1")).get("token", [""])[0], send)

    async def _admit(self, scope: Scope, given: str, send: Send) -> None:
        """Begin a session if the token is one, and take it out of the address."""
        if self._token(given) is None:
            await asyncio.sleep(_FAILED_SECONDS)
            await _reply(send, 401, _login(scope, "That is not the token of this studio."), "text/html")
            return
        session = secrets.token_urlsafe(24)
        root = f"{scope['root_path']}/"
        cookie = f"{COOKIE}={session}.{self._signed(session)}; Path={root}; HttpOnly; SameSite=Strict; Max-Age=2592000"
        await _reply(send, 303, "", headers=[(b"location", root.encode()), (b"set-cookie", cookie.encode())])

    def _limited(self, path: str, headers: dict[str, str], receive: Receive) -> Receive:
        """The body, refused if it is too large or comes too slowly."""
        limit = self._uploads.get(path, self._settings.max_body)
        too_large = RefusedError(413, f"that is more than the {limit / 1e6:g} MB that are taken here")
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > limit:
            raise too_large
        taken, ended = 0, asyncio.get_running_loop().time() + self._settings.body_seconds
        done = False

        async def next_part() -> Message:
            nonlocal taken, done
            if done:  # whoever listens for the end of the connection may wait as long as it lasts
                return await receive()
            left = min(self._settings.pause_seconds, ended - asyncio.get_running_loop().time())
            try:
                message = await asyncio.wait_for(receive(), max(0.001, left))
            except TimeoutError:
                raise RefusedError(408, "that came too slowly") from None
            taken += len(message.get("body", b""))
            if taken > limit:
                raise too_large
            done = not message.get("more_body", False)
            return message

        return next_part


def _rooted(scope: Scope, root: str) -> tuple[Scope, str]:
    """The scope with the path before it that pages are reached by, and the path without it: "" of that path alone.

    A proxy takes it away or leaves it, and a server that knows of it puts it there: once, twice or not at all, it is the same request.
    """
    root, path = (scope.get("root_path") or root).rstrip("/"), scope["path"]
    while root and (path == root or path.startswith(f"{root}/")):
        path = path[len(root) :]
    return {**scope, "root_path": root, "path": root + path}, path


def _login(scope: Scope, said: str) -> str:
    return _LOGIN.format(root=html.escape(scope["root_path"]), said=html.escape(said))


def _headers(path: str, given: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """What every answer gets, as far as it does not say so itself."""
    wanted = HEADERS | ({} if path.startswith(("/static/", "/live/vendor/")) else {"cache-control": "no-store"})
    known = {key.lower() for key, _ in given}
    return [(key.encode(), value.encode()) for key, value in wanted.items() if key.encode() not in known]


async def _reply(
    send: Send,
    status: int,
    body: str,
    kind: str = "application/json",
    headers: list[tuple[bytes, bytes]] | None = None,
    *,
    close: bool = False,
) -> None:
    data = body.encode()
    fields = [(b"content-type", f"{kind}; charset=utf-8".encode()), (b"content-length", str(len(data)).encode()), *(headers or [])]
    await send({"type": "http.response.start", "status": status, "headers": [*fields, *([(b"connection", b"close")] if close else [])]})
    await send({"type": "http.response.body", "body": data})


def _sentence(text: str) -> str:
    return json.dumps({"error": text})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _secret(home: Path) -> bytes:
    """What sessions are signed with: made once, readable for nobody else."""
    path = home / "studio" / "secret"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        temporary = path.with_name(f"secret-{secrets.token_hex(8)}")
        temporary.touch(mode=0o600)
        temporary.write_bytes(secrets.token_bytes(32))
        temporary.replace(path)
    return path.read_bytes()
