"""How well narrow encoders stand in for VGG-19: rank correlation of style distances, Gatys on them, speed, size.

    python benchmarks/compact_encoder.py --vgg VGG19.safetensors --content DIR --style DIR --pairs PAIRS.json ENCODER...

ENCODER is a safetensors file or a registered name. The rank correlation is Spearman's over ten photos times ten paintings at 256 px
(the first of each folder by name). Gatys runs 200 iterations on the narrow network and is judged by VGG-19's own
loss, as part of the reduction that Gatys on VGG-19 reaches in as many (benchmarks/results/gatys.json, made by
benchmarks/gatys.py). Writes benchmarks/results/compact_encoder.json.
"""

import argparse
import json
import time
from pathlib import Path
from statistics import mean

import torch
from scipy.stats import spearmanr

from impasto.evaluation.fidelity import Judge, load_at, read_pairs
from impasto.evaluation.report import spread, write_report
from impasto.evaluation.speed import forward_backward, median_seconds
from impasto.media.images import Picture, list_pictures, write_picture
from impasto.methods.gatys.gatys import Gatys
from impasto.methods.gatys.settings import GatysSettings
from impasto.perception.encoder import Encoder
from impasto.perception.loss import PerceptualLoss, style_distance
from impasto.perception.presets import PRESETS
from impasto.perception.statistics import gram
from impasto.perception.weights import read_encoder
from impasto.runtime.device import Place, settle
from impasto.runtime.encoders import load_encoder

HERE = Path(__file__).resolve().parent
CPU = Place(torch.device("cpu"), torch.float32)
LAYERS = list(PRESETS["yardstick"].style_layers)


@torch.no_grad()
def style_distances(encoder: Encoder, photos: list[torch.Tensor], paintings: list[torch.Tensor]) -> torch.Tensor:
    """Mean relative Gram distance of every photo to every painting, (photos, paintings)."""
    own, targets = ([{k: gram(f) for k, f in encoder(p, LAYERS).items()} for p in group] for group in (photos, paintings))
    return torch.tensor([[mean(style_distance(o[k], t[k], reduction="relative").item() for k in LAYERS) for t in targets] for o in own])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoders", nargs="+")
    parser.add_argument("--vgg", type=Path, required=True)
    parser.add_argument("--content", type=Path, required=True)
    parser.add_argument("--style", type=Path, required=True)
    parser.add_argument("--pairs", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="pairs for Gatys; all by default, 0 for none")
    parser.add_argument("--loss", default="yardstick", help="what Gatys minimises on a narrow network; VGG-19 judges by the yardstick")
    parser.add_argument("--content-weight", type=float, help="another one than that of the loss")
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--json", type=Path, default=HERE / "results/compact_encoder.json")
    options = parser.parse_args()

    vgg = settle(read_encoder(options.vgg), CPU)
    photos = [load_at(p, 256) for p in list_pictures(options.content)[:10]]
    paintings = [load_at(p, 256) for p in list_pictures(options.style)[:10]]
    truth = style_distances(vgg, photos, paintings)
    known = {row["pair"]: row for row in json.loads((HERE / "results/gatys.json").read_text())["rows"]}
    wide = median_seconds(forward_backward(vgg, 256), repeats=9, device=CPU.device)
    results = []
    for name in options.encoders:
        encoder = load_encoder(name, CPU)
        correlation = float(spearmanr(truth.flatten(), style_distances(encoder, photos, paintings).flatten()).statistic)
        seconds = median_seconds(forward_backward(encoder, 256), repeats=9, device=CPU.device)
        row = {
            "encoder": Path(name).stem, "loss": options.loss, "content_weight": options.content_weight,
            "channels": encoder.channels, "parameters": sum(p.numel() for p in encoder.parameters()),
            "spearman": correlation, "milliseconds": 1000 * seconds, "vgg_milliseconds": 1000 * wide, "times_faster": wide / seconds,
        }  # fmt: skip
        loss = PerceptualLoss(encoder, options.loss)
        loss = loss if options.content_weight is None else loss.with_weights(content_weight=options.content_weight)
        shares, ratios, taken = [], [], []
        for pair in read_pairs(options.pairs)[: options.limit]:
            content, style = load_at(pair.content, 256), load_at(pair.style, 256)
            started = time.perf_counter()
            painted = Gatys(loss, [style], GatysSettings(iterations=200, levels=1))(content)
            taken.append(time.perf_counter() - started)
            figures, best = Judge(vgg, content, style)(painted), known[pair.name]
            shares.append((best["photo"]["total"] - figures.total) / (best["photo"]["total"] - best["final"]["total"]))
            ratios.append(figures.content / best["final"]["content"])
            if options.keep:
                write_picture(Picture(painted[0]), options.keep / Path(name).stem / f"{pair.name}.png")
        row |= {"pairs": len(shares), "shares": shares, "content_ratios": ratios, "seconds": taken}
        results.append(row)
        gatys = f"share {spread(shares)}  content ratio {spread(ratios)}  {mean(taken):.1f} s" if shares else ""
        print(
            f"{row['encoder']} {encoder.channels}  spearman {correlation:.4f}  {row['times_faster']:.1f} times faster  {gatys}", flush=True
        )
    write_report(options.json, {"rows": results})


if __name__ == "__main__":
    main()
