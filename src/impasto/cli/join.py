"""`impasto join`: the parts of a film, put together."""

from pathlib import Path
from typing import Annotated

import typer

from impasto.cli.app import app
from impasto.cli.console import console, warn


@app.command()
def join(
    film: Annotated[Path, typer.Argument(help="What was painted: a film, or a folder of frames.", show_default=False)],
    output: Annotated[Path, typer.Argument(help="The painted film, named as for its parts; they lie beside it.", show_default=False)],
) -> None:
    """Put the parts of a film together that `impasto stylize --part` painted, with the sound of the film. The parts stay."""
    from impasto import api

    written, remark = api.join(film, output)
    console.print(f"{written}  {'frames' if written.is_dir() else f'{written.stat().st_size / 1e6:.1f} MB'}", soft_wrap=True)
    if remark:
        warn(remark)
