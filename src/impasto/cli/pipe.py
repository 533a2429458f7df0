"""`impasto stylize -`: raw frames through a pipe."""

import sys

import typer

from impasto.cli.console import errors, warn, watching
from impasto.errors import InputError
from impasto.settings import Controls


def paint_pipe(names: list[str], weights: list[float] | None, size: str, controls: Controls, unused: list[str]) -> None:
    """Raw frames from the standard input to the standard output; what is said goes to the error stream.

    unused: options that were given and are for files. Raises InputError.
    """
    if unused:
        raise InputError(f"{unused[0]} is for files, and frames come through the pipe")
    from impasto import api
    from impasto.media.raw import raw_size

    def print_size(size: tuple[int, int]) -> None:
        errors.print(f"painted frames have {size[1]}x{size[0]} pixels, rgb24")

    incoming, outgoing, frame_size = sys.stdin.buffer, sys.stdout.buffer, raw_size(size)
    try:
        with watching("learning the style", lines=False) as watch:
            count, problem = api.stylize_pipe(
                incoming,
                outgoing,
                frame_size,
                *names,
                weights=weights,
                controls=controls,
                on_size=print_size,
                listener=watch,
            )
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    errors.print(f"{count} frames")
    if problem:
        warn(problem)
