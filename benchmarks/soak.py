"""Many pictures in one process: memory, threads and open files after the first hundred and after the last are the same.

    python benchmarks/soak.py --pictures 1000 --json benchmarks/results/soak.json

Photos of changing sizes and formats go through the engine with a small network, a film now and then, and one file in ten is broken.
"""

import argparse
import gc
import os
import random
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import impasto
from impasto.evaluation.report import write_report
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import to_style_file
from impasto.storage.style_file import StyleRecord, write_style
from tests.films import make_film

LARGEST_GROWTH = 0.05


def state() -> dict[str, int]:
    """Bytes in memory, threads and open files of this process."""
    gc.collect()
    resident = int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    return {"memory": resident, "threads": threading.active_count(), "files": len(list(Path("/proc/self/fd").iterdir()))}


def picture(folder: Path, number: int, chance: random.Random) -> Path:
    path = folder / f"{number}.{chance.choice(['png', 'jpg', 'webp', 'tif'])}"
    size = (chance.choice([96, 128, 160]), chance.choice([96, 128, 160]))
    pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(pixels).save(path)
    if number % 10 == 9:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--first", type=int, default=100, help="pictures before the first measurement")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.manual_seed(0)
    chance, first = random.Random(0), {}
    with tempfile.TemporaryDirectory() as own:
        folder = Path(own)
        style = write_style(folder / "style.safetensors", to_style_file(StyleNetwork(4, 1), StyleRecord("soak", "metastyle")))
        film, painted, failed = make_film(folder / "film.mp4", count=4), 0, 0
        for number in range(1, given.pictures + 1):
            source = film if number % 25 == 0 else picture(folder, number, chance)
            summary = impasto.stylize(source, style, output=folder / ("out.mp4" if source is film else "out.png"))
            painted, failed = painted + len(summary.painted), failed + len(summary.failed)
            if source is not film:
                source.unlink()
            if number == given.first:
                first = state()
    last = state()
    growth = last["memory"] / first["memory"] - 1
    print(f"{painted} painted, {failed} refused; after {given.first}: {first}; after {given.pictures}: {last}; memory {growth:+.1%}")
    if given.json:
        write_report(given.json, {"pictures": given.pictures, "painted": painted, "refused": failed, "first": first, "last": last})
    sys.exit(growth > LARGEST_GROWTH or first["threads"] != last["threads"] or first["files"] != last["files"])


if __name__ == "__main__":
    main()
