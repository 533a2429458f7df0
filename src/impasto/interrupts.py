"""Stops that are noticed between steps, never inside one: Ctrl-C, and SIGTERM, as cluster schedulers and systemd send it."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from impasto.events import Event, Listener, silence

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class _Request:
    """Whether somebody asked to stop. The first signal is noted and taken at the end of a step; a second one before that stops at once."""

    def __init__(self) -> None:
        self.made = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.made:
            raise KeyboardInterrupt
        self.made = True

    def take(self) -> None:
        """Stop now, if that was asked for."""
        if self.made:
            self.made = False
            raise KeyboardInterrupt


class Steps:
    """A listener that takes a stop when it is told of a step; `asked` says whether there is one to take."""

    def __init__(self, listener: Listener, request: _Request):
        self._listener, self._request = listener, request

    def __call__(self, event: Event) -> None:
        """Hand the event on, then stop if that was asked for."""
        self._listener(event)
        self._request.take()

    def take(self) -> None:
        """Stop now, if that was asked for."""
        self._request.take()

    def done(self) -> None:
        """The stop was taken in another way."""
        self._request.made = False

    @property
    def asked(self) -> bool:
        """Whether a stop was asked for that nobody has taken yet."""
        return self._request.made


@contextmanager
def between_steps(listener: Listener = silence) -> Iterator[Steps]:
    """Within the block Ctrl-C and SIGTERM wait for the end of a step: the listener, told of it, then raises KeyboardInterrupt.

    A stop that came after the last step is raised at the end of the outermost block. Signals reach the main thread alone, so in any other
    thread nothing is changed: there a listener that raises is the way to stop.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Steps(listener, _Request())
        return
    outer = signal.getsignal(signal.SIGINT)
    if isinstance(outer, _Request):
        yield Steps(listener, outer)
        return
    request = _Request()
    before = {number: signal.signal(number, request) for number in _SIGNALS}
    try:
        yield Steps(listener, request)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
    request.take()
