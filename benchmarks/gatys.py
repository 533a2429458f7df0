"""Gatys on VGG-19 with the yardstick loss: how much of the known reduction it reaches, and its loss curve.

    python benchmarks/gatys.py --pairs PAIRS.json --encoder VGG19.safetensors [--iterations 200] [--keep DIR]

Writes benchmarks/results/gatys.json with the figures after 150 and after all iterations, and docs/figures/gatys-loss.png.
PAIRS.json lists {content, style, photo, gatys} with paths relative to itself, as `impasto evaluate fidelity --pairs` takes it.
"""

import argparse
import time
from dataclasses import asdict
from itertools import accumulate
from pathlib import Path
from statistics import mean

import matplotlib
import torch

from impasto.evaluation.fidelity import Judge, load_at, read_pairs, share
from impasto.evaluation.report import spread, write_report
from impasto.events import Event
from impasto.media.images import Picture, write_picture
from impasto.methods.gatys.gatys import Gatys
from impasto.methods.gatys.settings import GatysSettings
from impasto.perception.loss import PerceptualLoss
from impasto.perception.weights import read_encoder
from impasto.runtime.device import Place, settle

matplotlib.use("Agg")
import matplotlib.pyplot as plt

HERE = Path(__file__).resolve().parent
YARDSTICK = 150


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()

    encoder = settle(read_encoder(options.encoder), Place(torch.device("cpu"), torch.float32))
    loss = PerceptualLoss(encoder, "yardstick")
    rows = []
    for pair in read_pairs(options.pairs)[: options.limit]:
        content, style = load_at(pair.content, 256), load_at(pair.style, 256)
        judge = Judge(encoder, content, style)
        curve: list[tuple[int, float, float]] = []
        early: list[torch.Tensor] = []

        def watch(event: Event, curve: list = curve, early: list = early) -> None:
            if "loss" in event.values:
                curve.append((event.step, event.values["loss"], event.seconds))
            if event.step == YARDSTICK and event.preview is not None and not early:
                early.append(event.preview[None])

        settings = GatysSettings(iterations=options.iterations, levels=1, preview_every=YARDSTICK)
        started = time.perf_counter()
        painted = Gatys(loss, [style], settings, listener=watch)(content)
        seconds = time.perf_counter() - started
        final, at_yardstick = judge(painted), judge(early[0] if early else painted)
        rows.append({
            "pair": pair.name, "seconds": seconds, "photo": asdict(judge(content)), "final": asdict(final), "early": asdict(at_yardstick),
            "share_150": share(pair.photo, at_yardstick, pair.optimum), "share_final": share(pair.photo, final, pair.optimum),
            "content_ratio_150": at_yardstick.content / pair.optimum.content, "curve": curve,
        })  # fmt: skip
        print(
            f"{pair.name}: share {rows[-1]['share_150']:.3f} after 150, {rows[-1]['share_final']:.3f} at the end, {seconds:.0f} s",
            flush=True,
        )
        if options.keep:
            write_picture(Picture(painted[0]), options.keep / f"{pair.name}.png")
    print(
        f"share after 150: {spread([row['share_150'] for row in rows])}, content ratio {spread([row['content_ratio_150'] for row in rows])}"
    )
    write_report(HERE / "results/gatys.json", {"iterations": options.iterations, "rows": rows})
    draw(rows)


def draw(rows: list[dict]) -> None:
    """Lowest loss so far against iterations (the line search also tries worse points): pairs thin, their mean thick."""
    curves = [list(accumulate(((step, loss) for step, loss, _ in row["curve"]), lambda low, p: (p[0], min(low[1], p[1])))) for row in rows]
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    for curve in curves:
        axes.plot(*zip(*curve, strict=True), color="0.75", linewidth=0.8)
    middle = [(points[0][0], mean(loss for _, loss in points)) for points in zip(*curves, strict=False)]
    axes.plot(*zip(*middle, strict=True), color="tab:blue", linewidth=2, label=f"mean of {len(rows)} pairs")
    axes.set(xlabel="iterations of L-BFGS", ylabel="yardstick loss", yscale="log")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    (HERE.parent / "docs/figures").mkdir(exist_ok=True)
    figure.savefig(HERE.parent / "docs/figures/gatys-loss.png", dpi=130)


if __name__ == "__main__":
    main()
