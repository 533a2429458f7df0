"""What semantic transfer reaches: seconds, the loss between regions and the leak, transforms, decoders, regions, films.

    python benchmarks/semantic.py regions    --folder PAIRS --encoder VGG19.safetensors [--keep FOLDER]
    python benchmarks/semantic.py speed      --folder PAIRS --encoder VGG19.safetensors
    python benchmarks/semantic.py transforms --photos HELD_OUT --paintings HELD_OUT --encoder VGG19.safetensors [--keep FOLDER]
    python benchmarks/semantic.py roundtrip  --photos HELD_OUT --paintings HELD_OUT --encoder VGG19.safetensors
    python benchmarks/semantic.py pairs      --pairs PAIRS.json --encoder VGG19.safetensors
    python benchmarks/semantic.py found      --folder PAIRS
    python benchmarks/semantic.py film       --folder SEQUENCES --paintings HELD_OUT --encoder VGG19.safetensors

PAIRS is a folder of folders, each with content, content_mask, style and style_mask. Every part writes
benchmarks/results/semantic-PART.json.
"""

import argparse
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import mean, median

import torch
from regions import RegionJudge, adjusted_rand_index
from torch import Tensor

from impasto.evaluation.fidelity import Judge, load_at, read_pairs, share
from impasto.evaluation.report import write_report
from impasto.media.images import Picture, list_pictures, read_picture, resize, write_picture
from impasto.media.masks import LabelMap, load_regions, read_labels
from impasto.methods.doodle.doodle import NeuralDoodle
from impasto.methods.doodle.settings import DoodleSettings
from impasto.methods.gatys.gatys import Gatys
from impasto.methods.gatys.settings import GatysSettings
from impasto.methods.patch_swap.swap import StyleSwap
from impasto.methods.semantic.matching import joint_regions
from impasto.methods.semantic.settings import SemanticSettings
from impasto.methods.semantic.transfer import SemanticTransfer
from impasto.motion.flow import DenseInverseSearch
from impasto.motion.occlusion import reliability
from impasto.motion.stability import stability
from impasto.networks.decoder_file import load_decoder
from impasto.networks.layers import LAYERS
from impasto.perception.encoder import Encoder
from impasto.perception.loss import PerceptualLoss
from impasto.perception.patch_swap import patch_swap
from impasto.perception.transform import TRANSFORMS, statistics, transform
from impasto.runtime.device import choose_place
from impasto.runtime.encoders import load_encoder
from impasto.runtime.stylizer import Stylizer

HERE = Path(__file__).resolve().parent
PLACE = choose_place("cpu")
EXACT = choose_place("cpu", "float32")
CASCADE = LAYERS[1:]


@dataclass
class Pair:
    """One labelled pair at its working size: pictures (1, 3, H, W) and masks (1, K, H, W)."""

    name: str
    content: Tensor
    style: Tensor
    masks: Tensor
    style_masks: Tensor


def picture(folder: Path, name: str) -> Path:
    return next(path for path in sorted(folder.iterdir()) if path.stem == name)


def labelled(folder: Path, short_side: int, limit: int | None) -> Iterable[Pair]:
    for entry in sorted(path for path in folder.iterdir() if path.is_dir())[:limit]:
        content, style = (load_at(picture(entry, name), short_side) for name in ("content", "style"))
        regions = load_regions(
            picture(entry, "content_mask"),
            [picture(entry, "style_mask")],
            content_size=(content.shape[-2], content.shape[-1]),
            style_sizes=[(style.shape[-2], style.shape[-1])],
        )
        yield Pair(entry.name, content, style, regions.content, regions.styles[0])


def semantic(encoder: Encoder, style: Tensor, masks: Tensor | None = None, **settings: object) -> SemanticTransfer:
    given = None if masks is None else [masks]
    return SemanticTransfer(load_decoder(encoder), encoder, PLACE, [style], given, settings=SemanticSettings(**settings))  # type: ignore[arg-type]


def timed(stylizer: Stylizer, content: Tensor, masks: Tensor | None = None) -> tuple[Tensor, float]:
    started = time.perf_counter()
    result = stylizer(content, masks=masks)
    return result, time.perf_counter() - started


def seconds_of(stylizer: Stylizer, pair: Pair, repeats: int = 1) -> float:
    return median(timed(stylizer, pair.content, pair.masks)[1] for _ in range(repeats))


def gatys(encoder: Encoder, pair: Pair, iterations: int, levels: int = 1) -> Gatys:
    settings = GatysSettings(iterations=iterations, levels=levels, style_size=min(pair.style.shape[-2:]))
    return Gatys(PerceptualLoss(encoder, "yardstick"), [pair.style], settings, style_masks=[pair.style_masks])


def doodle(encoder: Encoder, pair: Pair, iterations: int, levels: int = 3) -> NeuralDoodle:
    settings = DoodleSettings(iterations=iterations, levels=levels, style_size=min(pair.style.shape[-2:]))
    return NeuralDoodle(encoder, pair.style, pair.style_masks, settings)


def regions(options: argparse.Namespace) -> dict[str, object]:
    """Loss between matching regions and the leak: ours with and without masks, patch swap, guided Gatys, doodle."""
    judge_encoder, fast = load_encoder(options.encoder, EXACT), load_encoder(options.encoder, PLACE)
    compact, averaging = load_encoder("compact", PLACE), load_encoder(options.encoder, PLACE, pool="avg")
    rows, seen = [], []
    for pair in labelled(options.folder, options.size, options.limit):
        judge = RegionJudge(judge_encoder, pair.style, pair.masks, pair.style_masks)
        content = PerceptualLoss(judge_encoder, "yardstick")
        target, any_style = content.content_target(pair.content), content.style_target([pair.style])
        methods: dict[str, tuple[Stylizer | None, bool]] = {
            "photo": (None, False),
            "semantic": (semantic(compact, pair.style, pair.style_masks), True),
            "semantic, no masks": (semantic(compact, pair.style), False),
            "semantic, vgg19": (semantic(fast, pair.style, pair.style_masks), True),
            "semantic, vgg19, no masks": (semantic(fast, pair.style), False),
            "patch swap": (StyleSwap(load_decoder(compact), compact, PLACE, pair.style, pair.style_masks), True),
            "guided gatys": (gatys(fast, pair, options.iterations, 2), True),
            "doodle": (doodle(averaging, pair, options.doodle), True),
        }
        methods = {name: method for name, method in methods.items() if options.only is None or name in options.only}
        shown = [pair.content[0], pair.style[0]]
        for name, (stylizer, masked) in methods.items():
            masks = pair.masks if masked else None
            if stylizer is None:
                result, seconds = pair.content, 0.0
            else:
                if name.startswith("semantic"):
                    stylizer(pair.content, masks=masks)  # the statistics of the style are kept from then on
                result, seconds = timed(stylizer, pair.content, masks)
            figures = judge(result)
            terms = content(result, target, any_style)
            rows.append({"pair": pair.name, "method": name, **asdict(figures), "content": float(terms.content), "seconds": seconds})
            print(rows[-1], flush=True)
            shown.append(result[0])
        if options.keep:
            write_picture(Picture(beside(shown)), options.keep / f"{pair.name}.png")
        seen.append(pair.name)
    names = list(dict.fromkeys(str(row["method"]) for row in rows))
    means = {name: means_of([row for row in rows if row["method"] == name]) for name in names}
    for name in names:
        print(name, means[name])
    return {"size": options.size, "iterations": options.iterations, "doodle_iterations": options.doodle, "means": means, "rows": rows}


def means_of(rows: list[dict[str, object]]) -> dict[str, float]:
    keys = [key for key, value in rows[0].items() if isinstance(value, float)]
    return {key: mean(float(row[key]) for row in rows) for key in keys}  # type: ignore[arg-type]


def beside(pictures: list[Tensor], height: int = 256) -> Tensor:
    return torch.cat([resize(p.clamp(0, 1), (height, round(p.shape[-1] * height / p.shape[-2]))) for p in pictures], 2)


def speed(options: argparse.Namespace) -> dict[str, object]:
    """Seconds for one photo of 600x800: ours measured, the two optimisations extrapolated from a few of their iterations."""
    rows = []
    vgg, compact = load_encoder(options.encoder, PLACE), load_encoder("compact", PLACE)
    exact, averaging = load_encoder(options.encoder, EXACT), load_encoder(options.encoder, PLACE, pool="avg")
    for pair in labelled(options.folder, 600, options.limit):
        size = (600, 800) if pair.content.shape[-1] >= pair.content.shape[-2] else (800, 600)
        pair = Pair(pair.name, resize(pair.content[0], size)[None], pair.style, resize(pair.masks[0], size)[None].round(), pair.style_masks)
        row: dict[str, object] = {"pair": pair.name, "size": size, "regions": pair.masks.shape[1]}
        for name, encoder in (("compact", compact), ("vgg19", vgg)):
            stylizer = semantic(encoder, pair.style, pair.style_masks)
            row[f"{name}, style anew"] = seconds_of(stylizer, pair)
            row[name] = seconds_of(stylizer, pair, 5)
            single = semantic(encoder, pair.style, pair.style_masks, layers=("relu3_1",), transform="mean", grain=0.0)
            row[f"{name}, relu3_1, mean"] = seconds_of(single, pair, 6)
        for name, encoder in (("guided gatys, float32", exact), ("guided gatys, bfloat16", vgg), ("guided gatys, compact", compact)):
            few, more = (seconds_of(gatys(encoder, pair, count), pair) for count in (5, 25))
            row[f"{name}, 500 iterations"] = (more - few) * 25
        few, more = (seconds_of(doodle(averaging, pair, count), pair) for count in (1, 3))
        row["doodle, 3 x 100 iterations"] = (more - few) * 50
        row["times faster than guided gatys, float32"] = float(row["guided gatys, float32, 500 iterations"]) / float(row["compact"])  # type: ignore[arg-type]
        rows.append(row)
        print(row, flush=True)
    return {"means": means_of(rows), "rows": rows}


def held_out(options: argparse.Namespace, count: int) -> list[tuple[Tensor, Tensor]]:
    """Pairs of photos and paintings at the size, each photo once."""
    photos, paintings = list_pictures(options.photos)[:count], list_pictures(options.paintings)
    return [(load_at(photo, options.size), load_at(paintings[k % len(paintings)], options.size)) for k, photo in enumerate(photos)]


def transforms(options: argparse.Namespace) -> dict[str, object]:
    """The five transforms on the same decoder, at one layer and at three; and a sweep of t for the mean alone (open question 8)."""
    judge_encoder = load_encoder(options.encoder, EXACT)
    pairs, rows = held_out(options, options.limit or 20), []
    ways: list[tuple[str, tuple[str, ...], float]] = [
        (kind, layers, 1.0) for layers in (("relu3_1",), ("relu4_1",), CASCADE) for kind in TRANSFORMS
    ]
    ways += [("adain_lambda", layers, 0.5) for layers in (("relu3_1",), CASCADE)]
    ways += [("mean", ("relu3_1",), t) for t in (0.0, 0.25, 0.5, 0.75)] + [("none", ("relu3_1",), 0.0)]
    for number, (content, style) in enumerate(pairs):
        judge, shown = Judge(judge_encoder, content, style), [content[0], style[0]]
        for name in ("compact", options.encoder):
            encoder = load_encoder(name, PLACE)
            for kind, layers, strength in ways:
                if kind == "none":
                    result, seconds = content, 0.0
                else:
                    # A strength of 0 would give the photo back: an unmeasurable one gives the decoder's own picture of it.
                    stylizer = semantic(encoder, style, layers=layers, transform=kind, strength=max(strength, 1e-9), grain=0.0)
                    stylizer(content)
                    result, seconds = timed(stylizer, content)
                figures = judge(result)
                shown += [result[0]] if name == "compact" and strength == 1 else []
                label = {"encoder": Path(name).stem, "transform": kind, "layers": "+".join(layers), "t": strength}
                loss = {"style": mean(figures.style.values()), **figures.style, "content": figures.content, "seconds": seconds}
                rows.append({"pair": number, **label, **loss})
        if options.keep and number < 8:
            write_picture(Picture(beside(shown)), options.keep / f"transforms-{number}.png")
        print(number, flush=True)
    keys = ("encoder", "transform", "layers", "t")
    groups = list(dict.fromkeys(tuple(row[key] for key in keys) for row in rows))
    table = []
    for group in groups:
        own = [row for row in rows if tuple(row[key] for key in keys) == group]
        values = {key: value for key, value in means_of(own).items() if key != "t"}
        table.append(dict(zip(keys, group, strict=True)) | values)
        print(group, {key: round(value, 4) for key, value in values.items()})
    return {"size": options.size, "pairs": len(pairs), "table": table}


@torch.no_grad()
def roundtrip(options: argparse.Namespace) -> dict[str, object]:
    """|f(g(F)) - F| / |F| for features of photos, of paintings, swapped and transformed; and PSNR where the picture is known."""
    table = []
    for name in ("compact", options.encoder):
        encoder = load_encoder(name, PLACE)
        decoder = SemanticTransfer(load_decoder(encoder), encoder, PLACE, [torch.rand(1, 3, 64, 64)])._coded
        for layer in CASCADE:
            errors: dict[str, list[float]] = {}
            for content, style in held_out(options, options.limit or 20):
                sides = [tuple(side // 8 * 8 for side in p.shape[-2:]) for p in (content, style)]
                content, style = (p[..., : s[0], : s[1]] for p, s in zip((content, style), sides, strict=True))
                own, other = (encoder(p, [layer])[layer] for p in (content, style))
                kinds = {"content": own, "style": other, "swapped": patch_swap(own, other)}
                kinds |= {kind: transform(own, statistics(other), kind=kind).clamp_min(0) for kind in TRANSFORMS}
                for kind, features in kinds.items():
                    decoded = decoder.decoded(features, layer)
                    again = encoder(decoded, [layer])[layer]
                    gap = (again.float() - features.float()).norm() / features.float().norm()
                    errors.setdefault(kind, []).append(float(gap))
                    if kind in ("content", "style"):
                        known = content if kind == "content" else style
                        psnr = -10 * (decoded.clamp(0, 1) - known).square().mean().log10()
                        errors.setdefault(f"PSNR, {kind}", []).append(float(psnr))
            table.append({"encoder": Path(name).stem, "layer": layer, **{kind: mean(values) for kind, values in errors.items()}})
            print(table[-1], flush=True)
    return {"size": options.size, "table": table}


def pairs(options: argparse.Namespace) -> dict[str, object]:
    """Share and content ratio on whole pictures, side by side with what other methods reach on the same pairs."""
    judge_encoder, rows = load_encoder(options.encoder, EXACT), []
    for known in read_pairs(options.pairs):
        content, style = load_at(known.content, 256), load_at(known.style, 256)
        judge = Judge(judge_encoder, content, style)
        photo, best = known.photo or judge(content), known.optimum
        assert best is not None
        for name in ("compact", options.encoder):
            encoder = load_encoder(name, PLACE)
            for label, settings in (
                ("", {}),
                (", detail 0", {"detail": 0.0}),
                (", detail 1", {"detail": 1.0}),
                (", no grain", {"grain": 0.0}),
            ):
                result, _ = timed(semantic(encoder, style, **settings), content)
                figures = judge(result)
                row = {"share": share(photo, figures, best), "content ratio": figures.content / best.content}
                rows.append({"pair": known.name, "method": Path(name).stem + label, **row})
    names = list(dict.fromkeys(str(row["method"]) for row in rows))
    means = {name: means_of([row for row in rows if row["method"] == name]) for name in names}
    for name in names:
        print(name, means[name])
    return {"means": means, "rows": rows}


def found(options: argparse.Namespace) -> dict[str, object]:
    """Agreement of automatic regions with the given masks, as many regions as the photo's mask has labels, up to six."""
    encoder, rows = load_encoder("compact", PLACE), []
    for entry in sorted(path for path in options.folder.iterdir() if path.is_dir())[: options.limit]:
        photo, style = (read_picture(picture(entry, name)).pixels[None] for name in ("content", "style"))
        own, other = (read_labels(picture(entry, name)) for name in ("content_mask", "style_mask"))
        count = max(2, min(6, len(own.colors)))
        content, (painting,) = joint_regions(encoder, photo, [style], count)
        labels = [content.argmax(1)[0], painting.argmax(1)[0]]
        wanted = [own.labels, in_terms_of(own, other)]
        row: dict[str, object] = {"pair": entry.name, "asked": count, "found": content.shape[1]}
        row["photo"], row["painting"] = (adjusted_rand_index(a, b) for a, b in zip(labels, wanted, strict=True))
        row["both"] = adjusted_rand_index(torch.cat([a.flatten() for a in labels]), torch.cat([b.flatten() for b in wanted]))
        rows.append(row)
        print(row, flush=True)
    means = means_of(rows)
    print(means)
    return {"means": means, "rows": rows}


def in_terms_of(own: LabelMap, other: LabelMap) -> Tensor:
    """The labels of the other mask under the numbers of this one, by colour; foreign colours get numbers of their own."""
    labels = torch.empty_like(other.labels)
    for number, color in enumerate(other.colors):
        gaps = (own.colors - color).abs().amax(1)
        labels[other.labels == number] = int(gaps.argmin()) if int(gaps.min()) <= 48 else 1000 + number
    return labels


def film(options: argparse.Namespace) -> dict[str, object]:
    """e_stab with estimated flow: each frame by itself, and running averages."""
    style, encoder = load_at(list_pictures(options.paintings)[0], 256), load_encoder("compact", PLACE)
    loss, search, rows = PerceptualLoss(load_encoder(options.encoder, PLACE), "yardstick"), DenseInverseSearch(), []
    target = loss.style_target([style])
    for folder in sorted(path for path in options.folder.iterdir() if path.is_dir())[: options.limit]:
        frames = [read_picture(path).pixels for path in list_pictures(folder)[: options.count]]
        frames = [resize(p, (round(p.shape[-2] * 384 / p.shape[-1] / 2) * 2, 384)) for p in frames]
        motion = []
        for now, before in zip(frames[1:], frames, strict=False):
            backward, forward = search(now, before)[None], search(before, now)[None]
            motion.append((backward[0], reliability(backward, forward)[0]))
        row: dict[str, object] = {"sequence": folder.name, "frames": len(frames)}
        for rate, grain in ((1.0, 0.0), (0.3, 0.0), (0.1, 0.0), (1.0, 0.04), (0.1, 0.04)):
            shown = list(semantic(encoder, style, rate=rate, grain=grain).stream(frames))
            steady = stability((now, before, flow, mask) for now, before, (flow, mask) in zip(shown[1:], shown, motion, strict=False))
            terms = [loss(p[None], loss.content_target(f[None]), target) for p, f in list(zip(shown, frames, strict=True))[::4]]
            name = f"rate {rate}, grain {grain}"
            row[f"e_stab, {name}"], row[f"relative, {name}"] = steady.e_stab, steady.relative
            row[f"content, {name}"] = mean(float(t.content) for t in terms)
            row[f"style, {name}"] = mean(float(sum(t.style.values())) / 4 for t in terms)
        own = stability((now, before, flow, mask) for now, before, (flow, mask) in zip(frames[1:], frames, motion, strict=False))
        row["e_stab, input"] = own.e_stab
        rows.append(row)
        print(row, flush=True)
    means = means_of(rows)
    print(means)
    return {"means": means, "rows": rows}


PARTS = {
    "regions": regions, "speed": speed, "transforms": transforms, "roundtrip": roundtrip, "pairs": pairs, "found": found, "film": film,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--paintings", type=Path)
    parser.add_argument("--pairs", type=Path)
    parser.add_argument("--encoder")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--iterations", type=int, default=150)
    parser.add_argument("--doodle", type=int, default=30)
    parser.add_argument("--count", type=int, default=12)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--only", nargs="+", help="methods of the regions; all by default")
    parser.add_argument("--keep", type=Path)
    options = parser.parse_args()
    torch.manual_seed(0)
    write_report(HERE / f"results/semantic-{options.part}.json", {"part": options.part} | PARTS[options.part](options))


if __name__ == "__main__":
    main()
