"""A process that does long work for the studio: one task at a time, told of its steps, stopped when asked, begun anew when it dies.

A process of its own keeps the page quick: the system gives it less of the processor than the studio, and it can be put to sleep while
somebody waits for a picture.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Event as Flag
from typing import TYPE_CHECKING, Any

import psutil

from impasto.errors import ImpastoError, InputError
from impasto.events import Event

if TYPE_CHECKING:
    from torch import Tensor

PREVIEW_SECONDS = 0.4
"""At most one preview in this time."""
PREVIEW_SIDE = 640
"""Longer side of previews in pixels."""
_PATIENCE = 15.0
"""Seconds that work may take to stop by itself."""
_HURRY = 0.7
"""The same, of work that has nothing to keep."""
_LONGEST_SLEEP, _LEAST_AWAKE = 6.0, 4.0
"""Seconds that the process sleeps at a stretch at the most, and works afterwards at the least."""


class StoppedError(Exception):
    """The work was stopped because somebody asked for it."""


@dataclass(frozen=True)
class Step:
    """One report of the work. preview: a JPEG file, or None."""

    step: int
    total: int
    seconds: float
    loss: float | None = None
    preview: bytes | None = None


class Painter:
    """The process, from the side of the studio. `do` is called by one thread at a time."""

    def __init__(self, niceness: int):
        """niceness: how much less of the processor it gets, 0 to 19."""
        self._niceness = niceness
        self._context = multiprocessing.get_context("spawn")
        self._process: Any = None
        self._connection: Connection | None = None
        self._stop: Flag = self._context.Event()
        self._waiting, self._suspended, self._since, self._awake_until = 0, False, 0.0, 0.0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin the process, if it does not run."""
        if self._process is not None and self._process.is_alive():
            return
        self.close()
        ours, theirs = self._context.Pipe()
        self._process = self._context.Process(target=_serve, args=(theirs, self._stop, self._niceness), daemon=True, name="impasto painter")
        self._process.start()
        theirs.close()
        self._connection = ours

    def close(self) -> None:
        """End the process."""
        if self._connection is not None:
            self._connection.close()
        if self._process is not None:
            self._process.kill()
            self._process.join()
        self._process = self._connection = None
        self._suspended = False

    def do(
        self,
        work: Callable[..., Any],
        arguments: tuple[Any, ...],
        on_step: Callable[[Step], None],
        stop: threading.Event,
        in_hurry: Callable[[], bool] = lambda: False,
    ) -> Any:
        """What `work(*arguments, listener)` gives. in_hurry: whether work that is stopped has nothing to keep, so that its process is ended
        soon. Raises StoppedError, ImpastoError for what it raises, and for a process that died.
        """
        self.start()
        assert self._connection is not None
        self._stop.clear()
        asked: float | None = None
        try:
            self._connection.send((work, arguments))
            while True:
                if self._connection.poll(0.1):
                    kind, value = self._connection.recv()
                    if kind == "step":
                        on_step(value)
                    elif kind == "done":
                        return value
                    else:
                        raise value
                elif not self._process.is_alive():
                    raise EOFError
                if stop.is_set() and asked is None:
                    asked = time.monotonic()
                    self._stop.set()
                if asked is None:
                    continue
                hurry = in_hurry()
                if time.monotonic() - asked > (_HURRY if hurry else _PATIENCE) and (hurry or not self._suspended):
                    self.close()
                    raise StoppedError
        except (EOFError, OSError, BrokenPipeError):
            self.close()
            raise ImpastoError("the process that painted was ended; most often there was not enough memory") from None

    @contextlib.contextmanager
    def asleep(self) -> Any:
        """Within the block the process does not work, so that others have the whole machine; but not for ever: it works now and then
        where one block follows the other.
        """
        self._others(1)
        try:
            yield
        finally:
            self._others(-1)

    def _others(self, more: int) -> None:
        """So many more want the machine for themselves: suspend the process, or let it go on."""
        with self._lock:
            now = time.monotonic()
            self._waiting += more
            if self._suspended and now - self._since > _LONGEST_SLEEP:
                self._awake_until = now + _LEAST_AWAKE
            suspend = self._waiting > 0 and now >= self._awake_until
            if suspend == self._suspended or self._process is None or not self._process.is_alive():
                return
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(self._process.pid)
                process.suspend() if suspend else process.resume()
                self._suspended, self._since = suspend, now


def _serve(connection: Connection, stop: Flag, niceness: int) -> None:
    """The process: it does what comes through the connection until that is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the studio says when to stop
    with contextlib.suppress(OSError, AttributeError):
        os.nice(niceness)
    while True:
        try:
            work, arguments = connection.recv()
        except (EOFError, OSError):
            return
        listener = _Listener(connection, stop)
        try:
            answer = ("done", work(*arguments, listener))
        except KeyboardInterrupt:
            answer = ("failed", StoppedError())
        except ImpastoError as error:
            answer = ("failed", InputError(str(error)) if isinstance(error, InputError) else ImpastoError(str(error)))
        except MemoryError:
            answer = ("failed", ImpastoError("there was not enough memory; a smaller size needs less"))
        except Exception as error:
            answer = (
                "failed",
                ImpastoError(f"something went wrong ({type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''})"),
            )
        try:
            connection.send(answer)
        except OSError:
            return


class _Listener:
    """Tells the studio of steps, and raises KeyboardInterrupt where the work shall stop, or nobody listens any more."""

    def __init__(self, connection: Connection, stop: Flag):
        self._connection, self._stop = connection, stop
        self._next, self._told = 0.0, 0.0

    def __call__(self, event: Event) -> None:
        now, preview = time.monotonic(), None
        if event.preview is not None and now >= self._next:
            preview, self._next = _encoded(event.preview), now + PREVIEW_SECONDS
        if preview is not None or now - self._told > 0.1 or event.step >= event.total:
            self._told = now
            try:
                self._connection.send(("step", Step(event.step, event.total, event.seconds, event.values.get("loss"), preview)))
            except OSError:
                raise KeyboardInterrupt from None
        if self._stop.is_set():
            raise KeyboardInterrupt


def _encoded(picture: "Tensor") -> bytes:
    """A picture (3, H, W) as a small JPEG file."""
    from impasto.media.images import resize, shown
    from impasto.media.stills import fit_within

    size = fit_within((picture.shape[-2], picture.shape[-1]), min(PREVIEW_SIDE, max(picture.shape[-2:])))
    return shown(resize(picture.detach().float().cpu(), size))
