"""The commands of `impasto`."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from impasto import __version__
from impasto.cli.console import Watch, console, errors, every, fail, warn, watching
from impasto.errors import InputError
from impasto.settings import PHOTO_WEIGHT, Controls

DEFAULT = Controls()

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help="Any photo in the style of any picture.")
train_app = typer.Typer(no_args_is_help=True, help="Train the networks that Impasto ships.")
evaluate_app = typer.Typer(no_args_is_help=True, help="Measure methods: how faithful, how fast.")
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")

Inputs = Annotated[
    list[Path],
    typer.Argument(help="Photos, films, or folders of them; - for raw frames from a pipe, with --raw-size.", show_default=False),
]
Styles = Annotated[
    list[str],
    typer.Option("--style", "-s", help="A picture, a style file or a bundled name; several with weights as NAME:0.7.", show_default=False),
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        help="A file, or a folder, with / at its end to be sure. (default: PHOTO-STYLE.png or FILM-STYLE.mp4 here)",
        show_default=False,
    ),
]
Encoder = Annotated[str, typer.Option(help="Network that sees: compact, vgg19, or a safetensors file.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Precision = Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")]


def _version(wanted: bool) -> None:
    if wanted:
        console.print(__version__)
        raise typer.Exit


@app.callback()
def _top(version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False) -> None:
    """Take the options that stand before any command."""


@contextmanager
def resumable(name: str = "") -> Iterator[Watch]:
    """A progress bar over long work that keeps a checkpoint when the user stops it, and says so."""
    try:
        with watching(name) as watch:
            yield watch
    except KeyboardInterrupt:
        warn("stopped; the same command resumes it")
        raise typer.Exit(130) from None


def chosen(given: dict[str, Any]) -> dict[str, Any]:
    """The options that were given; the others keep their default, which lives in the library."""
    return {key: value for key, value in given.items() if value is not None}


def split_weights(styles: list[str]) -> tuple[list[str], list[float] | None]:
    """Take `NAME:WEIGHT` apart; all styles have a weight or none. Raises InputError for a mixture."""
    names, weights = [], []
    for style in styles:
        name, colon, weight = style.rpartition(":")
        try:
            weights.append(float(weight) if colon else None)
            names.append(name if colon else style)
        except ValueError:
            weights.append(None)
            names.append(style)
    if all(weight is None for weight in weights):
        return names, None
    if any(weight is None for weight in weights):
        raise InputError("give every style a weight, as in --style a.jpg:0.3 --style b.jpg:0.7, or none")
    return names, [weight for weight in weights if weight is not None]


def five_scales(text: str) -> tuple[float, ...]:
    """`1,1,1,0,0` as numbers. Raises InputError."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"scales are five numbers with commas between, not {text!r}") from None


def whole_numbers(text: str, what: str) -> tuple[int, ...]:
    """`16,32,64` as numbers. Raises InputError."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"{what} are numbers with commas between, not {text!r}") from None


@app.command()
def stylize(
    inputs: Inputs,
    style: Styles,
    output: Output = None,
    method: Annotated[str, typer.Option(help="auto, or a method's name; `impasto styles` lists them.")] = DEFAULT.method,
    size: Annotated[
        int, typer.Option(min=0, help="Longer side of the result in pixels; smaller photos keep theirs, 0 keeps any.")
    ] = DEFAULT.size,
    style_size: Annotated[
        int | None,
        typer.Option(
            min=32,
            help="Shorter side of the style picture in pixels: larger, larger strokes. "
            "(default: metastyle 384, solver the photo's up to 384, others the photo's)",
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
    transform: Annotated[
        str | None,
        typer.Option(help="How features are changed: mean, adain, adain_lambda, wct or ost. (semantic; default: ost)", show_default=False),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(help="Where: one layer, or several as relu2_1,relu3_1,relu4_1. (semantic; default: these)", show_default=False),
    ] = None,
    detail: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Share of the photo's own detail, 0 to 1. (semantic; default: 0.5)", show_default=False),
    ] = None,
    hard: Annotated[bool, typer.Option("--hard", help="Regions do not blend where they meet (semantic).")] = False,
    rate: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Films: of the running averages, 1 for none. (semantic; default: 0.1)", show_default=False),
    ] = None,
    decoder: Annotated[
        str | None, typer.Option(help="Decoder of another encoder: a safetensors file. (semantic, patch-swap)", show_default=False)
    ] = None,
    scales: Annotated[
        str | None, typer.Option(help="Weights of the five scales, finest first, as 1,1,1,0,0 (solver).", show_default=False)
    ] = None,
    photoreal: Annotated[
        bool, typer.Option("--photoreal", help="Keep the picture a photograph: only its colours and light change (solver).")
    ] = False,
    passes: Annotated[
        int | None, typer.Option(min=1, help="Iterations: fewer are faster. (solver; default: 8)", show_default=False)
    ] = None,
    consistency: Annotated[
        float | None, typer.Option(min=0, help="Films: weight of the frame before, 0 for none. (solver; default: 0.37)", show_default=False)
    ] = None,
    stabilize: Annotated[
        str,
        typer.Option(
            help="How films are held still. student: by a network that learned it, the fastest; a style picture is learned for films. "
            "flow: by optical flow, for any style. none: each frame for itself. auto: student where the style has one, flow for other "
            "networks and the solver, else none."
        ),
    ] = DEFAULT.stabilize,
    frames: Annotated[bool, typer.Option("--frames", help="A folder holds the frames of a film, and becomes a folder of frames.")] = False,
    raw_size: Annotated[
        str | None, typer.Option(help="Size of the frames that come through the pipe, rgb24, as 640x360.", show_default=False)
    ] = None,
    solver: Annotated[str | None, typer.Option(help="Another trained solver: a safetensors file.", show_default=False)] = None,
    steps: Annotated[int | None, typer.Option(min=0, help="Steps to learn a style picture (metastyle).", show_default=False)] = None,
    photos: Annotated[
        list[Path] | None, typer.Option(help="Folder of photos to learn a style picture on (metastyle); repeatable.", show_default=False)
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, help="Steps per size (gatys). (default: the method's)", show_default=False)
    ] = None,
    levels: Annotated[int | None, typer.Option(min=1, help="Sizes from coarse to fine (gatys).", show_default=False)] = None,
    optimiser: Annotated[str | None, typer.Option(help="lbfgs or adam (gatys).", show_default=False)] = None,
    start: Annotated[str | None, typer.Option(help="content or noise (gatys).", show_default=False)] = None,
    loss: Annotated[str | None, typer.Option(help="Preset of the perceptual loss: impasto, gatys, ...", show_default=False)] = None,
    content_weight: Annotated[float | None, typer.Option(min=0, help="Higher keeps more of the photo.", show_default=False)] = None,
    background: Annotated[
        str, typer.Option(help="What transparency is laid on where the result cannot hold it: a colour's name, or #rrggbb.")
    ] = DEFAULT.background,
    keep_metadata: Annotated[bool, typer.Option("--keep-metadata", help="Copy the photo's EXIF block.")] = DEFAULT.keep_metadata,
    seed: Annotated[int, typer.Option(help="For whatever is random.")] = DEFAULT.seed,
    encoder: Encoder = DEFAULT.encoder,
    device: Device = DEFAULT.device,
    precision: Precision = DEFAULT.precision,
    max_megapixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures.")] = DEFAULT.max_megapixels,
) -> None:
    """Paint photos and films in the style of a picture, or of several. An interrupted film is resumed by the same command."""
    from impasto import api

    names, weights = split_weights(style)
    given: dict[str, Any] = {
        "steps": steps,
        "photos": photos,
        "iterations": iterations,
        "levels": levels,
        "optimiser": optimiser,
        "start": start,
        "loss": loss,
        "content_weight": content_weight,
        "scales": None if scales is None else five_scales(scales),
        "photoreal": PHOTO_WEIGHT if photoreal else None,
        "passes": passes,
        "consistency": consistency,
        "solver": solver,
        "transform": transform,
        "layers": None if layers is None else tuple(layer.strip() for layer in layers.split(",")),
        "detail": detail,
        "soft": False if hard else None,
        "rate": rate,
        "decoder": decoder,
    }
    controls = Controls(
        method=method,
        encoder=encoder,
        size=size,
        style_size=style_size,
        strength=strength,
        keep_color=keep_color,
        background=background,
        keep_metadata=keep_metadata,
        stabilize=stabilize,
        seed=seed,
        device=device,
        precision=precision,
        max_megapixels=max_megapixels,
        options=chosen(given),
    )
    if Path("-") in inputs or raw_size is not None:
        if inputs != [Path("-")] or raw_size is None or output not in (None, "-"):
            raise InputError("raw frames come from - with --raw-size WIDTHxHEIGHT, and go to -")
        unused = {
            "--mask": mask, "--style-mask": style_mask, "--regions": regions, "--show-regions": show_regions, "--frames": frames,
            "--keep-metadata": keep_metadata, "--background": background != DEFAULT.background,
        }  # fmt: skip
        for name, value in unused.items():
            if value:
                raise InputError(f"{name} is for files, and frames come through the pipe")
        paint_pipe(names, weights, raw_size, controls)
        return
    with resumable("learning the style") as watch:
        summary = api.stylize(
            list(inputs),
            *names,
            output=output,
            weights=weights,
            mask=mask or None,
            style_masks=style_mask or (),
            regions=regions,
            show_regions=show_regions,
            frames=frames,
            controls=controls,
            listener=watch,
            on_file=lambda index, count, source: watch.name(source.name if count == 1 else f"{index + 1}/{count} {source.name}"),
            on_regions=lambda regions: console.print("\n".join(regions.report)),
        )
    for sentence in summary.left_out:
        warn(sentence)
    for outcome in summary.painted:
        height, width = outcome.size or (0, 0)
        console.print(f"{outcome.output}  {width}x{height}  {outcome.seconds:.1f} s", soft_wrap=True)
        if outcome.remark:
            warn(outcome.remark)
    if summary.interrupted:
        warn("stopped; the last picture is kept as far as it came" if summary.painted else "stopped; the same command resumes a film")
        raise typer.Exit(130)
    if len(summary.outcomes) == 1 and summary.failed:
        fail(summary.failed[0].error)  # type: ignore[arg-type]
    for outcome in summary.failed:
        warn(str(outcome.error))
    if summary.failed:
        warn(f"{len(summary.failed)} of {len(summary.outcomes)} files could not be painted")
        raise typer.Exit(max(1 if summary.painted else outcome.error.exit_code for outcome in summary.failed if outcome.error))


def paint_pipe(names: list[str], weights: list[float] | None, size: str, controls: Controls) -> None:
    """Raw frames from the standard input to the standard output; what is said goes to the error stream."""
    from impasto import api
    from impasto.media.raw import raw_size

    def told(size: tuple[int, int]) -> None:
        errors.print(f"painted frames have {size[1]}x{size[0]} pixels, rgb24")

    incoming, outgoing, own = sys.stdin.buffer, sys.stdout.buffer, raw_size(size)
    try:
        with watching("learning the style", lines=False) as watch:
            count, problem = api.stylize_pipe(
                incoming,
                outgoing,
                own,
                *names,
                weights=weights,
                controls=controls,
                on_size=told,
                listener=watch,
            )
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    errors.print(f"{count} frames")
    if problem:
        warn(problem)


@app.command()
def adapt(
    paintings: Annotated[list[Path], typer.Argument(help="Pictures, or folders of pictures; each becomes a style.", show_default=False)],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="A file, or a folder. (default: PAINTING.safetensors here)", show_default=False)
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the style. (default: the file's)", show_default=False)] = None,
    purpose: Annotated[
        str,
        typer.Option("--for", help="photos; or video: films are then stable without optical flow, for half as much time again."),
    ] = "photos",
    temporal_weight: Annotated[
        float | None, typer.Option(min=0, help="For video: higher is steadier, and less of the style. (default: 15)", show_default=False)
    ] = None,
    steps: Annotated[int | None, typer.Option(min=0, help="Steps of the adaptation.", show_default=False)] = None,
    parameters: Annotated[str | None, typer.Option(help="all, or affine: 3,200 numbers that mix at run time.", show_default=False)] = None,
    style_size: Annotated[
        int | None,
        typer.Option(min=32, help="Shorter side of the painting in pixels: larger, larger strokes. (default: 384)", show_default=False),
    ] = DEFAULT.style_size,
    content_weight: Annotated[float | None, typer.Option(min=0, help="Higher keeps more of the photos.", show_default=False)] = None,
    photos: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of photos to learn on; repeatable. (default: pictures made from nothing)", show_default=False),
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the painting, for the record.")] = "not stated",
    source: Annotated[str, typer.Option(help="Painter and year, for the record.", show_default=False)] = "",
    seed: Annotated[int, typer.Option(help="For whatever is random.")] = DEFAULT.seed,
    encoder: Encoder = DEFAULT.encoder,
    device: Device = DEFAULT.device,
    precision: Precision = DEFAULT.precision,
    max_megapixels: Annotated[int, typer.Option(min=1, help="Refuse larger pictures.")] = DEFAULT.max_megapixels,
) -> None:
    """Learn a painting: a style file that paints in real time. Interrupt it when you like: the same command resumes it."""
    from impasto import api
    from impasto.media.images import list_pictures
    from impasto.runtime.outputs import Outputs, is_folder, names_of

    files = [file for entry in paintings for file in (list_pictures(entry) if entry.is_dir() else [entry])]
    if not files:
        raise InputError(f"there are no pictures in {', '.join(map(str, paintings))}")
    single = output is not None and not is_folder(output)
    if len(files) > 1 and (single or name is not None):
        raise InputError(f"there are {len(files)} paintings; give a folder as output and no name")
    if purpose not in ("photos", "video"):
        raise InputError(f"a painting is learned for photos or for video, not for {purpose!r}")
    if temporal_weight is not None and purpose != "video":
        raise InputError("--temporal-weight is of --for video")
    given = {
        "steps": steps,
        "parameters": parameters,
        "content_weight": content_weight,
        "film": True if purpose == "video" else None,
        "temporal_weight": temporal_weight,
    }
    controls = Controls(
        encoder=encoder,
        style_size=style_size,
        seed=seed,
        device=device,
        precision=precision,
        max_megapixels=max_megapixels,
        options=chosen(given),
    )
    outputs = Outputs([*paintings, *files])
    if single and output is not None:
        targets = [outputs.asked(output)]
    else:
        targets = [outputs.chosen(Path(output or "") / f"{own}.safetensors") for own in ([name] if name else names_of(files))]
    with resumable() as watch:
        for file, target in zip(files, targets, strict=True):
            watch.name(f"learning {file.name}")
            written = api.adapt(file, target, name=name, licence=licence, source=source, photos=photos, controls=controls, listener=watch)
            console.print(f"{written}  {written.stat().st_size / 1e6:.2f} MB", soft_wrap=True)


@app.command()
def enlarge(
    texture: Annotated[Path, typer.Argument(help="A small picture of a texture.", show_default=False)],
    reference: Annotated[Path, typer.Option("--reference", "-r", help="A sharp picture of such a texture.", show_default=False)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="(default: TEXTURE-xFACTOR.png here)", show_default=False)] = None,
    factor: Annotated[int, typer.Option(min=2, help="How many times as wide and as high.")] = 3,
    strength: Annotated[float, typer.Option(min=0, help="How much of the reference's detail; 0 for none.")] = DEFAULT.strength,
    scales: Annotated[
        str | None, typer.Option(help="Weights of the five scales, finest first. (default: 0.2,0.2,0.2,0.2,0)", show_default=False)
    ] = None,
    style_size: Annotated[
        int | None, typer.Option(min=32, help="Shorter side of the reference in pixels. (default: its own)", show_default=False)
    ] = None,
    device: Device = DEFAULT.device,
    precision: Precision = DEFAULT.precision,
) -> None:
    """Enlarge a texture with the detail of a sharp picture of the same material."""
    from impasto import api

    options = chosen({"scales": None if scales is None else five_scales(scales)})
    controls = Controls(strength=strength, style_size=style_size, device=device, precision=precision, options=options)
    written = api.enlarge(texture, reference, output, factor=factor, controls=controls)
    console.print(str(written), soft_wrap=True)


@app.command()
def mix(
    styles: Annotated[list[str], typer.Argument(help="Trained styles with weights, as NAME:0.7; equal without.", show_default=False)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="(default: NAMES.safetensors here)", show_default=False)] = None,
    name: Annotated[str | None, typer.Option(help="Name of the mixture.", show_default=False)] = None,
) -> None:
    """Mix trained styles into a new one: a convex combination of their networks."""
    from impasto import api

    names, weights = split_weights(styles)
    written = api.mix(names, weights, output, name=name)
    console.print(f"{written}  {written.stat().st_size / 1e6:.2f} MB", soft_wrap=True)


@app.command()
def styles() -> None:
    """List the styles, encoders and methods there are."""
    from impasto.methods import METHODS
    from impasto.styles.registry import bundled, fetchable, is_cached

    table = Table("style", "picture", "by", "licence", box=None, header_style="bold")
    for record in bundled("style").values():
        table.add_row(record.name, record.title, record.source, record.licence)
    console.print(table)
    table = Table("encoder", "what", "where", box=None, header_style="bold")
    for record in bundled("encoder").values():
        table.add_row(record.name, record.title, f"bundled, {record.size / 1e6:.1f} MB")
    for record in fetchable("encoder").values():
        table.add_row(record.name, record.title, "cached" if is_cached(record) else "fetched when first used")
    console.print()
    console.print(table)
    table = Table("method", "what", box=None, header_style="bold")
    for entry in METHODS.values():
        table.add_row(entry.name, entry.title)
    console.print()
    console.print(table)


@app.command()
def info(
    target: Annotated[str, typer.Argument(help="A style file, a file of encoder weights, or a registered name.", show_default=False)],
) -> None:
    """Tell what a style file, a file of weights or a registered name holds."""
    from impasto.cli.describe import describe

    table = Table(box=None, show_header=False)
    for key, value in describe(target).items():
        table.add_row(Text(key, style="bold"), str(value))
    console.print(table)


@train_app.command("encoder")
def train_encoder(
    content: Annotated[list[Path], typer.Option(help="Folder of photographs; repeatable.", show_default=False)],
    style: Annotated[list[Path], typer.Option(help="Folder of paintings; repeatable.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the encoder goes; its record is put beside it.")] = Path(
        "compact.safetensors"
    ),
    teacher: Annotated[str, typer.Option(help="Network to learn from: vgg19, or a safetensors file.")] = "vgg19",
    channels: Annotated[str | None, typer.Option(help="Width of the five blocks, as in 16,32,64,128,128.", show_default=False)] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of the optimiser.", show_default=False)] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Pictures of each kind per step.", show_default=False)] = None,
    crop: Annotated[int | None, typer.Option(min=64, help="Side of the training crops in pixels.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(show_default=False)] = None,
    device: Device = DEFAULT.device,
    log_every: Annotated[int, typer.Option(min=1, help="Steps between lines of the log.")] = 50,
) -> None:
    """Distil VGG-19 into a compact encoder. Interrupt it when you like: the same command resumes it."""
    from impasto.runtime.device import choose_place
    from impasto.runtime.encoders import load_encoder
    from impasto.training.encoder import EncoderTraining, train_encoder_file

    given: dict[str, Any] = {"steps": steps, "batch": batch, "crop": crop, "seed": seed}
    if channels is not None:
        given["channels"] = whole_numbers(channels, "channels")
    settings = EncoderTraining(**chosen(given))
    with resumable("training") as watch:
        network = load_encoder(teacher, choose_place("cpu", "float32"))
        place, listener = choose_place(device), every(watch, log_every)
        record = train_encoder_file(
            network,
            Path(teacher).stem,
            content,
            style,
            output,
            teacher_file=Path(teacher),
            settings=settings,
            device=place.device,
            listener=listener,
        )
    console.print(f"{output}  {record.size / 1e6:.2f} MB, {record.source}", soft_wrap=True)


@train_app.command("metastyle")
def train_metastyle(
    content: Annotated[list[Path], typer.Option(help="Folder of photographs; repeatable.", show_default=False)],
    style: Annotated[list[Path], typer.Option(help="Folder of paintings; repeatable.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the network goes; its record is put beside it.")] = Path(
        "metastyle.safetensors"
    ),
    preset: Annotated[str, typer.Option(help="recommended, or metastyle-official: the published values.")] = "recommended",
    order: Annotated[
        str | None, typer.Option(help="Gradient: second, first, reptile, joint or kept. (default: the preset's)", show_default=False)
    ] = None,
    inner: Annotated[str | None, typer.Option(help="What the inner loop changes: affine or all.", show_default=False)] = None,
    inner_steps: Annotated[int | None, typer.Option(min=1, help="Steps of the inner loop, 1 to 5.", show_default=False)] = None,
    inner_rate: Annotated[float | None, typer.Option(min=0, help="Rate of the inner loop at the start.", show_default=False)] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="Steps of the outer loop.", show_default=False)] = None,
    styles: Annotated[int | None, typer.Option(min=1, help="Paintings per outer step.", show_default=False)] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Photos per painting.", show_default=False)] = None,
    crop: Annotated[int | None, typer.Option(min=64, help="Side of the training crops in pixels.", show_default=False)] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="Of the outer loop.", show_default=False)] = None,
    width: Annotated[int | None, typer.Option(min=1, help="Channels of the first layer.", show_default=False)] = None,
    start: Annotated[Path | None, typer.Option(help="Weights to begin with instead of random ones.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(show_default=False)] = None,
    encoder: Encoder = DEFAULT.encoder,
    device: Device = DEFAULT.device,
    precision: Precision = DEFAULT.precision,
    log_every: Annotated[int, typer.Option(min=1, help="Steps between lines of the log.")] = 50,
) -> None:
    """Meta-train the network that learns paintings. Under torchrun on several devices; interrupted, the same command resumes it."""
    from impasto.metastyle.meta_training import train_metastyle_file

    given = {
        "order": order, "inner": inner, "inner_steps": inner_steps, "inner_rate": inner_rate, "steps": steps, "styles": styles,
        "batch": batch, "crop": crop, "learning_rate": learning_rate, "width": width, "seed": seed,
    }  # fmt: skip
    with resumable("meta-training") as watch:
        record = train_metastyle_file(
            content,
            style,
            output,
            preset=preset,
            changes=chosen(given),
            start=start,
            encoder=encoder,
            device=device,
            precision=precision,
            listener=every(watch, log_every),
        )
    if record is not None:
        console.print(f"{output}  {record.size / 1e6:.2f} MB, {record.source}", soft_wrap=True)


@train_app.command("solver")
def train_solver(
    content: Annotated[list[Path], typer.Option(help="Folder of photographs; repeatable.", show_default=False)],
    style: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of paintings; repeatable. Without any, styles are photographs too.", show_default=False),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the solver goes; its record is put beside it.")] = Path(
        "solver.safetensors"
    ),
    preset: Annotated[str, typer.Option(help="recommended, or flex: the published values.")] = "recommended",
    iterations: Annotated[int | None, typer.Option(min=1, help="N, trained updates in a row.", show_default=False)] = None,
    passes: Annotated[
        int | None, typer.Option(min=1, help="Iterations; the last update is repeated where they are more than N.", show_default=False)
    ] = None,
    horizon: Annotated[
        str | None, typer.Option(help="Of the gradient: whole, through all iterations, or step, each by itself.", show_default=False)
    ] = None,
    width: Annotated[int | None, typer.Option(min=1, help="L, channels of the finest scale.", show_default=False)] = None,
    feedback: Annotated[
        bool | None,
        typer.Option("--feedback/--no-feedback", help="Whether the updates see the picture's own statistics.", show_default=False),
    ] = None,
    shared: Annotated[
        bool | None, typer.Option("--shared/--separate", help="One way down for all scales, or one for each.", show_default=False)
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, show_default=False)] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Pairs per step.", show_default=False)] = None,
    crop: Annotated[int | None, typer.Option(min=64, help="Side of the training crops in pixels.", show_default=False)] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, show_default=False)] = None,
    loss: Annotated[str | None, typer.Option(help="Preset of the perceptual loss.", show_default=False)] = None,
    start: Annotated[Path | None, typer.Option(help="A solver to begin with instead of random weights.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(show_default=False)] = None,
    encoder: Annotated[str, typer.Option(help="Whose Gram matrices steer the solver, in training and after.")] = DEFAULT.encoder,
    loss_encoder: Annotated[
        str | None, typer.Option(help="Whose features the loss is taken in. (default: the encoder)", show_default=False)
    ] = None,
    device: Device = DEFAULT.device,
    precision: Precision = DEFAULT.precision,
    log_every: Annotated[int, typer.Option(min=1, help="Steps between lines of the log.")] = 50,
) -> None:
    """Train a solver for any style. Under torchrun on several devices; interrupted, the same command resumes it."""
    from impasto.solver.training import train_solver_file

    given = {
        "iterations": iterations, "passes": passes, "horizon": horizon, "width": width, "feedback": feedback, "shared": shared,
        "steps": steps, "batch": batch, "crop": crop, "learning_rate": learning_rate, "loss": loss, "seed": seed,
    }  # fmt: skip
    with resumable("training") as watch:
        record = train_solver_file(
            content,
            style or [],
            output,
            preset=preset,
            changes=chosen(given),
            start=start,
            encoder=encoder,
            loss_encoder=loss_encoder,
            device=device,
            precision=precision,
            listener=every(watch, log_every),
        )
    if record is not None:
        console.print(f"{output}  {record.size / 1e6:.2f} MB, {record.source}", soft_wrap=True)


@train_app.command("decoder")
def train_decoder(
    content: Annotated[list[Path], typer.Option(help="Folder of photographs; repeatable.", show_default=False)],
    style: Annotated[list[Path], typer.Option(help="Folder of paintings; repeatable.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the decoder goes; its record is put beside it.")] = Path(
        "decoder.safetensors"
    ),
    preset: Annotated[str, typer.Option(help="recommended, or published: inversion alone.")] = "recommended",
    hidden: Annotated[
        str | None, typer.Option(help="Widths on the way to relu1_1, relu2_1, relu3_1. (default: the encoder's)", show_default=False)
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, show_default=False)] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="Photos, and paintings, per step.", show_default=False)] = None,
    crop: Annotated[int | None, typer.Option(min=64, help="Side of the training crops in pixels.", show_default=False)] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, show_default=False)] = None,
    painting: Annotated[
        float | None, typer.Option(min=0, help="Weight of painting at several layers; 0 for inversion alone.", show_default=False)
    ] = None,
    start: Annotated[Path | None, typer.Option(help="A decoder to begin with instead of random weights.", show_default=False)] = None,
    seed: Annotated[int | None, typer.Option(show_default=False)] = None,
    encoder: Annotated[str, typer.Option(help="Whose features are decoded.")] = DEFAULT.encoder,
    loss_encoder: Annotated[
        str | None, typer.Option(help="Whose features the loss of painting is taken in. (default: the encoder)", show_default=False)
    ] = None,
    device: Device = DEFAULT.device,
    precision: Precision = DEFAULT.precision,
    log_every: Annotated[int, typer.Option(min=1, help="Steps between lines of the log.")] = 50,
) -> None:
    """Train the decoder of an encoder. Under torchrun on several devices; interrupted, the same command resumes it."""
    from impasto.semantic.training import train_decoder_file

    given: dict[str, Any] = {
        "steps": steps, "batch": batch, "crop": crop, "learning_rate": learning_rate, "painting": painting, "seed": seed,
    }  # fmt: skip
    if hidden is not None:
        given["hidden"] = whole_numbers(hidden, "hidden widths")
    with resumable("training") as watch:
        record = train_decoder_file(
            content,
            style,
            output,
            preset=preset,
            changes=chosen(given),
            start=start,
            encoder=encoder,
            loss_encoder=loss_encoder,
            device=device,
            precision=precision,
            listener=every(watch, log_every),
        )
    if record is not None:
        console.print(f"{output}  {record.size / 1e6:.2f} MB, {record.source}", soft_wrap=True)


@train_app.command("teacher")
def train_teacher(
    painting: Annotated[Path, typer.Argument(help="The style picture.", show_default=False)],
    content: Annotated[list[Path], typer.Option(help="Folder of photographs; repeatable.", show_default=False)],
    film: Annotated[
        list[Path] | None, typer.Option(help="A film, a folder of frames, or a folder of either; repeatable.", show_default=False)
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="(default: PAINTING-teacher.safetensors)", show_default=False)
    ] = None,
    preset: Annotated[str, typer.Option(help="recommended, or published: 90,000 steps.")] = "recommended",
    start: Annotated[
        Path | None,
        typer.Option(help="A style file that paints it already, or a teacher. (default: one is trained first)", show_default=False),
    ] = None,
    vanilla_steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps of learning the style first, where --start is not given. (default: 1000)", show_default=False),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, show_default=False)] = None,
    crop: Annotated[int | None, typer.Option(min=64, help="Side of the training crops in pixels.", show_default=False)] = None,
    style_size: Annotated[int | None, typer.Option(min=32, show_default=False)] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, show_default=False)] = None,
    loss: Annotated[str | None, typer.Option(help="Preset of the perceptual loss.", show_default=False)] = None,
    temporal_weight: Annotated[
        float | None, typer.Option(min=0, help="Of the temporal term. (default: calibrated)", show_default=False)
    ] = None,
    licence: Annotated[str, typer.Option(help="Licence of the painting, for the record.")] = "not stated",
    seed: Annotated[int | None, typer.Option(show_default=False)] = None,
    encoder: Encoder = DEFAULT.encoder,
    device: Device = DEFAULT.device,
    precision: Precision = DEFAULT.precision,
    log_every: Annotated[int, typer.Option(min=1, help="Steps between lines of the log.")] = 50,
) -> None:
    """Train a video network that uses optical flow (Ruder et al. 2018). Under torchrun on several devices; interrupted, it is resumed."""
    from impasto.distillation.recipes import train_teacher_file

    given: dict[str, Any] = {
        "steps": steps, "crop": crop, "style_size": style_size, "learning_rate": learning_rate, "loss": loss,
        "temporal_weight": temporal_weight, "seed": seed,
    }  # fmt: skip
    with resumable("training") as watch:
        written = train_teacher_file(
            painting,
            content,
            film or [],
            output or Path(f"{painting.stem}-teacher.safetensors"),
            preset=preset,
            changes=chosen(given),
            start=start,
            **chosen({"vanilla_steps": vanilla_steps}),
            licence=licence,
            encoder=encoder,
            device=device,
            precision=precision,
            listener=every(watch, log_every),
        )
    if written is not None:
        console.print(f"{written}  {written.stat().st_size / 1e6:.2f} MB", soft_wrap=True)


def by_name(given: list[str] | None, what: str) -> dict[str, float]:
    """`residual=1,rank=0.25` as numbers by name. Raises InputError."""
    found = {}
    for part in ",".join(given or []).split(","):
        name, equals, number = part.strip().partition("=")
        try:
            if part.strip():
                found[name] = float(number if equals else "none")
        except ValueError:
            raise InputError(f"{what} are given as residual=1,rank=0.25, not as {part!r}") from None
    return found


@train_app.command("student")
def train_student(
    painting: Annotated[Path, typer.Argument(help="The style picture.", show_default=False)],
    film: Annotated[
        list[Path] | None, typer.Option(help="A film, a folder of frames, or a folder of either; repeatable.", show_default=False)
    ] = None,
    content: Annotated[list[Path] | None, typer.Option(help="Folder of photographs, moved; repeatable.", show_default=False)] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="(default: PAINTING-student.safetensors)", show_default=False)
    ] = None,
    teacher: Annotated[Path | None, typer.Option(help="Its style file.", show_default=False)] = None,
    student: Annotated[
        str | None,
        typer.Option(help="metastyle, or a size of ReCoNet: reconet, reconet-s, reconet-xs. (default: the start's)", show_default=False),
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(help="A style file that paints it already, made stable. (default: one is trained first)", show_default=False),
    ] = None,
    preset: Annotated[
        str, typer.Option(help="recommended; temporal, with the temporal loss too; or published: 20,000 steps.")
    ] = "recommended",
    terms: Annotated[
        list[str] | None,
        typer.Option(
            help="Losses beside the perceptual one, as shares of its gradient: residual=1,rank=0.25; of residual, vanilla, rank, temporal, "
            "output, feature. none=0 for none.",
            show_default=False,
        ),
    ] = None,
    weights: Annotated[
        list[str] | None, typer.Option(help="The same with weights that are taken as they are: residual=4e8.", show_default=False)
    ] = None,
    rank_mode: Annotated[str | None, typer.Option(help="nuclear, tail, centred or relative.", show_default=False)] = None,
    rank_of: Annotated[str | None, typer.Option(help="Move as much as the input, or the teacher.", show_default=False)] = None,
    rank_masks: Annotated[str | None, typer.Option(help="intersected, or by frame.", show_default=False)] = None,
    vanilla_steps: Annotated[
        int | None,
        typer.Option(min=1, help="Steps of learning the style first, where --start is not given. (default: 1000)", show_default=False),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=1, show_default=False)] = None,
    length: Annotated[int | None, typer.Option(min=2, help="Frames of a run.", show_default=False)] = None,
    crop: Annotated[int | None, typer.Option(min=64, help="Side of the training crops in pixels.", show_default=False)] = None,
    style_size: Annotated[int | None, typer.Option(min=32, show_default=False)] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, show_default=False)] = None,
    loss: Annotated[str | None, typer.Option(help="Preset of the perceptual loss.", show_default=False)] = None,
    licence: Annotated[str, typer.Option(help="Licence of the painting, for the record.")] = "not stated",
    seed: Annotated[int | None, typer.Option(show_default=False)] = None,
    encoder: Encoder = DEFAULT.encoder,
    device: Device = DEFAULT.device,
    precision: Precision = DEFAULT.precision,
    log_every: Annotated[int, typer.Option(min=1, help="Steps between lines of the log.")] = 50,
) -> None:
    """Train a network whose films are stable without optical flow. Under torchrun on several devices; interrupted, it is resumed."""
    from impasto.distillation.recipes import train_student_file

    given: dict[str, Any] = {
        "steps": steps, "length": length, "crop": crop, "style_size": style_size, "learning_rate": learning_rate, "loss": loss,
        "seed": seed, "rank_mode": rank_mode, "rank_of": rank_of, "rank_masks": rank_masks,
    }  # fmt: skip
    if terms is not None or weights is not None:
        given["fractions"] = {name: value for name, value in by_name(terms, "terms").items() if name != "none"}
        given["weights"] = by_name(weights, "weights")
    with resumable("training") as watch:
        written = train_student_file(
            painting,
            content or [],
            film or [],
            output or Path(f"{painting.stem}-student.safetensors"),
            student=student,
            teacher=teacher,
            start=start,
            **chosen({"vanilla_steps": vanilla_steps}),
            preset=preset,
            changes=chosen(given),
            licence=licence,
            encoder=encoder,
            device=device,
            precision=precision,
            listener=every(watch, log_every),
        )
    if written is not None:
        console.print(f"{written}  {written.stat().st_size / 1e6:.2f} MB", soft_wrap=True)


@train_app.command("johnson")
def train_johnson(
    painting: Annotated[Path, typer.Argument(help="The style picture.", show_default=False)],
    content: Annotated[list[Path], typer.Option(help="Folder of photographs; repeatable.", show_default=False)],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="(default: PAINTING.safetensors here)", show_default=False)] = None,
    steps: Annotated[int | None, typer.Option(min=1, help="(default: 40000, as published)", show_default=False)] = None,
    batch: Annotated[int | None, typer.Option(min=1, help="(default: 4, as published)", show_default=False)] = None,
    crop: Annotated[int | None, typer.Option(min=64, help="(default: 256)", show_default=False)] = None,
    style_size: Annotated[int | None, typer.Option(min=32, help="(default: 256)", show_default=False)] = None,
    start: Annotated[str, typer.Option(help="Where the weights begin: random, metastyle, or a file of weights.")] = "random",
    loss: Annotated[str, typer.Option(help="Preset of the perceptual loss.")] = "feedforward",
    seed: Annotated[int, typer.Option()] = DEFAULT.seed,
    encoder: Encoder = DEFAULT.encoder,
    device: Device = DEFAULT.device,
    precision: Precision = DEFAULT.precision,
    log_every: Annotated[int, typer.Option(min=1, help="Steps between lines of the log.")] = 100,
) -> None:
    """Train one network for one painting from scratch: the baseline. Interrupted, the same command resumes it."""
    from impasto.reference.johnson import JohnsonTraining, train_johnson_file
    from impasto.runtime.device import choose_place
    from impasto.runtime.network_file import load_network

    usual = JohnsonTraining()
    given: dict[str, Any] = {"steps": steps, "batch": batch, "crop": crop}
    training = replace(usual.training, seed=seed, **chosen(given))
    with resumable("training") as watch:
        written = train_johnson_file(
            painting,
            content,
            output or Path(f"{painting.stem}.safetensors"),
            replace(usual, training=training, style_size=style_size or usual.style_size),
            preset=loss,
            start=None if start == "random" else load_network(start),
            encoder=encoder,
            place=choose_place(device, precision),
            listener=every(watch, log_every),
        )
    console.print(f"{written}  {written.stat().st_size / 1e6:.2f} MB", soft_wrap=True)


def check_report(json: Path | None, inputs: list[Path | None]) -> None:
    """A report can be written, and is none of the files that are evaluated. Raises InputError."""
    from impasto.files import check_folder
    from impasto.runtime.outputs import Outputs

    if json is not None:
        Outputs(path for path in inputs if path is not None).asked(json)
        check_folder(json)


@evaluate_app.command("fidelity")
def evaluate_fidelity(
    content: Annotated[Path | None, typer.Option(help="Folder of photos.", show_default=False)] = None,
    style: Annotated[Path | None, typer.Option(help="Folder of style pictures; every photo meets every one.", show_default=False)] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="A JSON list of pairs with known figures of Gatys, instead of the folders.", show_default=False)
    ] = None,
    method: Annotated[
        list[str] | None, typer.Option(help="METHOD or METHOD:ENCODER; repeatable. (default: all)", show_default=False)
    ] = None,
    encoder: Annotated[str, typer.Option(help="Network that judges: vgg19, or a safetensors file.")] = "vgg19",
    size: Annotated[int, typer.Option(min=64, help="Shorter side of the photos in pixels.")] = 256,
    iterations: Annotated[int, typer.Option(min=1, help="Of the optimisation that stands for 1.")] = 150,
    steps: Annotated[int | None, typer.Option(min=1, help="Of metastyle's adaptation. (default: its own)", show_default=False)] = None,
    loss: Annotated[str, typer.Option(help="Loss that gatys minimises: yardstick, impasto, ...")] = "yardstick",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many pairs.", show_default=False)] = None,
    keep: Annotated[Path | None, typer.Option(help="Folder for the pictures.", show_default=False)] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write all figures here.", show_default=False)] = None,
    device: Device = DEFAULT.device,
    precision: Annotated[str, typer.Option(help="Of the methods; the judge works in float32.")] = "float32",
) -> None:
    """Compare methods with the optimum: losses, share of Gatys' loss reduction, content ratio."""
    from impasto.cli.evaluation import run_fidelity

    check_report(json, [pairs])
    with watching("evaluating") as watch:
        report = run_fidelity(
            content=content,
            style=style,
            pairs=pairs,
            methods=method,
            encoder=encoder,
            size=size,
            iterations=iterations,
            loss=loss,
            steps=steps,
            limit=limit,
            keep=keep,
            device=device,
            precision=precision,
            listener=watch,
        )
    report.show(console)
    if json is not None:
        report.write(json)
        console.print(f"written to {json}")


@evaluate_app.command("stability")
def evaluate_stability(
    films: Annotated[
        list[Path] | None,
        typer.Argument(help="Films, folders of frames, folders of either, or a folder laid out as MPI Sintel.", show_default=False),
    ] = None,
    style: Annotated[
        list[str] | None,
        typer.Option(
            "--style",
            "-s",
            help="STYLE, or STYLE@none, @student, @flow: how it is held still, as --stabilize; METHOD:PICTURE for a method. Repeatable.",
            show_default=False,
        ),
    ] = None,
    rendering: Annotated[str, typer.Option(help="Sintel's: final or clean.")] = "final",
    moving: Annotated[
        Path | None, typer.Option(help="Folder of photos: also judge on scenes made of them, whose flow is exact.", show_default=False)
    ] = None,
    scenes: Annotated[int, typer.Option(min=1, help="Scenes made of photos.")] = 3,
    size: Annotated[int, typer.Option(min=0, help="Longer side of films whose flow is estimated, 0 for their own.")] = 640,
    painting: Annotated[Path | None, typer.Option(help="The style picture, for style and content losses.", show_default=False)] = None,
    encoder: Annotated[str, typer.Option(help="Network that judges these losses.")] = DEFAULT.encoder,
    maps: Annotated[Path | None, typer.Option(help="Folder for pictures of the errors.", show_default=False)] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write all figures here.", show_default=False)] = None,
    device: Device = DEFAULT.device,
    precision: Precision = DEFAULT.precision,
) -> None:
    """Measure how stable films are: warping errors by scene, with true or estimated flow, beside style and content losses."""
    from impasto.cli.evaluation import run_stability

    check_report(json, [*(films or []), painting])
    with watching("evaluating") as watch:
        report = run_stability(
            films=films or [],
            styles=style or [],
            rendering=rendering,
            moving=moving,
            scenes=scenes,
            size=size,
            painting=painting,
            encoder=encoder,
            maps=maps,
            device=device,
            precision=precision,
            listener=watch,
        )
    report.show(console)
    if json is not None:
        report.write(json)
        console.print(f"written to {json}")


@evaluate_app.command("speed")
def evaluate_speed(
    size: Annotated[
        list[int] | None, typer.Option(min=64, help="Square sizes in pixels; repeatable. (default: 256, 512)", show_default=False)
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(help="Encoders to time; repeatable. (default: compact, and vgg19 if it is at hand)", show_default=False),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs; the median is printed.")] = 7,
    json: Annotated[Path | None, typer.Option("--json", help="Write all figures here.", show_default=False)] = None,
    device: Device = DEFAULT.device,
) -> None:
    """Time the encoders, the engine's precision and layout, and the methods; medians of one run."""
    from impasto.cli.evaluation import run_speed

    check_report(json, [])
    with watching("timing") as watch:
        report = run_speed(sizes=size or [256, 512], encoders=encoder, repeats=repeats, device=device, listener=watch)
    report.show(console)
    if json is not None:
        report.write(json)
        console.print(f"written to {json}")
