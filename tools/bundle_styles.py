"""Train the bundled styles and write them with their records to src/impasto/assets/styles.

    python tools/bundle_styles.py --paintings FOLDER --photos FOLDER [NAME ...]
    python tools/bundle_styles.py --paintings FOLDER --photos FOLDER --steps 0 --film-steps 240 --texture-weight 900 NAME ...
    python tools/bundle_styles.py --paintings FOLDER --photos FOLDER --live [NAME ...]
    python tools/bundle_styles.py --paintings FOLDER --statistics [NAME ...]

FOLDER of paintings holds NAME.jpg for the public-domain works of the table below; our own three come from the package. Each
network begins at the bundled meta-learned weights, learns the painting on photos, then on photos and films in turn. What is written is a
mean of the weights before the films, --photo-share of it, and after them: the strokes of the one, most of the steadiness of the other.
Styles that are already there are left alone unless they are named. With --steps 0 the first stage is left out: it begins at the bundled
style. With --live small networks for live films learn from the bundled styles, as NAME-live. With --statistics nothing is trained: the
statistics of their paintings are put into the styles that are there.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import impasto
from impasto.events import Event
from impasto.job.styles import find_style
from impasto.media.images import read_picture
from impasto.methods.metastyle.cache import learned
from impasto.methods.metastyle.settings import FOR_FILMS, FOR_LIVE, FOR_PHOTOS, Adaptation
from impasto.motion.temporal import temporal_loss
from impasto.networks.mixing import mix
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import bundled_start, network_of, to_style_file
from impasto.runtime.device import choose_place
from impasto.runtime.encoders import measured_style
from impasto.settings import Controls
from impasto.storage.registry import ASSETS, Record, bundled, locate, write_record
from impasto.storage.style_file import StyleFile, read_style, write_style
from impasto.training.settings import FittingSettings

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
    """The painting of a style."""
    return locate(name, "painting") if name in bundled("painting") else folder / f"{name}.jpg"


def put_statistics(paintings: Path, names: list[str]) -> None:
    """Put the statistics of their paintings into styles that are there, all of them if none is named."""
    styles = bundled("style")
    for name in names or [*WORKS, *bundled("painting")]:
        path = ASSETS / "styles" / styles[name].file
        measured = measured_style([read_picture(painting_of(name, paintings)).pixels[None]])
        write_style(path, replace(read_style(path), statistics=measured))
        write_record(styles[name], path.parent)
        print(name, f"{path.stat().st_size / 1e6:.2f} MB", flush=True)


def learned_live(name: str, options: argparse.Namespace, licence: str, source: str) -> StyleFile:
    """A small network learned from the bundled style, without the statistics of the painting, which are larger than it."""
    painting = find_style(painting_of(name, options.paintings), method="gatys").picture
    assert painting is not None
    file = learned(
        f"{name}-live",
        [painting],
        replace(FOR_LIVE, training=replace(FOR_LIVE.training, steps=options.live_steps)),
        encoder=Controls.encoder,
        place=choose_place(),
        photos=[options.photos],
        guide=network_of(read_style(ASSETS / "styles" / bundled("style")[name].file)),
        temporal=temporal_loss,
        licence=licence,
        source=source,
        listener=shown,
    )
    return replace(file, record=replace(file.record, impasto_version=impasto.__version__), statistics={})


def shown(event: Event) -> None:
    """A line now and then."""
    if event.step % 50 == 0:
        print(f"  step {event.step} of {event.total}, {event.seconds:.0f} s, loss {event.values['loss']:.4f}", flush=True)


def trained(name: str, options: argparse.Namespace, licence: str, source: str) -> StyleFile:
    """A style learned on photos, then on photos and films in turn; stopped, it is resumed the next time."""
    place, painting = choose_place(), find_style(painting_of(name, options.paintings), method="gatys").picture
    assert painting is not None

    def stage(start: StyleNetwork, usual: Adaptation, steps: int, rate: float) -> StyleFile:
        training = replace(usual.training, steps=steps, learning_rate=rate, zoom=(0.5, 1.8), texture_weight=options.texture_weight)
        return learned(
            name,
            [painting],
            replace(usual, training=training),
            encoder=Controls.encoder,
            place=place,
            photos=[options.photos],
            start=start,
            temporal=temporal_loss,
            licence=licence,
            source=source,
        )

    if options.steps:
        first = stage(bundled_start(), FOR_PHOTOS, options.steps, 1e-3)
    else:
        first = read_style(ASSETS / "styles" / bundled("style")[name].file)
    both = stage(network_of(first), FOR_FILMS, options.film_steps, 5e-4)
    steps = first.record.steps + both.record.steps
    settings = both.record.settings | {"photo_share": options.photo_share}
    record = replace(both.record, steps=steps, settings=settings, impasto_version=impasto.__version__)
    network = mix([network_of(first), network_of(both)], [options.photo_share, 1 - options.photo_share])
    return replace(to_style_file(network, record), statistics=both.statistics)


def main() -> None:
    """Train every style that is missing or named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--paintings", type=Path, required=True)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--statistics", action="store_true")
    parser.add_argument("--steps", type=int, default=2250)
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--live-steps", type=int, default=FOR_LIVE.training.steps)
    parser.add_argument("--film-steps", type=int, default=400)
    parser.add_argument("--photo-share", type=float, default=1 / 3)
    parser.add_argument("--texture-weight", type=float, default=FittingSettings.texture_weight)
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()

    if options.statistics:
        put_statistics(options.paintings, options.names)
        return
    if options.photos is None:
        parser.error("--photos is needed to train")
    ours = bundled("painting")
    folder = ASSETS / "styles"
    ending = "-live" if options.live else ""
    chosen = options.names or [name for name in [*WORKS, *ours] if not (folder / f"{name}{ending}.json").exists()]
    for name in chosen:
        if name in ours:
            title, source, licence = ours[name].title, ours[name].source, ours[name].licence
        else:
            (title, source), licence = WORKS[name], PUBLIC_DOMAIN
        style = (learned_live if options.live else trained)(name, options, licence, source)
        path = write_style(folder / f"{style.record.name}.safetensors", style)
        record = Record(style.record.name, "style", path.name, licence, title + ", for live films" * options.live, source, PAPER)
        write_record(record, folder)
        print(style.record.name, f"{path.stat().st_size / 1e6:.2f} MB", f"loss {read_style(path).record.loss:.3f}", flush=True)


if __name__ == "__main__":
    main()
