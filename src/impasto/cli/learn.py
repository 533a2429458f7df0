"""`impasto adapt`, `mix` and `enlarge`: what is learned from pictures and made of styles."""

from pathlib import Path
from typing import Annotated

import typer

from impasto.cli.app import app
from impasto.cli.choices import numbers
from impasto.cli.console import console, fail, resumable, warn
from impasto.cli.options import DEFAULT, Device, Encoder, OnCluster, Precision, chosen, split_weights
from impasto.errors import ImpastoError, InputError, unknown
from impasto.settings import Controls

PURPOSES = {"photos": {}, "video": {"film": True}, "live": {"live": True}}
"""What a painting can be learned for, with the settings that say so."""


@app.command()
def adapt(
    paintings: Annotated[list[Path], typer.Argument(help="Pictures, or folders of pictures; each becomes a style.", show_default=False)],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="A file, or a folder. (default: PAINTING.safetensors here)", show_default=False)
    ] = None,
    name: Annotated[str | None, typer.Option(help="Name of the style. (default: the file's)", show_default=False)] = None,
    purpose: Annotated[
        str,
        typer.Option(
            "--for",
            help="photos; video: films too, which are then stable without optical flow, in two to three times the time; or live: a small "
            "network for films and cameras, about five times as fast, learned from the one for video.",
        ),
    ] = "photos",
    temporal_weight: Annotated[
        float | None,
        typer.Option(
            min=0, help="For video and live: higher is steadier, and less of the style. (default: 15, live 5)", show_default=False
        ),
    ] = None,
    steps: Annotated[int | None, typer.Option(min=0, help="Steps of the adaptation.", show_default=False)] = None,
    parameters: Annotated[str | None, typer.Option(help="all, or affine: 3,200 numbers that mix at run time.", show_default=False)] = None,
    style_size: Annotated[
        int | None,
        typer.Option(min=32, help="Shorter side of the painting in pixels: larger, larger strokes. (default: 448)", show_default=False),
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
    force: Annotated[bool, typer.Option("--force", help="Replace a style file of another painting or with other settings.")] = False,
    cluster: OnCluster = None,
) -> None:
    """Learn a painting: a style file that paints in real time. Interrupt it when you like: the same command resumes it."""
    from impasto import api
    from impasto.job.learn import check_replaced
    from impasto.media.images import list_pictures
    from impasto.runtime.outputs import Outputs, is_folder, names_of

    files = [file for entry in paintings for file in (list_pictures(entry) if entry.is_dir() else [entry])]
    if not files:
        raise InputError(f"there are no pictures in {', '.join(map(str, paintings))}")
    single = output is not None and not is_folder(output)
    if len(files) > 1 and (single or name is not None):
        raise InputError(f"there are {len(files)} paintings; give a folder as output and no name")
    if purpose not in PURPOSES:
        raise InputError(unknown("purpose", purpose, PURPOSES))
    if temporal_weight is not None and purpose == "photos":
        raise InputError("--temporal-weight is of --for video and --for live")
    if parameters == "affine" and purpose == "live":
        raise InputError("a network for live films is learned whole: --parameters affine is for photos and video")
    options = {
        "steps": steps,
        "parameters": parameters,
        "content_weight": content_weight,
        **PURPOSES[purpose],
        "temporal_weight": temporal_weight,
    }
    controls = Controls(
        encoder=encoder,
        style_size=style_size,
        seed=seed,
        device=device,
        precision=precision,
        max_megapixels=max_megapixels,
        options=chosen(options),
    )
    outputs = Outputs([*paintings, *files])
    if single and output is not None:
        targets = [outputs.asked(output)]
    else:
        targets = [outputs.chosen(Path(output or "") / f"{stem}.safetensors") for stem in ([name] if name else names_of(files))]
        for message in outputs.messages:
            warn(message)
    if not force:
        for file, target in zip(files, targets, strict=True):
            check_replaced(file, target, photos, controls)
    if cluster is not None:
        _learn_on_cluster(cluster, list(zip(files, targets, strict=True)), name, licence, source, photos, controls)
        return
    with resumable() as watch:
        for file, target in zip(files, targets, strict=True):
            watch.name(f"learning {file.name}")
            written = api.adapt(
                file, target, name=name, licence=licence, source=source, photos=photos, controls=controls, force=force, listener=watch
            )
            console.print(f"{written}  {written.stat().st_size / 1e6:.2f} MB", soft_wrap=True)


def _learn_on_cluster(
    cluster: str,
    paintings: list[tuple[Path, Path]],
    name: str | None,
    licence: str,
    source: str,
    photos: list[Path] | None,
    controls: Controls,
) -> None:
    """Each painting a task."""
    from impasto.job.cluster_work import learn_on_cluster

    failed = 0
    with resumable("learning paintings") as watch:
        for written, error in learn_on_cluster(cluster, paintings, name, licence, source, photos, controls, watch):
            if error is None:
                console.print(f"{written}  {written.stat().st_size / 1e6:.2f} MB", soft_wrap=True)
            else:
                failed += 1
                warn(f"{written}: {error}")
    if failed:
        fail(ImpastoError(f"{failed} of {len(paintings)} paintings could not be learned"))


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

    options = chosen({"scales": None if scales is None else numbers(scales, "scales", "five numbers with commas between, as 1,1,1,0,0")})
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
