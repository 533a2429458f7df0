"""Drafts: pictures that appear while the user turns a knob, painted in the studio's own process by stylizers that are kept."""

import contextlib
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from impasto.errors import ImpastoError, InputError
from impasto.events import Event, Listener
from impasto.job.perform import build, carry_out, prepare
from impasto.job.request import Request
from impasto.job.resolve import Decision
from impasto.methods.declaration import StyleSource
from impasto.runtime.device import Place
from impasto.runtime.memory import give_back
from impasto.runtime.stylizer import Stylizer
from impasto.studio.jobs import BusyError

KEPT = 4
"""Stylizers that are kept."""


class TooSlowError(Exception):
    """A draft took too long: the sentence says so."""


class Drafts:
    """Paints one draft at a time; `most` may wait, and each may take `seconds`.

    All of them are painted by the same thread: each thread that computes has helpers and a heap of its own, which it keeps.
    """

    def __init__(self, most: int, seconds: float):
        self._most, self._seconds = most, seconds
        self._waiting, self._count = 0, threading.Lock()
        self._thread = ThreadPoolExecutor(1, "impasto drafts")
        self._stylizers: OrderedDict[str, Stylizer] = OrderedDict()

    def paint(self, ask: Callable[[Path], Request], name: str) -> bytes:
        """The picture's file that a request gives. ask: the request for an output. name: what the file is called in errors.

        Raises ImpastoError, BusyError or TooSlowError.
        """
        with self._turn():
            return self._thread.submit(self._paint, ask, name).result()

    def close(self) -> None:
        """End the thread."""
        self._thread.shutdown()

    def _paint(self, ask: Callable[[Path], Request], name: str) -> bytes:
        with tempfile.TemporaryDirectory(prefix="impasto-") as folder:
            try:
                return self._painted(ask(Path(folder) / name)).read_bytes()
            except ImpastoError as error:
                raise type(error)(str(error).replace(f"{folder}/", "")) from error

    def _painted(self, request: Request) -> Path:
        prepared = prepare(request)
        decision = prepared.decided[False]
        if not (decision.method.finish or decision.method.own_size):
            raise InputError(f"{decision.method.name} optimises the picture itself: it has no drafts, ask for the picture")
        summary = carry_out(prepared, self._limit(), build=self._kept)
        if summary.interrupted or not summary.outcomes:
            raise TooSlowError(f"a draft takes longer than {self._seconds:g} seconds here: ask for the picture, or for a smaller one")
        (outcome,) = summary.outcomes
        if outcome.error is not None:
            raise outcome.error
        assert outcome.output is not None
        return outcome.output

    def _limit(self) -> Listener:
        """A listener that stops what takes too long."""
        end = time.monotonic() + self._seconds

        def listen(event: Event) -> None:
            if time.monotonic() > end:
                raise KeyboardInterrupt

        return listen

    def _kept(self, decision: Decision, styles: StyleSource, place: Place, listener: Listener) -> Stylizer:
        """The stylizer of a decision, out of those that are kept."""
        key = repr((decision, styles.identity))
        if key not in self._stylizers:
            self._stylizers[key] = build(decision, styles, place, listener)
            while len(self._stylizers) > KEPT:
                self._stylizers.popitem(last=False)
            give_back()
        self._stylizers.move_to_end(key)
        return self._stylizers[key]

    @contextlib.contextmanager
    def _turn(self) -> Iterator[None]:
        with self._count:
            if self._waiting >= self._most:
                raise BusyError("the studio is busy: ask again in a moment")
            self._waiting += 1
        try:
            yield
        finally:
            with self._count:
                self._waiting -= 1
