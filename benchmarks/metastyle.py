"""What meta-learning is worth: curves of adaptation from several starts, contents, training from scratch, and two probes.

    python benchmarks/metastyle.py ablation --content TRAIN --style TRAIN --photos HELD_OUT --paintings HELD_OUT.jpg ... \
        --encoder VGG19.safetensors
    python benchmarks/metastyle.py contents | johnson | gatys | pairs --pairs PAIRS.json  (the same options)

Every part writes benchmarks/results/metastyle-PART.json and, where there are curves, docs/figures/metastyle-PART.png, or both into
the folder of --into. The loss is always VGG-19's, `feedforward`, on whole held-out photos at 256 px that no network has seen.
"""

import argparse
import json
import time
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from statistics import mean, stdev

import matplotlib
import torch
from torch import Tensor

from impasto.evaluation.fidelity import Judge, Pair, load_at, read_pairs, share
from impasto.evaluation.report import spread, write_report
from impasto.events import Event
from impasto.media.images import Picture, list_pictures, style_at, write_picture
from impasto.methods.metastyle.meta_training import meta_train
from impasto.methods.metastyle.training_settings import MetaTraining
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import bundled_start
from impasto.networks.stylizer import NetworkStylizer
from impasto.perception.loss import PerceptualLoss
from impasto.runtime.device import Place, choose_place
from impasto.runtime.encoders import load_encoder
from impasto.training.data import PictureFolder, Pictures
from impasto.training.fitting import fit_network
from impasto.training.made_pictures import KINDS, made_pictures
from impasto.training.settings import FittingSettings

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).resolve().parent
MARKS = (0, 10, 50, 100, 200)
STARTS = {"second order": "second", "first order": "first", "Reptile": "reptile", "joint": "joint", "kept loops": "kept", "random": None}


def copy_of(network: StyleNetwork) -> StyleNetwork:
    """The same network, to be changed."""
    copied = network.empty_copy()
    copied.load_state_dict(network.state_dict())
    return copied


class Task:
    """One painting: its target for the loss that is minimised, and the judgement of a network on photos that nothing has seen."""

    def __init__(self, judge: PerceptualLoss, photos: list[Tensor], painting: Tensor, size: int):
        self.judge, self.painting = judge, style_at(painting, size)
        self.photos = [photo.contiguous(memory_format=torch.channels_last) for photo in photos]
        self.style = judge.style_target([self.painting])

    @torch.no_grad()
    def held_out(self, network: StyleNetwork) -> float:
        """Mean loss on the photos, the network in bfloat16."""
        stylizer = NetworkStylizer(copy_of(network), choose_place("cpu"))
        return mean(self.judge(stylizer(photo), self.judge.content_target(photo), self.style).total.item() for photo in self.photos)

    def curve(
        self, start: StyleNetwork, loss: PerceptualLoss, contents: Pictures, settings: FittingSettings, marks: tuple[int, ...], place: Place
    ) -> list[list[float]]:
        """Fit a copy of a network to the painting; rows [step, seconds of fitting, held-out loss] at the marks."""
        network = copy_of(start)
        rows, judging = [[0.0, 0.0, self.held_out(network)]], 0.0

        def watch(event: Event) -> None:
            nonlocal judging
            if event.step in marks:
                began = time.monotonic()
                rows.append([event.step, event.seconds - judging, self.held_out(network)])
                judging += time.monotonic() - began

        fit_network(network, loss, loss.style_target([self.painting]), contents, settings, place=place, listener=watch)
        return rows


def ablation(options: argparse.Namespace, tasks: dict[str, Task], compact: PerceptualLoss, place: Place) -> dict:
    """Starts after the same number of outer steps, each adapted to every held-out painting; --keep makes it resumable.

    Those that --only names are trained and kept, and nothing is drawn or written: so two processes share the work.
    """
    content, style = PictureFolder([options.content]), PictureFolder([options.style])
    rows: dict[str, dict] = {}
    for name, order in STARTS.items():
        if options.only and name not in options.only:
            continue
        done = options.keep and options.keep / f"{name}.json"
        if done and done.is_file():
            rows[name] = json.loads(done.read_text())
            continue
        torch.manual_seed(0)
        start, trained = StyleNetwork(options.width), 0.0
        if order is not None:
            inner = {"inner": "all", "inner_steps": 3, "inner_rate": 1e-2} if order == "reptile" else {"inner_rate": 1e-2}
            settings = MetaTraining(
                order=order,
                steps=options.outer,
                styles=2,
                batch=1,
                crop=128,
                kept=min(40, len(style)),
                kept_rate=2e-2,
                learning_rate=1e-3,
                blob_weight=0.02,
                width=options.width,
                **inner,
            )
            checkpoint = options.keep and options.keep / f"{name}.checkpoint"

            def say(event: Event, name: str = name) -> None:
                nonlocal trained
                trained = event.seconds  # with those before it was resumed
                if event.step % 100 == 0:
                    print(f"{name}: {event.step} of {event.total}, {event.seconds:.0f} s, loss {event.values['loss']:.3f}", flush=True)

            start = meta_train(compact, content, style, settings, place=place, checkpoint=checkpoint, listener=say).cpu()
        own = replace(FittingSettings(), steps=MARKS[-1], crop=options.crop)
        curves = {painting: task.curve(start, compact, content, own, MARKS, place) for painting, task in tasks.items()}
        rows[name] = {"seconds_of_meta_training": trained, "curves": curves}
        if done:
            done.write_text(json.dumps(rows[name]))
        at = {mark: [row[2] for rows_ in curves.values() for row in rows_ if row[0] == mark] for mark in MARKS}
        print(name, f"{trained:.0f} s", {mark: spread(v) for mark, v in at.items()}, flush=True)
    if options.only:
        return {}
    draw({name: list(row["curves"].values()) for name, row in rows.items()}, options.figure)
    against = {name: against_joint(row["curves"], rows["joint"]["curves"]) for name, row in rows.items() if name != "joint"}
    for name, changes in against.items():
        print(f"{name} against joint", {mark: spread(change) for mark, change in changes.items()})
    return {"outer_steps": options.outer, "width": options.width, "against_joint": against, "rows": rows}


def against_joint(curves: dict[str, list], joint: dict[str, list]) -> dict[int, list[float]]:
    """Change of the loss from joint training's, painting by painting: paintings differ more among themselves than starts do."""
    pairs = [zip(curves[painting], joint[painting], strict=True) for painting in curves]
    return {int(at[0][0][0]): [row[2] / other[2] - 1 for row, other in at] for at in zip(*pairs, strict=True)}


def contents(options: argparse.Namespace, tasks: dict[str, Task], compact: PerceptualLoss, place: Place) -> dict:
    """What to learn on: made pictures of every kind, crops of the bundled paintings, and photographs."""
    generator = torch.Generator().manual_seed(0)
    sources: dict[str, Pictures] = {kind: made_pictures(48, 384, generator, kinds=(kind,)) for kind in KINDS}
    sources["leaves, scenes and clouds"] = made_pictures(48, 384, generator, kinds=("leaves", "scenes", "clouds"))
    sources["leaves and paintings"] = made_pictures(48, 384, generator)
    sources["photographs"] = PictureFolder([options.content])
    rows = {}
    for name, pictures in sources.items():
        settings = replace(FittingSettings(), steps=100, crop=options.crop)
        rows[name] = {p: task.curve(bundled_start(), compact, pictures, settings, (100,), place) for p, task in tasks.items()}
        final = [rows_[-1][2] for rows_ in rows[name].values()]
        print(name, spread(final), flush=True)
    return {"rows": rows}


def johnson(options: argparse.Namespace, tasks: dict[str, Task], compact: PerceptualLoss, place: Place) -> dict:
    """One painting with VGG-19: training from scratch, the same from the meta-learned start, and adaptation."""
    name, task = next(iter(tasks.items()))
    content = PictureFolder([options.content])
    torch.manual_seed(0)
    long = tuple(sorted({*MARKS, 400, 700, 1000, 1500, options.scratch}))
    runs = {}
    for label, start, steps, final_rate in (
        ("adaptation, 100 steps", bundled_start(), 100, 0.1),
        ("adaptation, 200 steps", bundled_start(), 200, 0.1),
        ("Johnson from the meta-learned start", bundled_start(), options.scratch // 4, 1.0),
        ("Johnson from scratch", StyleNetwork(), options.scratch, 0.1),
    ):
        settings = replace(FittingSettings(), steps=steps, crop=options.crop, final_rate=final_rate)
        runs[label] = task.curve(start, task.judge, content, settings, (*long, steps), place)
        print(label, [f"{step:.0f}: {loss:.3f}" for step, _, loss in runs[label]], f"{runs[label][-1][1]:.0f} s", flush=True)
    draw({label: [rows] for label, rows in runs.items()}, options.figure)
    return {"painting": name, "runs": runs}


def gatys(options: argparse.Namespace, tasks: dict[str, Task], compact: PerceptualLoss, place: Place) -> dict:
    """Gatys' optimisation started from the photo, from what the meta-learned network paints, and after 100 steps of adaptation."""
    name, task = next(iter(tasks.items()))
    photo = task.photos[0]
    adapted = copy_of(bundled_start())
    settings = replace(FittingSettings(), steps=100, crop=options.crop)
    fit_network(adapted, task.judge, task.style, PictureFolder([options.content]), settings, place=place)
    loss = PerceptualLoss(task.judge.encoder, "yardstick")
    style, content = loss.style_target([task.painting]), loss.content_target(photo)
    runs = {}
    with torch.no_grad():
        networks = {"meta-learned network": copy_of(bundled_start()), "adapted network": adapted.cpu()}
        starts = {"photo": photo} | {label: NetworkStylizer(network, place)(photo) for label, network in networks.items()}
    for label, start in starts.items():
        losses: list[list[float]] = []
        pixels = start.clone(memory_format=torch.contiguous_format).requires_grad_(True)
        optimiser = torch.optim.LBFGS([pixels], max_iter=60, history_size=20, line_search_fn="strong_wolfe", tolerance_change=0)

        def closure(pixels: Tensor = pixels, losses: list = losses, optimiser: torch.optim.Optimizer = optimiser) -> Tensor:
            optimiser.zero_grad()
            value = loss(pixels, content, style).total
            value.backward()
            losses.append([len(losses), 0.0, value.item()])
            return value

        optimiser.step(closure)
        lowest = list(accumulate(losses, lambda low, row: [row[0], 0.0, min(low[2], row[2])]))
        runs[label] = lowest
        print(label, [f"{lowest[k][2]:.3f}" for k in (0, 10, 20, 40, len(lowest) - 1)], flush=True)
    draw({f"from the {label}": [rows] for label, rows in runs.items()}, options.figure)
    return {"painting": name, "runs": runs}


def pairs(options: argparse.Namespace, tasks: dict[str, Task], compact: PerceptualLoss, place: Place) -> dict:
    """Share of Gatys' reduction and content ratio after 100 and 200 steps, for the losses and contents that are asked for."""
    judging = load_encoder(options.encoder, choose_place("cpu", "float32"))
    losses = {"vgg19": PerceptualLoss(load_encoder(options.encoder, place), "feedforward"), "compact": compact}
    photographs = PictureFolder([options.content])
    results: dict[str, list[dict]] = {}
    for run in options.runs:
        encoder, kind = run.split(":")
        weight = {} if options.content_weight is None else {"content_weight": options.content_weight}
        loss = losses[encoder].with_weights(**weight)
        contents = (
            photographs
            if kind == "photos"
            else made_pictures(48, 384, torch.Generator().manual_seed(0), kinds=("leaves", "scenes", "clouds"))
        )
        results[run] = []
        for pair in read_pairs(options.pairs)[: options.limit]:
            content, style = load_at(pair.content, 256), load_at(pair.style, 256)
            judge, network = Judge(judging, content, style), copy_of(bundled_start())
            row: dict = {"pair": pair.name}

            def look(event: Event, network: StyleNetwork = network, row: dict = row, pair: Pair = pair, judge: Judge = judge) -> None:
                if event.step not in (100, 200):
                    return
                painted = NetworkStylizer(copy_of(network), place)(content)  # noqa: B023  (called within the turn of the loop)
                figures = judge(painted)
                row[f"share_{event.step}"] = share(pair.photo, figures, pair.optimum)
                row[f"ratio_{event.step}"] = figures.content / pair.optimum.content
                row[f"seconds_{event.step}"] = event.seconds
                if options.keep:
                    write_picture(Picture(painted[0]), options.keep / f"{run.replace(':', '-')}-{event.step}" / f"{pair.name}.png")  # noqa: B023

            settings = replace(FittingSettings(), steps=200, crop=options.crop)
            fit_network(network, loss, loss.style_target([style]), contents, settings, place=place, listener=look)
            results[run].append(row)
            print(run, {key: value if isinstance(value, str) else round(value, 3) for key, value in row.items()}, flush=True)
        for step in (100, 200):
            shares, ratios = ([row[f"{what}_{step}"] for row in results[run]] for what in ("share", "ratio"))
            print(run, step, f"share {spread(shares)}, lowest {min(shares):.3f}, content ratio {spread(ratios)}", flush=True)
    return {"content_weight": options.content_weight, "runs": results}


def draw(curves: dict[str, list[list[list[float]]]], file: Path) -> None:
    """Held-out loss against steps: the mean over paintings, with standard deviations where there are several."""
    figure, axes = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
    for name, several in curves.items():
        steps = [row[0] + 1 for row in several[0]]
        columns = list(zip(*[[row[2] for row in rows] for rows in several], strict=True))
        error = [stdev(column) if len(column) > 1 else 0.0 for column in columns]
        axes.errorbar(steps, [mean(column) for column in columns], yerr=error if any(error) else None, label=name, capsize=2, linewidth=1.4)
    axes.set(xlabel="steps + 1", ylabel="loss", xscale="log", yscale="log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("{x:g}")
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(file, dpi=130)


PARTS = {"ablation": ablation, "contents": contents, "johnson": johnson, "gatys": gatys, "pairs": pairs}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--content", type=Path, required=True)
    parser.add_argument("--style", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--paintings", type=Path, nargs="+", default=[], help="files of held-out paintings")
    parser.add_argument("--encoder", required=True, help="VGG-19, which judges")
    parser.add_argument("--outer", type=int, default=400, help="outer steps of the ablation")
    parser.add_argument("--width", type=int, default=32, help="of the networks of the ablation")
    parser.add_argument("--scratch", type=int, default=2000, help="steps of training from scratch")
    parser.add_argument("--only", nargs="*", choices=STARTS, help="starts of the ablation that are trained, with --keep")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--count", type=int, default=6, help="held-out photos")
    parser.add_argument("--pairs", type=Path, help="for the part pairs: as `impasto evaluate fidelity --pairs` takes it")
    parser.add_argument("--runs", nargs="+", default=["vgg19:photos", "vgg19:made", "compact:made"], help="encoder:contents, for pairs")
    parser.add_argument("--content-weight", type=float)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--keep", type=Path, help="folder for the painted pictures of pairs, and for what the ablation has done so far")
    parser.add_argument("--into", type=Path, help="folder for what is measured and drawn")
    options = parser.parse_args()
    if options.only and not options.keep:
        parser.error("--only needs --keep, the folder for what it trains")
    options.figure = (options.into or HERE.parent / "docs/figures") / f"metastyle-{options.part}.png"
    for folder in (options.keep, options.into):
        if folder:
            folder.mkdir(parents=True, exist_ok=True)

    place = choose_place("cpu")
    judge = PerceptualLoss(load_encoder(options.encoder, place), "feedforward")
    compact = PerceptualLoss(load_encoder("compact", place), "feedforward")
    photos = [load_at(path, 256) for path in list_pictures(options.photos)[: options.count]]
    tasks = {path.stem: Task(judge, photos, load_at(path, 256), 256) for path in options.paintings}
    if report := PARTS[options.part](options, tasks, compact, place):
        write_report((options.into or HERE / "results") / f"metastyle-{options.part}.json", report)


if __name__ == "__main__":
    main()
