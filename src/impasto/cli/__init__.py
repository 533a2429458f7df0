"""The command line. It holds no arithmetic: every command is a call of the library with what the user typed."""

import sys

from impasto.cli.app import app
from impasto.cli.console import fail
from impasto.errors import ImpastoError


def main() -> None:
    """Run the command line; an ImpastoError becomes one sentence and its exit code, never a traceback."""
    try:
        app(standalone_mode=True)
    except ImpastoError as error:
        fail(error)
    except KeyboardInterrupt:
        sys.exit(130)


__all__ = ["app", "main"]
