"""A client of the studio's HTTP API, with nothing but Python's own library."""

import json
import time
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

ADDRESS = "http://127.0.0.1:8600"
"""Where `impasto studio` listens by itself."""
QUALITIES = ("draft", "fine")
_POLL = 0.2
_ANSWER = 20.0


class StudioError(Exception):
    """What went wrong, as a message that says what to do."""


class Stopped(Exception):  # noqa: N818
    """The user cancelled."""


class Studio:
    """A studio at an address, such as `https://studio.example/paint`; token: "" where none is needed."""

    def __init__(self, address=ADDRESS, token=""):
        self.address, self.token = address.strip().rstrip("/"), token.strip()

    def call(self, path, body=None, kind="application/json", method=None, timeout=_ANSWER):
        """What the studio answers. body: bytes as they are, or what becomes JSON. Raises StudioError."""
        if urlsplit(self.address).scheme not in ("http", "https"):
            raise StudioError(f"{self.address!r} is no address. An address looks like {ADDRESS}.")
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        headers = {"content-type": kind}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        try:
            with urlopen(Request(f"{self.address}/api/{path}", data, headers, method=method), timeout=timeout) as answer:
                return answer.read()
        except HTTPError as error:
            if error.code == 401:
                raise StudioError(
                    f"The studio at {self.address} needs {'another' if self.token else 'a'} token. Whoever started it has the token: "
                    "it is in the address that impasto studio prints. Enter it in the settings."
                ) from None
            try:
                said = json.loads(error.read())["error"]
            except (ValueError, KeyError, TypeError):
                raise StudioError(f"{self.address} answered {error.code}: it is probably not a studio of Impasto.") from None
            raise StudioError(said[:1].upper() + said[1:] + ".") from None
        except (URLError, OSError, ValueError) as error:
            why = getattr(error, "reason", error)
            raise StudioError(
                f"No studio answers at {self.address} ({why}). Start one with: impasto studio. "
                "If it runs elsewhere, enter its address in the settings."
            ) from None

    def styles(self):
        """The styles' names by their titles, your own first, those for live videos last. Raises StudioError."""
        try:
            found = sorted(json.loads(self.call("styles")), key=lambda style: bool(style.get("live")))
            return {f"{style['title']} ({style['name']})": style["name"] for style in found}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise StudioError(f"What answers at {self.address} is not a studio of Impasto.") from None

    def paint(self, picture, name, style, quality, on_step=lambda text, step, total: None, stopped=lambda: False):
        """A picture's PNG file, painted at its own size, as a PNG file.

        on_step: is told what happens, the step and the number of steps, 0 while it is unknown. stopped: whether the user cancelled.
        Raises StudioError, and Stopped. Nothing is left in the studio.
        """
        on_step("Sending the image", 0, 0)
        kept = json.loads(self.call(f"pictures?name={quote(name)}", picture, "image/png", timeout=300))["id"]
        key = ""
        try:
            body = {"photo": kept, "styles": [{"style": style}], "quality": quality, "size": 0}
            key = json.loads(self.call("jobs/photo", body))["id"]
            while True:
                job = json.loads(self.call(f"jobs/{key}"))
                if job["state"] == "done":
                    return self.call(f"jobs/{key}/files/0", timeout=300)
                if job["state"] not in ("queued", "running"):
                    raise StudioError((job["error"] or f"The job is {job['state']}") + ".")
                if stopped():
                    raise Stopped
                waits = "Waiting for its turn" if job["state"] == "queued" else "Painting"
                left = f", {job['left']:.0f} s left" if job["left"] else ""
                on_step(waits + left, job["step"], job["total"])
                time.sleep(_POLL)
        finally:
            self._tidy(key, kept)

    def _tidy(self, key, kept):
        """Cancel the job if it still runs, and remove it and the picture."""
        try:
            if key:
                self.call(f"jobs/{key}/cancel", b"", method="POST")
                for _ in range(20):
                    if json.loads(self.call(f"jobs/{key}"))["state"] in ("done", "failed", "cancelled"):
                        self.call(f"jobs/{key}", method="DELETE")
                        break
                    time.sleep(_POLL)
            self.call(f"pictures/{kept}", method="DELETE")
        except (StudioError, ValueError, KeyError):
            pass  # the studio forgets both by itself after some days
