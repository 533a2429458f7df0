"""Packages that only extras install."""

import contextlib
import importlib
import io
import logging
import sys
import warnings
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

from impasto.errors import UnavailableError


def needed(package: str, extra: str) -> Any:
    """A package that an extra installs. Raises UnavailableError."""
    if extra == "openvino":
        # OpenVINO and NNCF report every use to their makers unless this package is missing.
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        return importlib.import_module(package)
    except ImportError:
        raise UnavailableError(f"this needs {package}: pip install 'impasto[{extra}]'") from None


def is_installed(package: str) -> bool:
    """Whether a package is there, without importing it."""
    return find_spec(package) is not None


@contextlib.contextmanager
def quiet(*loggers: str) -> Iterator[None]:
    """Nothing of what exporters print, warn and log for their developers."""
    found = [logging.getLogger(name) for name in loggers]
    levels = [logger.level for logger in found]
    try:
        for logger in found:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(found, levels, strict=True):
            logger.setLevel(level)
