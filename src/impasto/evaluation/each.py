"""One measurement after the other, here or wherever the caller has them made."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from impasto.events import Event, Listener

Each = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]], Listener], Iterator[Any]]
"""Calls a function with each of the arguments and gives the results in their order; the listener counts them."""


def in_order(function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], listener: Listener) -> Iterator[Any]:
    """Here, one after the other."""
    started = time.monotonic()
    for number, arguments in enumerate(calls, 1):
        yield function(*arguments)
        listener(Event(number, len(calls), time.monotonic() - started))
