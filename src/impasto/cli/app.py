"""The program `impasto`: its groups of commands, which register themselves from the modules beside this one."""

from typing import Annotated

import typer

from impasto import __version__
from impasto.cli.console import console

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, help="Any photo in the style of any picture.")
train_app = typer.Typer(no_args_is_help=True, help="Train the networks that Impasto ships.")
evaluate_app = typer.Typer(no_args_is_help=True, help="Measure methods: how faithful, how fast.")
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")


def _version(wanted: bool) -> None:
    if wanted:
        console.print(__version__)
        raise typer.Exit


@app.callback()
def _top(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False) -> None:
    """Take the options that stand before any command."""
