"""`impasto evaluate`: how faithful, how stable, how fast."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from impasto.cli.app import evaluate_app
from impasto.cli.console import console, watching
from impasto.cli.options import DEFAULT, Device, OnCluster, Precision

if TYPE_CHECKING:
    from impasto.evaluation.each import Each
    from impasto.evaluation.fidelity import FidelityReport
    from impasto.evaluation.speed import SpeedReport
    from impasto.evaluation.stability import StabilityReport


def check_report(json: Path | None, inputs: list[Path | None]) -> None:
    """A report can be written, and is none of the files that are evaluated. Raises InputError."""
    from impasto.files import check_folder
    from impasto.runtime.outputs import Outputs

    if json is not None:
        Outputs(path for path in inputs if path is not None).asked(json)
        check_folder(json)


@contextmanager
def everywhere(cluster: str | None) -> "Iterator[Each | None]":
    """What measures on a cluster, each photo or film a task; None for here."""
    if cluster is None:
        yield None
        return
    from impasto.job.cluster import connected
    from impasto.job.cluster_work import each_on

    with connected(cluster) as found:
        yield each_on(found)


def tell(report: "FidelityReport | StabilityReport | SpeedReport", json: Path | None) -> None:
    """Show a report, and write it if that was asked for."""
    report.show(console)
    if json is not None:
        report.write(json)
        console.print(f"written to {json}")


@evaluate_app.command("fidelity")
def evaluate_fidelity(
    content: Annotated[Path | None, typer.Option(help="Folder of photos.", show_default=False)] = None,
    style: Annotated[Path | None, typer.Option(help="Folder of style pictures; every photo meets every one.", show_default=False)] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="A JSON list of pairs with known figures of Gatys, instead of the folders.", show_default=False)
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="METHOD, METHOD:ENCODER, METHOD@fine for finished pictures; repeatable. (default: all)", show_default=False),
    ] = None,
    encoder: Annotated[str, typer.Option(help="Network that judges: vgg19, or a safetensors file.")] = "vgg19",
    size: Annotated[int, typer.Option(min=64, help="Shorter side of the photos in pixels.")] = 256,
    iterations: Annotated[int, typer.Option(min=1, help="Of the optimisation that stands for 1.")] = 150,
    steps: Annotated[int | None, typer.Option(min=1, help="Of metastyle's adaptation. (default: its own)", show_default=False)] = None,
    loss: Annotated[str, typer.Option(help="Loss that gatys minimises: yardstick, impasto, ...")] = "yardstick",
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many pairs.", show_default=False)] = None,
    keep: Annotated[Path | None, typer.Option(help="Folder for the pictures.", show_default=False)] = None,
    sheet: Annotated[Path | None, typer.Option(help="Write all pictures beside one another here.", show_default=False)] = None,
    json: Annotated[Path | None, typer.Option("--json", help="Write all figures here.", show_default=False)] = None,
    device: Device = DEFAULT.device,
    precision: Annotated[str, typer.Option(help="Of the methods; the judge works in float32.")] = "float32",
    cluster: OnCluster = None,
) -> None:
    """Compare methods with the optimum: losses, share of Gatys' loss reduction, content ratio."""
    from impasto.cli.evaluation import run_fidelity

    check_report(json, [pairs])
    check_report(sheet, [pairs])
    with watching("evaluating") as watch, everywhere(cluster) as each:
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
            sheet=sheet,
            device=device,
            precision=precision,
            each=each,
            listener=watch,
        )
    tell(report, json)


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
            help="STYLE, or STYLE@none, @student, @flow: how it is stabilised, as --stabilize; METHOD:PICTURE for a method. Repeatable.",
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
    cluster: OnCluster = None,
) -> None:
    """Measure how stable films are: warping errors by scene, with true or estimated flow, beside style and content losses."""
    from impasto.cli.evaluation import run_stability

    check_report(json, [*(films or []), painting])
    with watching("evaluating") as watch, everywhere(cluster) as each:
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
            each=each,
            listener=watch,
        )
    tell(report, json)


@evaluate_app.command("speed")
def evaluate_speed(
    part: Annotated[
        list[str] | None, typer.Option(help="networks, encoders or methods; repeatable. (default: all)", show_default=False)
    ] = None,
    size: Annotated[
        list[int] | None, typer.Option(min=64, help="Square sizes in pixels; repeatable. (default: 256, 512)", show_default=False)
    ] = None,
    encoder: Annotated[
        list[str] | None,
        typer.Option(help="Encoders to time; repeatable. (default: compact, and vgg19 if it is at hand)", show_default=False),
    ] = None,
    style: Annotated[
        list[str] | None,
        typer.Option("--style", "-s", help="Learned styles whose networks are timed; repeatable. (default: dusk)", show_default=False),
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Runs; the median is printed.")] = 7,
    json: Annotated[Path | None, typer.Option("--json", help="Write all figures here.", show_default=False)] = None,
    device: Device = DEFAULT.device,
) -> None:
    """Time networks on every engine, encoders, and methods, beside what the machine can do at most; interleaved medians of one run."""
    from impasto.cli.timing import PARTS, run_speed

    check_report(json, [])
    with watching("timing") as watch:
        report = run_speed(
            parts=part or PARTS,
            sizes=size or [256, 512],
            encoders=encoder,
            styles=style or ["dusk"],
            repeats=repeats,
            device=device,
            listener=watch,
        )
    tell(report, json)
