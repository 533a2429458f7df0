"""Work for the painter's process that takes no time to load: tests of jobs are about jobs."""

import os
import time
from pathlib import Path

from impasto.errors import InputError
from impasto.events import Event


def count(path, steps, seconds, listener):
    """So many steps; resumed where it was stopped."""
    done = int(Path(path).read_text()) if Path(path).exists() else 0
    for step in range(done, steps):
        time.sleep(seconds)
        Path(path).write_text(str(step + 1))
        listener(Event(step + 1, steps, step * seconds, {"loss": 1 / (step + 1)}))
    return f"{done} to {steps}"


def fail(listener):
    """A sentence."""
    raise InputError("that is not a picture")


def stumble(listener):
    """Something that nobody thought of."""
    raise RuntimeError("boom\nand more")


def die(listener):
    """As if there were no memory."""
    os._exit(9)


def deaf(listener):
    """Work that is not told of stops."""
    time.sleep(60)
