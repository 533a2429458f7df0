"""`impasto studio`: the page to paint in."""

import os
from pathlib import Path
from typing import Annotated

import typer

from impasto.cli.app import app
from impasto.cli.console import console
from impasto.errors import UnavailableError

TOKEN = "IMPASTO_TOKEN"
"""The variable of the environment that holds a token: unlike an option, nobody sees it in the list of processes."""


@app.command()
def studio(
    folder: Annotated[
        list[Path] | None,
        typer.Option(help="Folder to pick films from; their results go beside them. Repeatable. (default: this one)", show_default=False),
    ] = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on. Any other than this machine's own needs a token; one is made if none is given.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on, 0 for any.")] = 8600,
    token: Annotated[
        list[str] | None,
        typer.Option(
            help=f"Token to come in with; one for each person, who see nothing of one another. (also: ${TOKEN})", show_default=False
        ),
    ] = None,
    name: Annotated[
        list[str] | None,
        typer.Option(help="Further name that this machine is called by, as behind a proxy: HOST or HOST:PORT.", show_default=False),
    ] = None,
    root_path: Annotated[
        str, typer.Option(help="Path that a proxy serves the studio under, such as /paint. (default: none)", show_default=False)
    ] = "",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.")] = True,
) -> None:
    """Open the studio: a page to paint in, on this machine, and its HTTP API."""
    try:
        from impasto.studio.server import serve
    except ImportError:
        raise UnavailableError("the studio needs more packages: pip install 'impasto[studio]'") from None
    from impasto.studio.settings import LOOPBACK, StudioSettings, new_token

    tokens = token or [part for part in os.environ.get(TOKEN, "").split() if part]
    if host not in LOOPBACK and not tokens:
        tokens = [new_token()]
    settings = StudioSettings(host, port, tuple(folder or [Path()]), tuple(tokens), tuple(name or []), root_path.rstrip("/"))
    serve(
        settings, browser=browser, on_ready=lambda where: console.print(f"the studio is open at {where}  (Ctrl-C ends it)", soft_wrap=True)
    )
