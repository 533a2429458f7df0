"""`impasto train`: the networks that Impasto ships, and the baselines."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from impasto.cli.app import train_app
from impasto.cli.console import console, every, resumable
from impasto.cli.options import DEFAULT, Device, Encoder, Precision, chosen, whole_numbers
from impasto.errors import InputError


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
    from impasto.methods.metastyle.meta_training import train_metastyle_file

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
    from impasto.methods.solver.training import train_solver_file

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
    from impasto.methods.semantic.training import train_decoder_file

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
    from impasto.methods.distillation.training import train_teacher_file

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
    from impasto.methods.distillation.training import train_student_file

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
    from impasto.methods.johnson.training import JohnsonTraining, train_johnson_file
    from impasto.networks.style_network_file import load_network

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
            device=device,
            precision=precision,
            listener=every(watch, log_every),
        )
    if written is not None:
        console.print(f"{written}  {written.stat().st_size / 1e6:.2f} MB", soft_wrap=True)
