"""Pictures a second that trainings read, from folders and from shards, and that they use.

    python benchmarks/reading.py --photos FOLDER --paintings FOLDER

Shards of 500 pictures are written of the folder first. `read`: crops drawn as fast as they come, by threads, once the first epoch's files
are in the system's cache and once they are dropped from it. `used`: steps of trainings on the same shards, and how long they waited for
pictures. Writes benchmarks/results/reading.json.
"""

import argparse
import os
import tarfile
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

import torch

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


def main() -> None:
    """Everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--paintings", type=Path, required=True)
    parser.add_argument("--count", type=int, default=10_000)
    arguments = parser.parse_args()
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
