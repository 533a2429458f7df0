"""Pictures of any size: memory as the system counts it, seconds, and how far tiles are from the picture in one piece.

    python benchmarks/large.py sizes
    python benchmarks/large.py exactness

The pictures are mosaics of scikit-image's photographs under a sky that is a gradient. `sizes` paints them by the command line, each in a
process of its own; `exactness` paints one of 2048 px in one piece and by tiles. Every part writes benchmarks/results/large-PART.json.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from skimage import data

from impasto.evaluation.report import write_report
from impasto.job.build import make_stylizer
from impasto.job.styles import gather_styles
from impasto.media.canvas import Box, Canvas, tiles
from impasto.networks.stylizer import NetworkStylizer
from impasto.runtime.device import choose_place
from impasto.runtime.large import Plan, Work, paint_by_tiles
from impasto.settings import Controls

RESULTS = Path(__file__).resolve().parent / "results"
Image.MAX_IMAGE_PIXELS = None


def mosaic(width: int, height: int) -> Image.Image:
    """Photographs side by side under a sky."""
    sky = np.linspace([70, 120, 200], [230, 220, 210], height)[:, None].astype(np.uint8).repeat(width, 1)
    picture = Image.fromarray(sky)
    photos = cycle([data.astronaut(), data.chelsea(), data.coffee(), data.rocket()])
    side = min(512, width, height)
    for top in range(height // 3, height, side):
        for left in range(0, width, side):
            picture.paste(Image.fromarray(next(photos)).resize((side, side)), (left, top))
    return picture


def highest(process: "subprocess.Popen[bytes]") -> int:
    """The peak of its memory in kB, of its own program alone, until it ends."""
    found = 0
    while process.poll() is None:
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM"):
                found = max(found, int(line.split()[1]))
        time.sleep(0.02)
    return found


def sizes(arguments: argparse.Namespace) -> None:
    """What each takes."""
    rows = []
    cases = [
        (8192, 8192, "draft", "4G", ["-s", "dusk"]),
        (8192, 8192, "draft", "4G", ["-s", "dusk", "--exact"]),
        (8192, 8192, "fine", "4G", ["-s", "dusk"]),
        (20000, 3000, "draft", "4G", ["-s", "dusk"]),
        (100, 30000, "draft", "4G", ["-s", "dusk"]),
        (1000, 1000, "draft", "500M", ["-s", "dusk"]),
        (1000, 1000, "fine", "500M", ["-s", "dusk"]),
        (8192, 8192, "draft", "1G", ["-s", "dusk"]),
    ]
    with tempfile.TemporaryDirectory() as folder:
        for width, height, quality, memory, words in [
            case for number, case in enumerate(cases) if number in (arguments.cases or range(len(cases)))
        ]:
            source, output = (Path(folder) / f"{width}x{height}{end}" for end in (".jpg", "-painted.png"))
            if not source.exists():
                mosaic(width, height).save(source, quality=92)
            command = [sys.executable, "-m", "impasto", "stylize", source, "-o", output, "--size", "0", "--quality", quality]
            command += ["--memory", memory, *words, "--backend", "torch", "--max-megapixels", "200"]
            started = time.perf_counter()
            with (Path(folder) / "said.txt").open("w+") as said:
                process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT)
                peak = highest(process)
                said.seek(0)
                words_said = said.read()
            status = process.returncode
            row = {
                "size": f"{width}x{height}", "quality": quality, "memory": memory, "words": " ".join(words),
                "seconds": round(time.perf_counter() - started, 1), "peak_mb": peak // 1024, "status": status,
            }  # fmt: skip
            if status:
                row["said"] = words_said.strip().replace(f"{folder}/", "")[-300:]
            elif arguments.keep:
                output.rename(arguments.keep / f"{width}x{height}-{quality}-{memory}{'-exact' * ('--exact' in words)}.png")
            rows.append(row)
            print(row, flush=True)
    write_report(RESULTS / "large-sizes.json", {"rows": rows})


def exactness(arguments: argparse.Namespace) -> None:
    """Tiles against one piece at 2048 px, and a flat sky across the borders of tiles."""
    rows = []
    for style in arguments.style:
        for size in ((2048, 2048), (1366, 2048)):
            pixels = torch.from_numpy(np.array(mosaic(size[1], size[0]))).permute(2, 0, 1)[None].float() / 255
            controls = Controls(backend="torch", precision="float32")
            stylizer = make_stylizer(gather_styles([style], None, controls), controls, choose_place(precision="float32"))
            assert isinstance(stylizer, NetworkStylizer)
            whole = stylizer(pixels)
            plain = (whole[..., 1:, :] - whole[..., :-1, :]).abs().mean((0, 1, 3)) * 255
            row: dict[str, object] = {"style": style, "size": list(size)}
            for exact in (True, False):
                with tempfile.TemporaryDirectory() as folder:
                    work = Work(Path(folder), "key")
                    photo = Canvas(work.folder / "photo.raw", size)
                    photo.write(Box(0, 0, *size), pixels)
                    work.note("read", 1)
                    started = time.perf_counter()
                    canvas = paint_by_tiles(stylizer, photo, work, Plan(1024 * 1024, 512, exact), device=torch.device("cpu"))
                    seconds = time.perf_counter() - started
                    painted = canvas.read(Box(0, 0, *size))
                apart = (painted - whole).abs() * 255
                steps = (painted[..., 1:, :] - painted[..., :-1, :]).abs().mean((0, 1, 3)) * 255
                edges = sorted({box.top - 1 for box in tiles(size, 512) if box.top})
                row["exact" if exact else "frozen"] = {
                    "highest": round(float(apart.max()), 2), "mean": round(float(apart.mean()), 3), "seconds": round(seconds, 1),
                    "across_borders": round(float(steps[edges].mean()), 2), "there_in_one_piece": round(float(plain[edges].mean()), 2),
                }  # fmt: skip
            rows.append(row)
            print(row, flush=True)
    write_report(RESULTS / "large-exactness.json", {"rows": rows})


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["sizes", "exactness"])
    parser.add_argument("--keep", type=Path, help="Folder for the pictures.")
    parser.add_argument("--cases", type=int, nargs="+", help="Some of them, by number.")
    parser.add_argument("--style", nargs="+", default=["dusk", "starry-night", "great-wave"])
    arguments = parser.parse_args()
    {"sizes": sizes, "exactness": exactness}[arguments.part](arguments)


if __name__ == "__main__":
    main()
