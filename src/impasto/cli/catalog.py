"""`impasto styles` and `info`: what there is, and what a file holds."""

from typing import Annotated

import typer

from impasto.cli.app import app
from impasto.cli.console import console, warn


@app.command()
def styles() -> None:
    """List the styles, encoders and methods there are."""
    from rich.table import Table

    from impasto.methods.table import broken_methods, methods
    from impasto.storage.library import Library
    from impasto.storage.registry import bundled, fetchable, is_cached

    table = Table("style", "picture", "by", "licence", box=None, header_style="bold")
    for record in bundled("style").values():
        table.add_row(record.name, record.title, record.source, record.licence)
    for name in Library().names():
        table.add_row(name, "", "", "in your library")
    console.print(table)
    table = Table("encoder", "what", "where", box=None, header_style="bold")
    for record in bundled("encoder").values():
        table.add_row(record.name, record.title, f"bundled, {record.size / 1e6:.1f} MB")
    for record in fetchable("encoder").values():
        table.add_row(record.name, record.title, "cached" if is_cached(record) else "fetched when first used")
    console.print()
    console.print(table)
    table = Table("method", "what", box=None, header_style="bold")
    for entry in methods().values():
        table.add_row(entry.name, entry.title)
    console.print()
    console.print(table)
    for sentence in broken_methods().values():
        warn(sentence)


@app.command()
def info(
    target: Annotated[str, typer.Argument(help="A style file, a file of encoder weights, or a registered name.", show_default=False)],
) -> None:
    """Tell what a style file, a file of weights or a registered name holds."""
    from rich.table import Table
    from rich.text import Text

    from impasto.cli.describe import describe

    table = Table(box=None, show_header=False)
    for key, value in describe(target).items():
        table.add_row(Text(key, style="bold"), str(value))
    console.print(table)
