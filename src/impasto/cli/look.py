"""`impasto lut`: the look of a photograph as a table of colours."""

from pathlib import Path
from typing import Annotated, Any

import typer

from impasto.cli.app import app
from impasto.cli.console import console, watching
from impasto.cli.options import DEFAULT, Device, Precision, Styles, method_options, split_weights
from impasto.settings import Controls


@app.command()
@method_options
def lut(
    photo: Annotated[Path, typer.Argument(help="A photo of what shall be graded.", show_default=False)],
    style: Styles,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="(default: PHOTO-STYLE.cube here)", show_default=False)] = None,
    table: Annotated[int, typer.Option(help="Colours of the table along each side.")] = 33,
    size: Annotated[
        int | None, typer.Option(min=0, help="Longer side that the photo is painted at. (default: 512)", show_default=False)
    ] = None,
    strength: Annotated[float, typer.Option(min=0, help="0 is the photo, 1 the full style.")] = DEFAULT.strength,
    method: Annotated[
        str, typer.Option(help="What paints it. (default: the solver, photo-realistic)", show_default=False)
    ] = DEFAULT.method,
    device: Device = DEFAULT.device,
    precision: Precision = DEFAULT.precision,
    max_megapixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures.")] = DEFAULT.max_megapixels,
    *,
    options: dict[str, Any],
) -> None:
    """Make a look: a .cube file that grades photos, and films at any length, as a photo becomes in the style of a picture."""
    from impasto import api

    names, weights = split_weights(style)
    controls = Controls(
        method=method,
        size=size,
        strength=strength,
        device=device,
        precision=precision,
        max_megapixels=max_megapixels,
        options=options,
    )
    with watching("painting the photo") as watch:
        written = api.lut(photo, *names, output=output, weights=weights, size=table, controls=controls, listener=watch)
    console.print(f"{written}  {table}x{table}x{table}  {written.stat().st_size / 1e6:.1f} MB", soft_wrap=True)
