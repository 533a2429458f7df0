"""Train the bundled styles and write them with their records to src/impasto/assets/styles.

    python tools/bundle_styles.py --paintings FOLDER --photos FOLDER [NAME ...]
    python tools/bundle_styles.py --paintings FOLDER --statistics [NAME ...]

FOLDER of paintings holds NAME.jpg for the public-domain works of the table below; our own three come from the package. Each
network begins at the bundled meta-learned weights. Styles that are already there are left alone unless they are named. With --statistics
nothing is trained: the statistics of their paintings are put into the styles that are there.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import impasto
from impasto.media.images import read_picture
from impasto.runtime.encoders import measured_style
from impasto.settings import Controls
from impasto.storage.registry import ASSETS, Record, bundled, write_record
from impasto.storage.style_file import read_style, write_style

PAPER = "Zhang, Zhu and Zhu, MetaStyle, AAAI 2019"
PUBLIC_DOMAIN = "weights Apache-2.0; the painting is in the public domain"
WORKS = {
    "starry-night": ("The Starry Night", "Vincent van Gogh, 1889"),
    "great-wave": ("The Great Wave off Kanagawa", "Katsushika Hokusai, about 1831"),
    "scream": ("The Scream", "Edvard Munch, 1893"),
    "composition-vii": ("Composition VII", "Wassily Kandinsky, 1913"),
    "kiss": ("The Kiss", "Gustav Klimt, 1908"),
    "shipwreck": ("The Wreck of a Transport Ship", "Joseph Mallord William Turner, about 1810"),
    "parasol": ("Woman with a Parasol", "Claude Monet, 1875"),
    "place-des-lices": ("Place des Lices, St. Tropez", "Paul Signac, 1893"),
}


def painting_of(name: str, folder: Path) -> Path:
    """The painting of a style, or of its version for films."""
    name, ours = name.removesuffix("-film"), bundled("painting")
    return ASSETS / "paintings" / ours[name].file if name in ours else folder / f"{name}.jpg"


def put_statistics(paintings: Path, names: list[str]) -> None:
    """Put the statistics of their paintings into styles that are there, all of them if none is named."""
    for name, record in bundled("style").items():
        if not names or name in names:
            path = ASSETS / "styles" / record.file
            measured = measured_style([read_picture(painting_of(name, paintings)).pixels[None]])
            write_style(path, replace(read_style(path), statistics=measured))
            write_record(record, path.parent)
            print(name, f"{path.stat().st_size / 1e6:.2f} MB", flush=True)


def main() -> None:
    """Adapt every style that is missing or named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paintings", type=Path, required=True)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--statistics", action="store_true")
    parser.add_argument("--steps", type=int, default=2250)
    parser.add_argument("--content-weight", type=float)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()

    if options.statistics:
        put_statistics(options.paintings, options.names)
        return
    if options.photos is None:
        parser.error("--photos is needed to train")
    ours = bundled("painting")
    folder = ASSETS / "styles"
    chosen = options.names or [name for name in [*WORKS, *ours] if not (folder / f"{name}.json").exists()]
    settings: dict[str, object] = {"steps": options.steps, "zoom": (0.5, 1.8)}
    if options.content_weight is not None:
        settings["content_weight"] = options.content_weight
    controls = Controls(options=settings)
    for name in chosen:
        if name in ours:
            title, source, licence = ours[name].title, ours[name].source, ours[name].licence
        else:
            (title, source), licence = WORKS[name], PUBLIC_DOMAIN
        painting = painting_of(name, options.paintings)
        path = impasto.adapt(
            painting, folder / f"{name}.safetensors", name=name, licence=licence, source=source, photos=[options.photos], controls=controls
        )
        record = Record(name, "style", path.name, licence, title, source, PAPER)
        write_record(record, folder)
        print(name, f"{path.stat().st_size / 1e6:.2f} MB", f"loss {read_style(path).record.loss:.3f}", flush=True)


if __name__ == "__main__":
    main()
