"""What finishing costs and gives: seconds, regularity of a sky, also in eight bits, and whether enlargements look the same.

    python benchmarks/finishing.py seconds
    python benchmarks/finishing.py sky --paintings FOLDER
    python benchmarks/finishing.py eight_bits
    python benchmarks/finishing.py enlargement

FOLDER holds NAME.jpg for the bundled styles of paintings that are not ours. The photographs are scikit-image's. Every part writes
benchmarks/results/finishing-PART.json. Fidelity is measured by

    impasto evaluate fidelity --pairs PAIRS.json --encoder VGG19.safetensors --precision auto --method semantic@draft --method semantic@fine
"""

import argparse
import resource
import time
from pathlib import Path

import torch
from skimage import data
from torch import Tensor

from impasto.backends.openvino_file import decibels
from impasto.evaluation.regularity import regularity
from impasto.evaluation.report import write_report
from impasto.job.build import make_film_stylizer, make_stylizer
from impasto.job.styles import gather_styles
from impasto.media.images import read_picture, rescale, style_at
from impasto.media.stills import fit_within
from impasto.runtime.device import choose_place
from impasto.runtime.stylizer import Stylizer
from impasto.settings import Controls
from impasto.storage.registry import bundled, locate

RESULTS = Path(__file__).resolve().parent / "results"
PLACE = choose_place()
OURS = locate("dusk", "painting")


def photo(name: str, longest: int) -> Tensor:
    """A photograph of scikit-image, (1, 3, H, W) in [0, 1]."""
    pixels = torch.from_numpy(getattr(data, name)()[..., :3].copy()).permute(2, 0, 1)[None].float() / 255
    return rescale(pixels, fit_within((pixels.shape[-2], pixels.shape[-1]), longest))


def made(style: str | Path, quality: str) -> Stylizer:
    """The stylizer of a bundled style or a picture."""
    controls = Controls(quality=quality, method="auto" if isinstance(style, str) else "semantic")
    return make_stylizer(gather_styles([style], None, controls), controls, PLACE)


def seconds(arguments: argparse.Namespace) -> None:
    """The first picture of a stylizer, with everything that is loaded for it, and the second."""
    rows = []
    for style in ("dusk", OURS):
        for size in (512, 1024):
            pixels = photo("rocket", size)
            for quality in ("draft", "fine", "best"):
                times = []
                started = time.perf_counter()
                stylizer = made(style, quality)
                for _ in range(2):
                    stylizer(pixels)
                    times.append(round(time.perf_counter() - started, 2))
                    started = time.perf_counter()
                name = style if isinstance(style, str) else f"{style.name}, semantic"
                rows.append({"style": name, "size": list(pixels.shape[-2:]), "quality": quality, "cold": times[0], "warm": times[1]})
                print(rows[-1], flush=True)
    write_report(RESULTS / "finishing-seconds.json", {"rows": rows})


def sky(arguments: argparse.Namespace) -> None:
    """Regularity of the rocket's sky in all bundled styles, beside that of each painting itself; film: as a frame of a film is painted."""
    rows, pixels = [], photo("rocket", 512)
    for name in bundled("style"):
        if name.endswith("-live"):
            continue
        path = locate(name, "painting") if name in bundled("painting") else arguments.paintings / f"{name}.jpg"
        row: dict[str, object] = {"style": name, "painting": regularity(style_at(read_picture(path).pixels[None], 384))}
        film = make_film_stylizer(gather_styles([name], None, Controls()), Controls(), PLACE)
        ways = {"draft": made(name, "draft"), "film": film, "fine": made(name, "fine"), "semantic fine": made(path, "fine")}
        for way, stylizer in ways.items():
            row[way] = regularity(stylizer(pixels), pixels)
        rows.append(row)
        print(row, flush=True)
    write_report(RESULTS / "finishing-sky.json", {"rows": rows})


def eight_bits(arguments: argparse.Namespace) -> None:
    """Drafts of all bundled styles in float32 and in eight bits: how far apart they are, and the regularity of the rocket's sky in both."""
    rows, photos = [], {name: photo(name, 512) for name in ("rocket", "astronaut", "coffee", "chelsea")}
    for name in bundled("style"):
        source, painted = gather_styles([name], None, Controls()), {}
        for precision in ("float32", "int8"):
            controls = Controls(quality="draft", backend="openvino", precision=precision)
            stylizer = make_stylizer(source, controls, choose_place("cpu", precision, painting=True))
            painted[precision] = {which: stylizer(pixels) for which, pixels in photos.items()}
        near = {which: decibels(painted["int8"][which], exact) for which, exact in painted["float32"].items()}
        skies = {precision: regularity(pictures["rocket"], photos["rocket"]) for precision, pictures in painted.items()}
        rows.append({"style": name, "psnr": near, "regularity": skies})
        print(rows[-1], flush=True)
    write_report(RESULTS / "finishing-eight_bits.json", {"rows": rows})


def enlargement(arguments: argparse.Namespace) -> None:
    """A picture of 4096 pixels against one of 1024."""
    rows = []
    for style in ("dusk", OURS, "starry-night"):
        small = made(style, "fine")(photo("rocket", 1024))
        started = time.perf_counter()
        large = made(style, "fine")(photo("rocket", 4096))
        taken = time.perf_counter() - started
        afar = rescale(large, (small.shape[-2], small.shape[-1]))
        plain = photo("rocket", 1024)
        rows.append(
            {
                "style": str(Path(style).name),
                "psnr": decibels(afar, small),
                "regularity": [regularity(small, plain), regularity(afar, plain)],
                "seconds": taken,
                "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            }
        )
        print(rows[-1], flush=True)
    write_report(RESULTS / "finishing-enlargement.json", {"rows": rows})


PARTS = {part.__name__: part for part in (seconds, sky, eight_bits, enlargement)}


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--paintings", type=Path)
    arguments = parser.parse_args()
    PARTS[arguments.part](arguments)


if __name__ == "__main__":
    main()
