"""`impasto export`: networks as files for other engines."""

from pathlib import Path
from typing import Annotated

import typer

from impasto.cli.app import app
from impasto.cli.console import console, watching
from impasto.errors import InputError


@app.command()
def export(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="A trained style: a bundled name or a style file; or an encoder.", show_default=False),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="A file, .onnx, or .xml for OpenVINO. (default: NAME.onnx here)", show_default=False),
    ] = None,
    part: Annotated[str, typer.Option(help="What is exported: style, encoder or decoder.")] = "style",
    inputs: Annotated[
        list[str] | None,
        typer.Option("--input", help="What is an input of the file besides the photo: grain, strength; repeatable.", show_default=False),
    ] = None,
    strength: Annotated[float, typer.Option(help="0 is the photo, 1 the full style; part of the file.")] = 1.0,
    precision: Annotated[str, typer.Option(help="float32 or float16, or int8 in .xml files; what goes in and out is float32.")] = "float32",
    web: Annotated[
        Path | None,
        typer.Option(
            help="Write a page that paints live in the browser into this folder, with the named styles. (default: all small networks)",
            show_default=False,
        ),
    ] = None,
    layer: Annotated[str, typer.Option(help="Where a decoder is entered.")] = "relu4_1",
    photos: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of photos that int8 is calibrated on; repeatable. (default: made pictures)", show_default=False),
    ] = None,
) -> None:
    """Write the network of a style for other programs and for browsers, as an ONNX or OpenVINO file; it is checked by running it."""
    from impasto import api
    from impasto.job.web_engine import PACKAGE, VERSION, engine_folder, fetched_engine

    if web is not None:
        if output is not None or part != "style" or inputs or photos or strength != 1 or precision != "float32":
            raise InputError("a page has settings of its own: --web takes styles, and nothing else")
        if engine_folder() is None:
            with watching(f"fetching {PACKAGE} {VERSION}, MB") as watch:
                fetched_engine(watch)
        with watching("exporting styles") as watch:
            written = api.export_web(web, *(names or []), listener=watch)
        console.print(
            f"{written}  {sum(file.stat().st_size for file in written.rglob('*') if file.is_file()) / 1e6:.1f} MB", soft_wrap=True
        )
        console.print(f"to try it: python -m http.server --directory {written} 8000", soft_wrap=True)
        return
    if not names or len(names) > 1:
        raise InputError("one style is exported to a file: give its name; --web FOLDER takes several")
    (name,) = names
    written = api.export(
        name, output, part=part, inputs=inputs or (), strength=strength, precision=precision, layer=layer, photos=photos or None
    )
    console.print(f"{written}  {written.stat().st_size / 1e6:.2f} MB", soft_wrap=True)
