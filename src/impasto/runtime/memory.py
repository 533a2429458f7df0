"""Memory that is free, given back to the system."""

import contextlib
import ctypes


def give_back() -> None:
    """Let the system have what this process has freed: glibc keeps it in pieces, which grow where networks come and go.

    Takes some milliseconds; does nothing with other libraries.
    """
    with contextlib.suppress(OSError, AttributeError, TypeError):  # TypeError: there is no such name on Windows
        ctypes.CDLL(None).malloc_trim(0)
