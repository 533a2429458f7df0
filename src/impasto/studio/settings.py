"""How a studio is run: where it listens, who may come in, what it may see, and its limits."""

import re
import secrets
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from impasto.errors import InputError
from impasto.storage.library import home

LOOPBACK = ("127.0.0.1", "localhost", "::1")
OWN_PATHS = ("/api/", "/live/", "/static/", "/login/")
"""What the studio's own paths begin with."""
LEAST_TOKEN = 16
"""Characters of a token at the least."""


@dataclass(frozen=True)
class StudioSettings:
    """The settings of one studio. Raises InputError.

    host, port: where it listens. Any other address than this machine's own needs a token.
    folders: what films are picked from, and where their results go.
    tokens: whoever has one of them may come in; nobody has to have one if there is none.
    names: further names that this machine is called by, such as that of a proxy; with its port, if it is none of the usual ones.
    root_path: the path before all others that a proxy serves the studio under, such as "/paint"; whether it takes it away or not.
    home: where pictures, jobs and learned styles are kept.
    max_upload, max_film: bytes of a picture and of a film that are uploaded, at the most.
    max_megapixels: larger pictures are refused.
    max_body: bytes of any other request.
    draft_seconds: what a draft may take.
    pause_seconds, body_seconds: how long a sender may say nothing, and may take in all.
    max_pictures: how many pictures of one user are kept; the oldest go first.
    max_jobs: how many jobs of one user may wait.
    max_drafts: how many drafts may wait for each other before a request is told that the studio is busy.
    keep_days: how long pictures and finished jobs are kept.
    warm: load what painting needs at once, instead of with the first picture.
    """

    host: str = "127.0.0.1"
    port: int = 8600
    folders: Sequence[Path] = (Path(),)
    tokens: Sequence[str] = ()
    names: Sequence[str] = ()
    root_path: str = ""
    home: Path = field(default_factory=home)
    max_upload: int = 100_000_000
    max_film: int = 500_000_000
    max_megapixels: int = 100
    max_body: int = 1_000_000
    draft_seconds: float = 20.0
    pause_seconds: float = 20.0
    body_seconds: float = 300.0
    max_pictures: int = 100
    max_jobs: int = 20
    max_drafts: int = 8
    keep_days: float = 7.0
    warm: bool = True

    def __post_init__(self) -> None:
        for folder in self.folders:
            if not Path(folder).is_dir():
                raise InputError(f"{folder} is no folder, and the studio shall open it")
        for token in self.tokens:
            if len(token) < LEAST_TOKEN or not (token.isascii() and token.isprintable()) or " " in token:
                raise InputError(f"a token has at least {LEAST_TOKEN} letters, numbers or signs, without spaces")
        if self.root_path and not re.fullmatch(r"(/[A-Za-z0-9._~-]*[A-Za-z0-9_~-])+", self.root_path):
            raise InputError(f"a path to serve under begins with / and ends without, as /paint, not {self.root_path!r}")
        if f"{self.root_path}/".startswith(OWN_PATHS):
            raise InputError(f"{self.root_path} is a path of the studio's own: choose another one")
        if self.host not in LOOPBACK and not self.tokens:
            raise InputError(f"{self.host} can be reached by others, so the studio needs a token there")

    @property
    def places(self) -> frozenset[str]:
        """The names as the addresses of pages hold them, with their ports."""
        return frozenset(name.lower() for name in self.names)

    @property
    def hosts(self) -> frozenset[str]:
        """The names that requests may call this machine by: any other is a page's of somebody else, which leads here by a false name."""
        found = {*LOOPBACK, *(name.rpartition(":")[0] if re.search(r":\d+$", name) else name for name in self.places)}
        if self.host not in LOOPBACK:
            found |= {self.host, socket.gethostname().lower(), socket.getfqdn().lower()}
            found |= {address.address.partition("%")[0] for addresses in psutil.net_if_addrs().values() for address in addresses}
        return frozenset(found)


def new_token() -> str:
    """A token that nobody guesses."""
    return secrets.token_urlsafe(24)
