"""What the commands show: messages, tables and progress with the time left."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from impasto.errors import ImpastoError

if TYPE_CHECKING:
    from impasto.events import Event, Listener

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False, soft_wrap=True)


def fail(error: ImpastoError) -> NoReturn:
    """Print the sentence and leave with the error's exit code."""
    errors.print(f"[red]impasto:[/red] {_plain(str(error))}")
    sys.exit(error.exit_code)


def warn(text: str) -> None:
    """Print a sentence that does not end the work."""
    errors.print(f"[yellow]impasto:[/yellow] {_plain(text)}")


def _plain(text: str) -> str:
    return text.replace("[", "\\[")


class Watch:
    """A progress bar that listens to events; `name` is what it says it is doing."""

    def __init__(self, progress: Progress):
        self.progress = progress
        self.task = progress.add_task("", total=None, loss="")

    def name(self, text: str) -> None:
        """Start over under a new name."""
        self.progress.reset(self.task, total=None, description=_plain(text))

    def __call__(self, event: "Event") -> None:
        """Move the bar to the event's step and show its loss."""
        loss = event.values.get("loss")
        self.progress.update(self.task, completed=event.step, total=event.total)
        if loss is not None:
            self.progress.update(self.task, loss=f"loss {loss:.4f}")


@contextmanager
def watching(name: str = "") -> Iterator[Watch]:
    """A progress bar on the error stream, so that results can be piped; silent where there is no terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"))
    with Progress(
        *columns, TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), console=errors, disable=not errors.is_terminal
    ) as progress:
        watch = Watch(progress)
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
