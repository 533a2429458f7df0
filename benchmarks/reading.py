"""How fast photos are read, what a portrait photo takes to be painted, and pictures a second that trainings read and use.

    python benchmarks/reading.py --files [--against SRC]
    python benchmarks/reading.py --photos FOLDER --paintings FOLDER

`--files`: a photo of 12 megapixels, as a phone stores it (on its side, EXIF orientation 6) and upright: seconds to read it, and the peak of
the memory of `impasto stylize --size 0 --quality draft`. SRC: the folder `src` of another version, which reads the same files in turn.
Writes benchmarks/results/reading_files.json.

Shards of 500 pictures are written of the folder first. `read`: crops drawn as fast as they come, by threads, once the first epoch's files
are in the system's cache and once they are dropped from it. `used`: steps of trainings on the same shards, and how long they waited for
pictures. Writes benchmarks/results/reading.json.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from impasto.evaluation.report import write_report
from impasto.media.images import list_pictures
from impasto.methods.johnson.method import METHOD as JOHNSON
from impasto.methods.metastyle.method import METHOD as METASTYLE
from impasto.methods.solver.method import METHOD as SOLVER
from impasto.training.collection import StreamedPictures, shards_of
from impasto.training.data import PictureFolder
from impasto.training.recipe import Materials, train_to_file

RESULTS = Path(__file__).resolve().parent / "results"


def write_shards(photos: Path, folder: Path, count: int) -> Path:
    """So many pictures, the folder's over and over, as WebDataset lays them out."""
    folder.mkdir()
    files = list(islice(cycle(list_pictures(photos)), count))
    for start in range(0, count, 500):
        with tarfile.open(folder / f"{start // 500:05d}.tar", "w") as archive:
            for number, file in enumerate(files[start : start + 500], start):
                archive.add(file, f"{number:07d}{file.suffix.lower()}")
    return folder


def dropped(folder: Path) -> None:
    """Forget what the system keeps of the files of a folder."""
    os.sync()
    for file in folder.iterdir():
        with file.open("rb") as stream:
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def speed(pictures: PictureFolder | StreamedPictures, count: int) -> float:
    """Crops a second."""
    generator, began = torch.Generator().manual_seed(0), time.monotonic()
    for _ in range(count // 8):
        pictures.draw(8, 256, generator)
    return count / (time.monotonic() - began)


_READ = """
import json, sys, time
from impasto.media.images import read_picture
seconds = []
for _ in range(7):
    began = time.perf_counter()
    read_picture(sys.argv[1])
    seconds.append(time.perf_counter() - began)
print(json.dumps(sorted(seconds)[3]))
"""
"""A process that reads a file seven times and says the median."""
_PAINT = """
import os, sys
job = os.spawnv(os.P_NOWAIT, sys.executable, [sys.executable, "-m", "impasto", *sys.argv[1:]])
_, status, used = os.wait4(job, 0)
assert status == 0
print(used.ru_maxrss)
"""
"""A process that runs Impasto and says the peak of its memory in kB."""


def phone_photos(folder: Path) -> dict[str, Path]:
    """The same photo of 12 megapixels upright, and on its side with EXIF saying so; and as PNG."""
    y, x = np.mgrid[0:4032, 0:3024].astype(np.float32)
    waves = [np.sin(x / a) + np.cos(y / b) + np.sin((x + y) / c) for a, b, c in ((97, 61, 41), (53, 131, 29), (211, 37, 83))]
    noise = np.random.default_rng(0).normal(0, 4, (4032, 3024, 3))
    photo = Image.fromarray((np.stack(waves, -1) * 40 + 128 + noise).clip(0, 255).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.save(folder / "upright.jpg", quality=92)
    photo.transpose(Image.Transpose.ROTATE_90).save(folder / "portrait.jpg", quality=92, exif=exif)
    photo.save(folder / "upright.png", compress_level=1)
    return {path.name: path for path in sorted(folder.iterdir())}


def said(code: str, *words: str, source: Path) -> float:
    """The number that a process says which runs a version of Impasto."""
    environment = os.environ | {"PYTHONPATH": str(source)}
    done = subprocess.run([sys.executable, "-c", code, *words], env=environment, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def files(against: Path | None) -> dict[str, object]:
    """Seconds and memory of photos of 12 megapixels."""
    sources = {"this version": Path(__file__).resolve().parents[1] / "src"} | ({} if against is None else {"the other": against})
    found: dict[str, object] = {"cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as folder:
        photos = phone_photos(Path(folder))
        for name, path in photos.items():
            seconds: dict[str, list[float]] = {version: [] for version in sources}
            for _ in range(5):
                for version, source in sources.items():
                    seconds[version].append(said(_READ, str(path), source=source))
            found |= {f"seconds to read {name}, {version}": statistics.median(each) for version, each in seconds.items()}
        for memory in ("", "1G"):
            peaks = {}
            for name in ("upright.jpg", "portrait.jpg"):
                words = ["stylize", str(photos[name]), "-s", "dusk", "--size", "0", "--quality", "draft", "-o", f"{folder}/out.png"]
                words += ["--memory", memory] if memory else []
                peaks[name] = said(_PAINT, *words, source=sources["this version"]) / 1000
                found[f"MB at most to paint {name}{', --memory ' + memory if memory else ''}"] = peaks[name]
            found[f"portrait to upright{', --memory ' + memory if memory else ''}"] = peaks["portrait.jpg"] / peaks["upright.jpg"]
    return found


def main() -> None:
    """Everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", action="store_true")
    parser.add_argument("--against", type=Path)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--paintings", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    arguments = parser.parse_args()
    if arguments.files:
        measured = files(arguments.against)
        write_report(RESULTS / "reading_files.json", measured)
        for name, value in measured.items():
            print(f"{name}: {value}")
        return
    if arguments.photos is None or arguments.paintings is None:
        parser.error("either --files, or --photos and --paintings")
    found: dict[str, object] = {"pictures": arguments.count, "cores": os.cpu_count()}
    with tempfile.TemporaryDirectory() as folder:
        shards = write_shards(arguments.photos, Path(folder) / "shards", arguments.count)
        os.environ["IMPASTO_CACHE"] = str(Path(folder) / "cache")
        began = time.monotonic()
        listed = shards_of([shards])
        found["seconds to look the shards up"] = time.monotonic() - began
        began = time.monotonic()
        shards_of([shards])
        found["seconds to look them up again"] = time.monotonic() - began
        for threads in (1, 2, 4):
            dropped(shards)
            found[f"read, shards, {threads} threads, not cached"] = speed(StreamedPictures(listed, 0, threads=threads), 2000)
            found[f"read, shards, {threads} threads"] = speed(StreamedPictures(listed, 0, threads=threads), 2000)
        found["read, a folder in the training's own thread"] = speed(PictureFolder([arguments.photos], memory=1), 1000)
        painting = list_pictures(arguments.paintings)[0]
        trainings = {
            "metastyle": (METASTYLE.trainings[0], Materials(content=[shards], style=[arguments.paintings]), 6),
            "johnson": (JOHNSON.trainings[0], Materials(content=[shards], painting=painting), 12),
            "solver": (SOLVER.trainings[0], Materials(content=[shards], style=[arguments.paintings]), 4),
        }
        made: list[StreamedPictures] = []
        begin = StreamedPictures.__init__

        def noted(self: StreamedPictures, *words: object, **more: object) -> None:
            begin(self, *words, **more)  # type: ignore[arg-type]
            made.append(self)

        StreamedPictures.__init__ = noted  # type: ignore[method-assign]
        for name, (recipe, materials, steps) in trainings.items():
            made.clear()
            times: list[float] = []
            train_to_file(
                recipe,
                materials,
                Path(folder) / f"{name}.safetensors",
                changes={"steps": steps},
                listener=lambda event, times=times: times.append(event.seconds),  # type: ignore[misc]
            )
            read, waited = sum(each.read for each in made), sum(each.waited for each in made)
            found[f"used, {name}, a second"] = read / max(times)
            found[f"waited, {name}, share of the time"] = waited / max(times)
    write_report(RESULTS / "reading.json", found)
    for name, value in found.items():
        print(f"{name}: {value}")


if __name__ == "__main__":
    main()
