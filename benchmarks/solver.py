"""What the solver reaches: losses against N and L, photo-realism, films, textures, and how long a first picture takes.

    python benchmarks/solver.py study   --content TRAIN --photos HELD_OUT --encoder VGG19.safetensors
    python benchmarks/solver.py losses  --photos HELD_OUT --encoder VGG19.safetensors [--solvers FILE ...]
    python benchmarks/solver.py gatys   --pairs PAIRS.json --encoder VGG19.safetensors
    python benchmarks/solver.py photo   --folder PAIRS_WITH_PHOTOS
    python benchmarks/solver.py film    --folder SEQUENCES --paintings STYLE.jpg --encoder VGG19.safetensors
    python benchmarks/solver.py texture --encoder VGG19.safetensors
    python benchmarks/solver.py first   --paintings STYLE.jpg

Every part writes benchmarks/results/solver-PART.json. L_TV is the preset `flex`: the published loss, total variation included.
"""

import argparse
import json
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean, median, stdev

import torch
import torch.nn.functional as F
from torch import Tensor

from impasto.evaluation.fidelity import Judge, load_at, read_pairs, share
from impasto.evaluation.report import write_report
from impasto.events import Event
from impasto.media.images import Picture, list_pictures, read_picture, resize, write_picture
from impasto.methods.gatys.gatys import Gatys
from impasto.methods.gatys.settings import GatysSettings
from impasto.methods.solver.network import SCALES, SolverNetwork
from impasto.methods.solver.photo import Photo
from impasto.methods.solver.settings import CONSISTENCY
from impasto.methods.solver.solver import Solver, Steering
from impasto.methods.solver.solver_file import load_solver, write_solver
from impasto.methods.solver.temporal import Consistency
from impasto.methods.solver.texture import SCALES_OF_TEXTURES, Reduction, enlarge, luminance
from impasto.methods.solver.training import train_solver
from impasto.methods.solver.training_settings import FLEX, SolverTraining
from impasto.motion.flow import DenseInverseSearch
from impasto.motion.occlusion import reliability
from impasto.motion.stability import stability
from impasto.motion.warp import warp
from impasto.perception.encoder import Encoder
from impasto.perception.loss import PerceptualLoss
from impasto.perception.statistics import gram
from impasto.runtime.device import choose_place
from impasto.runtime.encoders import load_encoder
from impasto.training.data import PictureFolder

HERE = Path(__file__).resolve().parent
PLACE = choose_place("cpu")


def solver_of(
    network: SolverNetwork, styles: list[Tensor], steering: Steering | None = None, *, encoder: Encoder | None = None, **given: object
) -> Solver:
    """A solver with the encoder that it was trained with."""
    return Solver(network, encoder or load_encoder(network.encoder, PLACE), PLACE, styles, steering=steering or Steering(), **given)  # type: ignore[arg-type]


def l_tv(network: SolverNetwork, photos: list[Tensor], vgg: Encoder, count: int, encoder: Encoder | None = None) -> list[float]:
    """The published loss of `count` pairs of photos, content and style: photo k in the style of another, all different."""
    loss = PerceptualLoss(vgg, "flex")
    values = []
    for number in range(count):
        content = photos[number % len(photos)]
        style = photos[(number + 1 + number // len(photos) * 7) % len(photos)]
        painted = solver_of(network, [style], encoder=encoder)(content)
        values.append(loss(painted, loss.content_target(content), loss.style_target([style])).total.item())
    return values


def described(values: list[float]) -> dict[str, float]:
    return {"mean": mean(values), "median": median(values), "deviation": stdev(values), "pairs": len(values)}


def photographs(options: argparse.Namespace) -> list[Tensor]:
    return [load_at(path, options.size)[..., : options.size, : options.size] for path in list_pictures(options.photos)]


OURS: dict[str, object] = {"metric": True, "normaliser": "none", "feedback": True, "clipped": True}
_SIZES: dict[str, dict[str, object]] = {
    "N=1 L=16": {"iterations": 1},
    "N=2 L=16": {"iterations": 2},
    "N=3 L=16": {"iterations": 3},
    "N=4 L=16": {"iterations": 4},
    "N=3 L=4": {"width": 4},
    "N=3 L=8": {"width": 8},
}
CONFIGURATIONS: dict[str, dict[str, object]] = {
    **_SIZES,
    "N=3 L=16, ReLUs instead of gates": {"gated": False},
    "N=3 L=16, separate chains": {"shared": False},
    "N=3 L=16, steered by VGG-19": {},
    **{f"{name}, metric and feedback": changes | OURS for name, changes in _SIZES.items()},
    "N=3 L=16, metric and feedback, each step by itself": OURS | {"horizon": "step", "balanced": True},
}


def study(options: argparse.Namespace) -> dict[str, object]:
    """Small solvers trained alike on pairs of photos with the published loss in compact features, judged by VGG-19."""
    contents, photos = PictureFolder([options.content]), photographs(options)
    vgg, compact = load_encoder(options.encoder, PLACE), load_encoder("compact", PLACE)
    base = replace(
        FLEX, iterations=3, width=16, steps=options.steps, batch=2, crop=96, style_size=128, learning_rate=2e-4, final_rate=0.05,
        warmup=50, clip=1.0, early="all", zoom=(1.0, 2.0), style_zoom=(1.0, 2.0),
    )  # fmt: skip
    photo_itself = [
        (loss := PerceptualLoss(vgg, "flex"))(c, loss.content_target(c), loss.style_target([s])).total.item()
        for c, s in zip(photos, photos[1:] + photos[:1], strict=True)
    ]
    known = HERE / "results/solver-study.json"
    written = json.loads(known.read_text()) if known.exists() else {}
    rows: dict[str, object] = written["rows"] if written.get("settings") == json.loads(json.dumps(asdict(base))) else {}
    rows["the photo itself"] = described(photo_itself)
    for name, changes in CONFIGURATIONS.items():
        if options.only and name not in options.only:
            continue
        began = time.monotonic()
        steering = vgg if "steered by VGG-19" in name else compact
        settings: SolverTraining = replace(base, **changes)  # type: ignore[arg-type]
        network = train_solver(PerceptualLoss(compact, "flex"), steering, contents, None, settings, place=PLACE)
        values = l_tv(network, photos, vgg, options.count, steering)
        rows[name] = described(values) | {"seconds": round(time.monotonic() - began)}
        print(name, rows[name], flush=True)
        if options.keep:
            write_solver(network, options.keep / f"{name.replace(' ', '-').replace(',', '')}.safetensors")
    return {"settings": asdict(base), "rows": rows}


def losses(options: argparse.Namespace) -> dict[str, object]:
    """L_TV of trained solvers."""
    photos, vgg = photographs(options), load_encoder(options.encoder, PLACE)
    rows = {}
    for name in options.solvers:
        values = l_tv(load_solver(name), photos, vgg, options.count)
        rows[Path(name).stem] = described(values)
        print(name, rows[Path(name).stem], flush=True)
    return {"rows": rows}


def gatys(options: argparse.Namespace) -> dict[str, object]:
    """The pairs of a fidelity file: the solver, and Gatys with the compact encoder stopped after the same seconds."""
    vgg, network = load_encoder(options.encoder, PLACE), load_solver(options.solvers[0])
    rows: dict[str, list[dict[str, float | str]]] = {"solver": [], "gatys, same seconds": []}
    for pair in read_pairs(options.pairs):
        content, style = load_at(pair.content, 256), load_at(pair.style, 256)
        judge = Judge(vgg, content, style)
        assert pair.photo is not None
        assert pair.optimum is not None
        solver_of(network, [style])(content)
        began = time.monotonic()
        painted = solver_of(network, [style])(content)
        seconds = time.monotonic() - began
        pictures = {"solver": painted, "gatys, same seconds": stopped_gatys(content, style, seconds)}
        for name, picture in pictures.items():
            figures = judge(picture)
            row = {"share": share(pair.photo, figures, pair.optimum), "ratio": figures.content / pair.optimum.content}
            rows[name].append({"pair": pair.name, **row, "seconds": seconds})
            if options.keep:
                folder = options.keep / name.split(",")[0]
                write_picture(Picture(picture[0].cpu()), folder / f"{pair.name}.png")
        print(pair.name, *(f"{name}: {rows[name][-1]['share']:.3f} at {rows[name][-1]['ratio']:.2f}" for name in rows), flush=True)
    means = {
        name: {key: mean(float(row[key]) for row in several) for key in ("share", "ratio", "seconds")} for name, several in rows.items()
    }
    print(means)
    return {"means": means, "rows": rows}


def stopped_gatys(content: Tensor, style: Tensor, seconds: float) -> Tensor:
    """What optimisation with the compact encoder has reached after so many seconds."""
    began, last = time.monotonic(), [content]

    def watch(event: Event) -> None:
        if event.preview is not None:
            last[0] = event.preview[None]
        if time.monotonic() - began > seconds:
            raise KeyboardInterrupt

    loss = PerceptualLoss(load_encoder("compact", PLACE), "impasto")
    try:
        return Gatys(loss, [style], GatysSettings(iterations=500, levels=1, preview_every=1), listener=watch)(content)
    except KeyboardInterrupt:
        return last[0]


def photo(options: argparse.Namespace) -> dict[str, object]:
    """512x256: conjugate gradients against the direct solution, and the whole with and without the Laplacian."""
    network, rows = load_solver(options.solvers[0]), []
    for folder in sorted(path for path in options.folder.iterdir() if path.is_dir())[: options.limit]:
        content = resize(read_picture(folder / "content.jpg").pixels, (256, 512))[None]
        style = load_at(folder / "style.jpg", 256)
        plain, real = solver_of(network, [style]), solver_of(network, [style], Steering(photoreal=50.0))
        seconds = {"without": timed(lambda s=plain, c=content: s(c)), "with": timed(lambda s=real, c=content: s(c))}
        painted = plain(content)
        seconds["build"] = timed(lambda c=content: Photo(c[0]))
        own = Photo(content[0])
        seconds["cg"] = timed(lambda o=own, p=painted: o.prox(p, 50.0))
        seconds["chebyshev"] = timed(lambda c=content, p=painted: Photo(c[0], solver="chebyshev").prox(p, 50.0), 1)
        began = time.monotonic()
        exact = Photo(content[0], solver="direct").prox(painted, 50.0)
        seconds["direct"] = time.monotonic() - began
        error = float((own.prox(painted, 50.0) - exact).norm() / exact.norm())
        rows.append({"pair": folder.name, "error": error, **seconds})
        print(rows[-1], flush=True)
        if options.keep:
            write_picture(Picture(torch.cat([content, painted, real(content)], 3)[0]), options.keep / f"{folder.name}.png")
    return {"rows": rows, "means": {key: mean(float(row[key]) for row in rows) for key in rows[0] if key != "pair"}}  # type: ignore[arg-type]


def timed(call: object, times: int = 3) -> float:
    """Median seconds of a call after one to warm up."""
    call()  # type: ignore[operator]
    seconds = []
    for _ in range(times):
        began = time.monotonic()
        call()  # type: ignore[operator]
        seconds.append(time.monotonic() - began)
    return median(seconds)


def film(options: argparse.Namespace) -> dict[str, object]:
    """e_stab with estimated flow: each frame alone, with the regulariser, and the regulariser once on what each frame alone gave."""
    network, style = load_solver(options.solvers[0]), load_at(options.paintings[0], 256)
    vgg, search = load_encoder(options.encoder, PLACE), DenseInverseSearch()
    loss = PerceptualLoss(vgg, "yardstick")
    rows = []
    for folder in sorted(path for path in options.folder.iterdir() if path.is_dir())[: options.limit]:
        frames = [
            resize(p, (round(p.shape[-2] * options.size / p.shape[-1] / 2) * 2, options.size))
            for p in map(pixels_of, list_pictures(folder)[: options.count])
        ]
        motion = []
        for now, before in zip(frames[1:], frames, strict=False):
            backward, forward = search(now, before)[None], search(before, now)[None]
            motion.append((backward[0], reliability(backward, forward)[0]))
        each = [solver_of(network, [style])(frame[None])[0] for frame in frames]
        films = {
            "input": frames,
            "each frame alone": each,
            "regulariser": list(solver_of(network, [style]).stream(frames)),
            "regulariser once, afterwards": afterwards(each, motion),
        }
        target = loss.style_target([style])
        row: dict[str, object] = {"sequence": folder.name, "frames": len(frames)}
        for name, shown in films.items():
            steady = stability((now, before, flow, mask) for now, before, (flow, mask) in zip(shown[1:], shown, motion, strict=False))
            terms = [
                loss(p[None], loss.content_target(f[None]), target)
                for p, f in list(zip(shown, frames, strict=True))[:: max(1, len(frames) // 5)]
            ]
            row[name] = {
                "e_stab": steady.e_stab,
                "relative": steady.relative,
                "style": mean(float(sum(t.style.values())) / 4 for t in terms),
                "content": mean(float(t.content) for t in terms),
            }
            print(folder.name, name, row[name], flush=True)
        rows.append(row)
    names = [key for key in rows[0] if key not in ("sequence", "frames")]
    means = {name: {key: mean(row[name][key] for row in rows) for key in rows[0][name]} for name in names}  # type: ignore[index, attr-defined]
    print(means)
    return {"means": means, "rows": rows}


def pixels_of(path: Path) -> Tensor:
    return read_picture(path).pixels


def afterwards(painted: list[Tensor], motion: list[tuple[Tensor, Tensor]]) -> list[Tensor]:
    """The same proximal map once, on frames that were painted alone."""
    result = [painted[0]]
    for frame, (flow, mask) in zip(painted[1:], motion, strict=True):
        warped, inside = warp(result[-1][None], flow[None])
        result.append(Consistency(warped, mask[None] * inside).prox(frame[None], CONSISTENCY)[0])
    return result


def texture(options: argparse.Namespace) -> dict[str, object]:
    """Half of a texture made small and enlarged with the other half as reference: PSNR on luminance, and SNR of the Gram matrices."""
    from skimage import data

    vgg, network = load_encoder(options.encoder, PLACE), load_solver(options.solvers[0])
    sources = {name: torch.from_numpy(getattr(data, name)()).float().div(255).expand(3, -1, -1) for name in ("brick", "grass", "gravel")}
    sources["coral cells"] = torch.from_numpy(data.immunohistochemistry()).permute(2, 0, 1).float().div(255)
    rows = []
    for name, pixels in sources.items():
        side = min(pixels.shape[-2], pixels.shape[-1] // 2) // 6 * 6
        sharp, reference = (part[None] for part in (pixels[:, :side, :side], pixels[:, :side, -side:]))
        reduction = Reduction((side, side))
        small = torch.stack([reduction(channel) for channel in sharp[0]])[None].float()
        grey = luminance(reference).expand(-1, 3, -1, -1)
        guide = solver_of(network, [grey], Steering(scales=SCALES_OF_TEXTURES, grain=0.0), style_size=side)
        published = solver_of(network, [grey], Steering(scales=(1, 1, 1, 1, 0), grain=0.0), style_size=side)
        shown = {
            "bicubic": F.interpolate(small, scale_factor=3, mode="bicubic").clamp(0, 1),
            "not guided": enlarge(guide, small, guided=False),
            "guided": enlarge(guide, small),
            "guided, weights of the paper": enlarge(published, small, weight=50.0),
        }
        row: dict[str, object] = {"texture": name, "side": side}
        for kind, picture in shown.items():
            row[kind] = {"psnr": psnr(picture, sharp), "snr_gram": snr_gram(vgg, picture, sharp)}
        rows.append(row)
        print(row, flush=True)
        if options.keep:
            write_picture(Picture(torch.cat([sharp, *shown.values()], 3)[0].clamp(0, 1)), options.keep / f"{name.replace(' ', '-')}.png")
    return {"rows": rows}


def psnr(picture: Tensor, sharp: Tensor) -> float:
    return float(-10 * (luminance(picture) - luminance(sharp)).square().mean().log10())


def snr_gram(vgg: Encoder, picture: Tensor, sharp: Tensor) -> float:
    """10 log10( sum |G_sharp|^2 / sum |G_sharp - G|^2 ) over the five style layers, on luminance."""
    with torch.no_grad():
        features = [vgg(luminance(p).expand(-1, 3, -1, -1), SCALES) for p in (picture, sharp)]
    energy = difference = 0.0
    for layer in SCALES:
        found, true = (gram(f[layer]) for f in features)
        energy, difference = energy + float(true.square().sum()), difference + float((true - found).square().sum())
    return 10 * float(torch.tensor(energy / difference).log10())


def first(options: argparse.Namespace) -> dict[str, object]:
    """The first picture in a style that nothing has seen, 512 px: the whole program, and inside one that is running."""
    from skimage import data

    folder = options.keep or HERE.parent / "out"
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "first-photo.png"
    write_picture(Picture(torch.from_numpy(data.astronaut()).permute(2, 0, 1).float().div(255)), source)
    command = [sys.executable, "-m", "impasto", "stylize", str(source), "--style", str(options.paintings[0]), "--method", "solver"]
    cold = []
    for _ in range(3):
        began = time.monotonic()
        subprocess.run([*command, "-o", str(folder / "first.png")], check=True, capture_output=True)
        cold.append(time.monotonic() - began)
    network, photograph, style = (
        load_solver(options.solvers[0]),
        read_picture(source).pixels[None],
        read_picture(options.paintings[0]).pixels[None],
    )
    solver_of(network, [photograph])(photograph)
    began = time.monotonic()
    solver = solver_of(network, [style])
    solver(photograph)
    new_style = time.monotonic() - began
    return {
        "program": cold,
        "new style in a running program": new_style,
        "slider": timed(lambda: solver.paint(photograph, Steering(strength=0.7))),
    }


PARTS = {"study": study, "losses": losses, "gatys": gatys, "photo": photo, "film": film, "texture": texture, "first": first}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--content", type=Path, help="folder of training photographs")
    parser.add_argument("--photos", type=Path, help="folder of held-out photographs")
    parser.add_argument("--pairs", type=Path, help="as `impasto evaluate fidelity --pairs` takes it")
    parser.add_argument("--folder", type=Path, help="of folders: content.jpg with style.jpg, or the frames of a sequence")
    parser.add_argument("--paintings", type=Path, nargs="+", default=[])
    parser.add_argument("--encoder", help="VGG-19, which judges")
    parser.add_argument("--solvers", nargs="+", default=["solver"])
    parser.add_argument("--only", nargs="+", help="names of the study's configurations")
    parser.add_argument("--steps", type=int, default=600, help="of the study's trainings")
    parser.add_argument("--count", type=int, default=100, help="pairs of photos, or frames of a sequence at most")
    parser.add_argument("--size", type=int, default=256, help="of held-out photos, or longer side of frames")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--keep", type=Path, help="folder for pictures and networks")
    options = parser.parse_args()
    write_report(HERE / f"results/solver-{options.part}.json", PARTS[options.part](options))


if __name__ == "__main__":
    main()
