"""The studio as a program: it listens, says where, and opens the browser."""

import threading
import time
import webbrowser
from collections.abc import Callable
from urllib.parse import quote

import uvicorn

from impasto.errors import InputError
from impasto.studio.app import create_app
from impasto.studio.settings import LOOPBACK, StudioSettings

_CONNECTIONS = 200
"""Connections at the same time; more are told that the studio is busy."""


def address(settings: StudioSettings) -> str:
    """Where the studio is found by a browser on this machine, with the token if one is needed."""
    host = settings.host if settings.host not in ("0.0.0.0", "::") else "127.0.0.1"
    token = f"?token={quote(settings.tokens[0])}" if settings.tokens else ""
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}{settings.root_path}/{token}"


def serve(settings: StudioSettings, *, browser: bool, on_ready: Callable[[str], None]) -> None:
    """Run until the user stops it. on_ready: is told the address once it answers. Raises InputError where it cannot listen."""
    config = uvicorn.Config(
        create_app(settings), host=settings.host, port=settings.port, log_level="error", access_log=False, limit_concurrency=_CONNECTIONS,
        timeout_graceful_shutdown=3, server_header=False, date_header=False, lifespan="on",
    )  # fmt: skip
    server = uvicorn.Server(config)
    try:
        sockets = [config.bind_socket()]
    except (SystemExit, OSError):
        where = "this machine" if settings.host in LOOPBACK else settings.host
        raise InputError(f"port {settings.port} of {where} is taken: choose another one with --port, or 0 for any") from None
    port = sockets[0].getsockname()[1]

    def tell() -> None:
        while not server.started and not server.should_exit:
            time.sleep(0.05)
        where = address(settings).replace(f":{settings.port}/", f":{port}/", 1)
        on_ready(where)
        if browser:
            webbrowser.open(where)

    threading.Thread(target=tell, daemon=True).start()
    server.run(sockets=sockets)
