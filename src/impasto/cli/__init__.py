"""The command line. It holds no arithmetic: every command is a call of the library with what the user typed."""

import errno
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from impasto.cli.console import fail, warn
from impasto.errors import ImpastoError, InputError

COMMANDS = ("catalog", "evaluate", "export", "join", "learn", "look", "studio", "stylize", "train")
"""The modules whose commands register themselves when they are loaded."""

FORMER = {"--sensor": "--camera-noise"}
"""Options that had another name before, with what they are called now."""


def loaded(words: Sequence[str]) -> Any:
    """The program with the command that is typed, or with all of them."""
    for name in [words[0]] if words and words[0] in COMMANDS else COMMANDS:
        import_module(f"impasto.cli.{name}")
    return import_module("impasto.cli.app").app


def renamed(words: list[str]) -> list[str]:
    """What was typed with the names that options have now; says so of each that had another one."""
    found = []
    for word in words:
        name, equals, value = word.partition("=")
        if name in FORMER:
            warn(f"{name} is called {FORMER[name]} now")
            word = f"{FORMER[name]}{equals}{value}"
        found.append(word)
    return found


def main() -> None:
    """Run the command line; an ImpastoError becomes one sentence and its exit code, never a traceback.

    SIGTERM ends it as Ctrl-C does: what was half written is removed, what can be resumed is kept.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    warnings.filterwarnings("ignore", module="PIL")  # on metadata that are not needed; what is wrong with a picture is said by ours
    try:
        words = renamed(sys.argv[1:])
        loaded(words)(words, standalone_mode=True)
    except ImpastoError as error:
        fail(error)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        fail(InputError(f"{error.filename} cannot be a file here: its name is too long"))
    except KeyboardInterrupt:
        sys.exit(130)


__all__ = ["main"]
