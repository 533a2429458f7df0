"""What the commands show: messages, tables and progress with the time left."""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from impasto.errors import ImpastoError

if TYPE_CHECKING:
    from impasto.events import Event, Listener

console = Console(highlight=False, markup=False)
errors = Console(stderr=True, highlight=False, soft_wrap=True, markup=False)
"""Names of files and words out of records are shown as they are: nothing in them is read as markup."""


def fail(error: ImpastoError) -> NoReturn:
    """Print the sentence and leave with the error's exit code."""
    _say("red", str(error))
    sys.exit(error.exit_code)


def warn(text: str) -> None:
    """Print a sentence that does not end the work."""
    _say("yellow", text)


def say_more() -> None:
    """Show what the library notes of its decisions."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("impasto: %(message)s"))
    logger = logging.getLogger("impasto")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _say(color: str, text: str) -> None:
    errors.print(Text.assemble(("impasto:", color), " ", text))


class Watch:
    """Progress that listens to events; `name` is what it says it is doing. A bar on a terminal, elsewhere a line now and then."""

    def __init__(self, progress: Progress, *, lines: bool):
        self.progress, self.lines = progress, lines
        self.task = progress.add_task("", total=None, loss="")
        self._text, self._tenth, self._next = "", -1, 0.0

    def name(self, text: str) -> None:
        """Start over under a new name."""
        self._text, self._tenth, self._next = text, -1, 0.0
        self.progress.reset(self.task, total=None, description=text)

    def __call__(self, event: "Event") -> None:
        """Move the bar to the event's step and show its loss, or tell of the first step and of each tenth."""
        loss = event.values.get("loss")
        self.progress.update(self.task, completed=event.step, total=event.total)
        if loss is not None:
            self.progress.update(self.task, loss=f"loss {loss:.4f}")
        tenth = 10 * event.step // max(1, event.total)
        if self.lines and event.step > 0 and event.total >= 10 and tenth > self._tenth and event.seconds >= self._next:
            shown = "" if loss is None else f", loss {loss:.4f}"
            errors.print(f"{self._text}: {event.step} of {event.total}, {event.seconds:.0f} s{shown}")
            self._tenth, self._next = tenth, event.seconds + 1


@contextmanager
def watching(name: str = "", *, lines: bool = True) -> Iterator[Watch]:
    """Progress on the error stream, so that results can be piped. lines: tell of it where there is no terminal."""
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}", markup=False),
    )  # fmt: skip
    with Progress(
        *columns, TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=errors, disable=not errors.is_terminal
    ) as progress:
        watch = Watch(progress, lines=lines and not errors.is_terminal)
        watch.name(name)
        yield watch


def every(listener: "Listener", steps: int) -> "Listener":
    """A listener that also prints a line of the mean values of every `steps` events: the log of a long training."""
    seen: dict[str, list[float]] = {}

    def listen(event: "Event") -> None:
        listener(event)
        for key, value in event.values.items():
            seen.setdefault(key, []).append(value)
        if event.step % steps == 0 or event.step == event.total:
            means = "  ".join(f"{key} {sum(values) / len(values):.4f}" for key, values in seen.items())
            console.print(f"step {event.step}/{event.total}  {event.seconds:.0f} s  {means}")
            seen.clear()

    return listen


@contextmanager
def resumable(name: str = "") -> Iterator[Watch]:
    """A progress bar over long work that keeps a checkpoint when the user stops it, and says so."""
    try:
        with watching(name) as watch:
            yield watch
    except KeyboardInterrupt:
        warn("stopped; the same command resumes it")
        raise typer.Exit(130) from None
