"""What tables of colours and grids of colours keep of photo-realistic pictures, and how fast they are.

    python benchmarks/looks.py pairs --photos FOLDER          # FOLDER/NAME/content.jpg and style.jpg
    python benchmarks/looks.py speed --photos FOLDER

`pairs` paints each photo by `--photoreal` at 512 px and compares with that what a look (`impasto lut`) and a grid of local colours, each
fitted to it, make of the photo: PSNR in dB. `speed` times a look on frames of 1920x1080 from film to film, and local colours at 4096 px.
Every part writes benchmarks/results/looks-PART.json.
"""

import argparse
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from impasto.api import stylize
from impasto.evaluation.report import write_report
from impasto.job.build import make_stylizer
from impasto.job.look import PHOTO_REAL
from impasto.job.styles import gather_styles
from impasto.media.canvas import Box
from impasto.media.film_writer import FilmWriter
from impasto.media.images import read_picture, rescale
from impasto.media.stills import fit_within
from impasto.media.videos import FilmInfo, FilmReader, as_bytes
from impasto.methods.lut.color_lut import ColorLUT
from impasto.methods.lut.cube import write_cube
from impasto.methods.lut.fit import fitted, identity
from impasto.runtime.device import choose_place
from impasto.runtime.local_colors import ColorGrid
from impasto.runtime.stylizer import Stylizer
from impasto.settings import Controls

RESULTS = Path(__file__).resolve().parent / "results"
DOMAIN = torch.tensor([[0.0] * 3, [1.0] * 3])


def decibels(found: Tensor, wanted: Tensor) -> float:
    return round(float(-10 * torch.log10((found - wanted).square().mean())), 1)


def solver(style: Path) -> Stylizer:
    controls = Controls(method="solver", options=PHOTO_REAL)
    return make_stylizer(gather_styles([style], None, controls), controls, choose_place())


def pairs(arguments: argparse.Namespace) -> None:
    """PSNR of both against the photo-realistic picture that they are fitted to."""
    rows = []
    for folder in sorted(path for path in arguments.photos.iterdir() if (path / "content.jpg").is_file()):
        pixels = read_picture(folder / "content.jpg").pixels[None]
        photo = rescale(pixels, fit_within((pixels.shape[-2], pixels.shape[-1]), 512))
        painted = solver(folder / "style.jpg")(photo)
        started = time.perf_counter()
        table = fitted(photo[0], painted[0])
        seconds = time.perf_counter() - started
        whole = (photo.shape[-2], photo.shape[-1])
        row = {
            "pair": folder.name,
            "photo": decibels(photo, painted),
            "look": decibels(ColorLUT(table, DOMAIN)(photo), painted),
            "grid": decibels(ColorGrid.fitted(photo, painted)(photo, Box(0, 0, *whole), whole), painted),
            "seconds_to_fit": round(seconds, 1),
        }
        rows.append(row)
        print(row, flush=True)
    mean = {name: round(sum(row[name] for row in rows) / len(rows), 1) for name in ("photo", "look", "grid")}
    print(mean)
    write_report(RESULTS / "looks-pairs.json", {"rows": rows, "mean": mean})


def speed(arguments: argparse.Namespace) -> None:
    """Frames a second of a look, film to film, and seconds of local colours at 4096 px."""
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as folder:
        look, film = write_cube(Path(folder) / "look.cube", identity(33) ** 1.2, title="look"), Path(folder) / "film.mp4"
        size, count, rate = (1080, 1920), 240, Fraction(24)
        picture = rescale(read_picture(next(arguments.photos.glob("*/content.jpg"))).pixels[None], size)[0]
        frames = [as_bytes(picture.roll(8 * number, 2)) for number in range(24)] * (count // 24)
        for name in ("copy", "film"):
            path, started = Path(folder) / f"{name}.mp4", time.perf_counter()
            writer = FilmWriter(path, None, FilmInfo(size, rate, 1 / rate, count, count / 24), size, "benchmark", piece=500)
            for number, frame in enumerate(frames):
                writer.write(frame, number)
            writer.finish()
            found["encoded alone, fps"] = count / (time.perf_counter() - started)
        started = time.perf_counter()
        assert sum(1 for _ in FilmReader(film)) == count
        found["decoded alone, fps"] = count / (time.perf_counter() - started)
        started = time.perf_counter()
        summary = stylize(film, look, output=Path(folder) / "out.mp4")
        found["film, fps"] = count / (time.perf_counter() - started)
        assert summary.painted, summary.failed
        frame, painter = picture[None], ColorLUT(identity(33) ** 1.2, DOMAIN)
        started = time.perf_counter()
        for _ in range(10):
            painter(frame)
        found["look alone, fps"] = 10 / (time.perf_counter() - started)
    photo = rescale(picture[None], (2304, 4096))
    controls = Controls(method="solver", options=PHOTO_REAL)
    style = next(arguments.photos.glob("*/style.jpg"))
    stylizer = make_stylizer(gather_styles([style], None, controls), controls, choose_place())
    for name in ("first", "second"):
        started = time.perf_counter()
        stylizer(photo)
        found[f"local colours at 4096 px, seconds, {name}"] = time.perf_counter() - started
    found = {name: round(float(value), 2) for name, value in found.items()}  # type: ignore[arg-type]
    print(found)
    write_report(RESULTS / "looks-speed.json", found)


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["pairs", "speed"])
    parser.add_argument("--photos", type=Path, required=True)
    arguments = parser.parse_args()
    {"pairs": pairs, "speed": speed}[arguments.part](arguments)


if __name__ == "__main__":
    main()
