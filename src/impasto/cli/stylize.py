"""`impasto stylize`: photos and films in the style of pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from impasto.cli.app import app
from impasto.cli.console import console, fail, resumable, say_more, warn
from impasto.cli.options import (
    DEFAULT,
    Again,
    Backend,
    Device,
    Encoder,
    Exact,
    Inputs,
    Memory,
    OfAll,
    OnCluster,
    Output,
    Precision,
    Styles,
    method_options,
    rarely,
    split_weights,
    usual_style_sizes,
)
from impasto.cli.pipe import paint_pipe
from impasto.errors import InputError
from impasto.job.request import RegionRequest, Request, count_of, part_of
from impasto.settings import FILM_SIDE, PHOTO_SIDE, Controls

if TYPE_CHECKING:
    from impasto.job.outcome import Summary


@app.command()
@method_options
def stylize(
    inputs: Inputs,
    style: Styles,
    output: Output = None,
    method: Annotated[str, typer.Option(help="auto, or a method's name; `impasto styles` lists them.")] = DEFAULT.method,
    quality: Annotated[
        str,
        typer.Option(
            help="draft: what the method paints, at once; fine: finished by some steps of optimisation; best: by many more, and "
            "with VGG-19 where it is at hand. auto: fine for photos, draft for films."
        ),
    ] = DEFAULT.quality,
    size: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Longer side of the result in pixels; smaller photos keep theirs, 0 keeps any. "
            f"(default: {PHOTO_SIDE}, of films {FILM_SIDE})",
            show_default=False,
        ),
    ] = DEFAULT.size,
    stroke: Annotated[
        float | None,
        typer.Option(help="Size of the painting against the photo's: larger, larger strokes. (default: 1)", show_default=False),
    ] = DEFAULT.stroke,
    style_size: Annotated[
        int | None,
        typer.Option(
            min=32,
            help=f"Shorter side of the style picture in pixels: larger, larger strokes. (default: {usual_style_sizes()})",
            show_default=False,
        ),
    ] = DEFAULT.style_size,
    strength: Annotated[float, typer.Option(min=0, help="0 is the photo, 1 the full style.")] = DEFAULT.strength,
    keep_color: Annotated[
        str | None, typer.Option(help="Keep the photo's colours: luma or coral.", show_default=False)
    ] = DEFAULT.keep_color,
    mask: Annotated[
        list[Path] | None,
        typer.Option(
            help="Label map of the photo, with --style-mask; or a grey picture for each style, white where it paints.", show_default=False
        ),
    ] = None,
    style_mask: Annotated[list[Path] | None, typer.Option(help="Label map of each style picture.", show_default=False)] = None,
    regions: Annotated[
        str | None, typer.Option(help="Find matching regions by itself instead of masks: auto:4 for four.", show_default=False)
    ] = None,
    show_regions: Annotated[bool, typer.Option("--show-regions", help="Write the regions too, as OUTPUT-regions.png.")] = False,
    stabilize: Annotated[
        str,
        typer.Option(
            help="How films are stabilised. student: by a network that learned it, the fastest; a style picture is learned for films. "
            "flow: by optical flow, for any style. none: each frame for itself. auto: student where the style has one, flow for other "
            "networks and the solver, else none."
        ),
    ] = DEFAULT.stabilize,
    frames: Annotated[bool, rarely("A folder holds the frames of a film, and becomes a folder of frames.", "--frames")] = False,
    raw_size: Annotated[
        str | None,
        rarely("Size of the frames that come through the pipe, rgb24, as 640x360.", show_default=False),
    ] = None,
    part: OfAll = None,
    cluster: OnCluster = None,
    again: Again = False,
    background: Annotated[
        str, rarely("What transparency is laid on where the result cannot hold it: a colour's name, or #rrggbb.")
    ] = DEFAULT.background,
    keep_metadata: Annotated[bool, rarely("Keep EXIF, IPTC, XMP; title, date, place.", "--keep-metadata")] = DEFAULT.keep_metadata,
    seed: Annotated[int, rarely("For whatever is random.")] = DEFAULT.seed,
    encoder: Encoder = DEFAULT.encoder,
    device: Device = DEFAULT.device,
    backend: Backend = DEFAULT.backend,
    precision: Precision = DEFAULT.precision,
    memory: Memory = DEFAULT.memory,
    exact: Exact = DEFAULT.exact,
    max_megapixels: Annotated[int, rarely("Refuse larger pictures.", min=1)] = DEFAULT.max_megapixels,
    verbose: Annotated[bool, rarely("Say what paints.", "--verbose", "-v")] = False,
    *,
    options: dict[str, Any],
) -> None:
    """Paint photos and films in the style of a picture, or of several. An interrupted film is resumed by the same command."""
    from impasto.job.quick import paint_at_once

    if verbose:
        say_more()
    names, weights = split_weights(style)
    controls = Controls(
        method=method,
        encoder=encoder,
        quality=quality,
        size=size,
        stroke=stroke,
        style_size=style_size,
        strength=strength,
        keep_color=keep_color,
        background=background,
        keep_metadata=keep_metadata,
        stabilize=stabilize,
        seed=seed,
        device=device,
        backend=backend,
        precision=precision,
        memory=memory,
        exact=exact,
        max_megapixels=max_megapixels,
        options=options,
    )
    if Path("-") in inputs or raw_size is not None:
        if inputs != [Path("-")] or raw_size is None or output not in (None, "-"):
            raise InputError("raw frames come from - with --raw-size WIDTHxHEIGHT, and go to -")
        unused = {
            "--mask": mask, "--style-mask": style_mask, "--regions": regions, "--show-regions": show_regions, "--frames": frames,
            "--keep-metadata": keep_metadata, "--part": part, "--cluster": cluster, "--background": background != DEFAULT.background,
            "--again": again,
        }  # fmt: skip
        paint_pipe(names, weights, raw_size, controls, [name for name, value in unused.items() if value])
        return
    request = Request(
        list(inputs),
        names,
        output,
        weights,
        RegionRequest(mask or [], style_mask or [], None if regions is None else count_of(regions), show_regions),
        frames,
        None if part is None else part_of(part),
        cluster,
        controls,
        again,
    )
    summary = paint_at_once(request) or _performed(request)
    for sentence in summary.left_out:
        warn(sentence)
    painted = [outcome for outcome in summary.painted if not outcome.already]
    for outcome in painted:
        height, width = outcome.size or (0, 0)
        console.print(f"{outcome.output}  {width}x{height}  {outcome.seconds:.1f} s", soft_wrap=True)
        if outcome.remark:
            warn(outcome.remark)
    if summary.interrupted:
        warn("stopped; the last picture is kept as far as it came" if painted else "stopped; the same command resumes a film")
        raise typer.Exit(130)
    if len(summary.outcomes) == 1 and summary.failed:
        fail(summary.failed[0].error)  # type: ignore[arg-type]
    for outcome in summary.failed:
        warn(str(outcome.error))
    if summary.failed:
        warn(f"{len(summary.failed)} of {len(summary.outcomes)} files could not be painted")
        raise typer.Exit(max(1 if summary.painted else outcome.error.exit_code for outcome in summary.failed if outcome.error))


def _performed(request: Request) -> "Summary":
    """The job as it usually is done, with its progress."""
    from impasto.interrupts import between_steps
    from impasto.job.perform import perform

    def on_file(index: int, count: int, source: Path) -> None:
        watch.name(source.name if count == 1 else f"{index + 1}/{count} {source.name}")

    with resumable("painting" if request.cluster else "learning the style") as watch, between_steps(watch) as noticed:
        return perform(request, noticed, on_file, lambda regions: console.print("\n".join(regions.report)))
