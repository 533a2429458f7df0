"""How fast films are painted from file to file, and what small networks for live films paint beside the large ones.

    python benchmarks/live.py film --style starry-night --film FILM_OR_FRAMES --seconds 10 60
    python benchmarks/live.py sheet --style starry-night great-wave --film FILM_OR_FRAMES --output SHEET.png

Each style is measured with its network NAME and its network NAME-live. The film is brought to 640x320 and shown there and back again
until it is as long as it shall be; 24 frames a second. `film` writes benchmarks/results/live-film.json. How steady they are, and how
near the painting, is said by

    impasto evaluate stability FILMS -s NAME -s NAME-live --painting PAINTING.jpg
"""

import argparse
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor

from impasto.api import stylize
from impasto.evaluation.footage import footage
from impasto.evaluation.report import write_report
from impasto.evaluation.speed import multiply_adds
from impasto.job.build import make_film_stylizer
from impasto.job.styles import find_style, gather_styles
from impasto.media.film_writer import FilmWriter
from impasto.media.images import Picture, rescale, write_picture
from impasto.media.videos import FilmInfo, FilmReader, as_bytes
from impasto.networks.style_network_file import network_of
from impasto.runtime.device import choose_place
from impasto.settings import Controls

RESULTS = Path(__file__).resolve().parent / "results"
SIZE, RATE = (320, 640), 24
WAYS = (("torch", "auto"), ("openvino", "auto"), ("openvino", "int8"))
"""Backends and precisions."""


def frames_of(film: Path, count: int) -> list[Tensor]:
    """The first frames of a film, (3, 320, 640), cut to that shape in the middle."""
    found = []
    for frame in islice(footage(film)[0].frames(), count):
        height, width = frame.shape[-2:]
        high, wide = min(height, width // 2), min(width, 2 * height)
        top, left = (height - high) // 2, (width - wide) // 2
        found.append(rescale(frame[None, :, top : top + high, left : left + wide], SIZE)[0])
    return found


def there_and_back(frames: list[Tensor]) -> Iterator[Tensor]:
    """The frames, again and again."""
    while True:
        yield from frames
        yield from frames[-2:0:-1]


def write_film(path: Path, frames: list[Tensor], count: int) -> None:
    """A film of so many frames."""
    rate = Fraction(RATE)
    writer = FilmWriter(path, None, FilmInfo(SIZE, rate, 1 / rate, count, count / RATE), SIZE, "benchmark", piece=500)
    for number, frame in enumerate(islice(there_and_back(frames), count)):
        writer.write(as_bytes(frame), number)
    writer.finish()


def film(arguments: argparse.Namespace) -> None:
    """Frames a second from file to file, the engine made before; beside them, what decoding and encoding alone take."""
    frames, rows = frames_of(arguments.film, 48), []
    work = {name: multiply_adds(network_of(find_style(name).file)) for style in arguments.style for name in (style, f"{style}-live")}  # type: ignore[arg-type]
    with tempfile.TemporaryDirectory() as folder:
        warm = Path(folder) / "warm.mp4"
        write_film(warm, frames, 2)
        for seconds in arguments.seconds:
            source, count = Path(folder) / f"{seconds}.mp4", seconds * RATE
            write_film(source, frames, count)
            started = time.perf_counter()
            write_film(Path(folder) / "copy.mp4", [frame.pixels for frame in FilmReader(source)][: len(frames)], count)
            rows.append({"style": "none: decoded and encoded", "film_seconds": seconds, "fps": count / (time.perf_counter() - started)})
            print(rows[-1], flush=True)
            for style in work:
                for backend, precision in WAYS:
                    controls = Controls(size=640, backend=backend, precision=precision)
                    stylize(warm, style, output=Path(folder) / "warm-out.mp4", controls=controls)
                    started = time.perf_counter()
                    summary = stylize(source, style, output=Path(folder) / "out.mp4", controls=controls)
                    fps = count / (time.perf_counter() - started)
                    assert summary.painted, summary.failed
                    rows.append({"style": style, "backend": backend, "precision": precision, "film_seconds": seconds, "fps": fps})
                    print(rows[-1], flush=True)
    write_report(arguments.json, {"size": "640x320", "multiply_adds": work, "rows": rows})


def sheet(arguments: argparse.Namespace) -> None:
    """For each style two rows of frames: by the large network, and by the small one."""
    frames, place = frames_of(arguments.film, 40)[::13], choose_place()
    rows = [torch.cat(frames, -1)]
    for style in arguments.style:
        for name in (style, f"{style}-live"):
            controls = Controls(backend="torch")
            stylizer = make_film_stylizer(gather_styles([name], None, controls), controls, place)
            rows.append(torch.cat([stylizer(frame[None])[0].cpu() for frame in frames], -1))
    write_picture(Picture(torch.cat(rows, -2)), arguments.output)


def main() -> None:
    """Run one part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=["film", "sheet"])
    parser.add_argument("--style", nargs="+", default=["starry-night"])
    parser.add_argument("--film", type=Path, required=True)
    parser.add_argument("--seconds", type=int, nargs="+", default=[10])
    parser.add_argument("--json", type=Path, default=RESULTS / "live-film.json")
    parser.add_argument("--output", type=Path, default=Path("out") / "live.png")
    arguments = parser.parse_args()
    {"film": film, "sheet": sheet}[arguments.part](arguments)


if __name__ == "__main__":
    main()
