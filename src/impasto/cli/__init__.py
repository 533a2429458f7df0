"""The command line. It holds no arithmetic: every command is a call of the library with what the user typed."""

import signal
import sys
import threading
import warnings

from impasto.cli import catalog, evaluate, learn, stylize, train  # noqa: F401  commands register themselves
from impasto.cli.app import app
from impasto.cli.console import fail
from impasto.errors import ImpastoError


def main() -> None:
    """Run the command line; an ImpastoError becomes one sentence and its exit code, never a traceback.

    SIGTERM ends it as Ctrl-C does: what was half written is removed, what can be resumed is kept.
    """
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    warnings.filterwarnings("ignore", module="PIL")  # on metadata that are not needed; what is wrong with a picture is said by ours
    try:
        app(standalone_mode=True)
    except ImpastoError as error:
        fail(error)
    except KeyboardInterrupt:
        sys.exit(130)


__all__ = ["app", "main"]
