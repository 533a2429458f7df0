"""The network that learns a painting in seconds as a method."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from impasto.events import Listener
from impasto.methods.declaration import Method, Option, StyleSource, refuse_learning
from impasto.methods.metastyle.settings import FOR_FILMS, FOR_LIVE, FOR_PHOTOS, Adaptation
from impasto.methods.metastyle.training_settings import OFFICIAL, MetaTraining
from impasto.settings import Controls
from impasto.training.recipe import ENCODER, PAINTINGS, PHOTOS, Material, Recipe
from impasto.training.settings import FittingSettings

if TYPE_CHECKING:
    from impasto.runtime.device import Place
    from impasto.runtime.stylizer import Stylizer
    from impasto.storage.style_file import StyleFile


def adaptation(controls: Controls) -> tuple[Adaptation, list[Path] | None]:
    """How the controls want a painting to be learned, and the folders of photos to learn it on. Raises InputError."""
    from impasto.media.images import stroke_side

    options = dict(controls.options or {})
    photos = options.pop("photos", None)
    usual = FOR_LIVE if options.get("live") else FOR_FILMS if options.get("film") else FOR_PHOTOS
    training = {key: options.pop(key) for key in [*options] if key in {item.name for item in fields(FittingSettings)}}
    size = controls.style_size or stroke_side(controls.strokes, usual.style_size)
    return replace(usual, training=replace(usual.training, seed=controls.seed, **training), style_size=size, **options), photos


def build(source: StyleSource, controls: Controls, place: "Place", listener: Listener) -> "Stylizer":
    """The stylizer of style files and of pictures, which are learned first, or taken from the cache."""
    from impasto.training.learned import learned_stylizer

    settings, photos = adaptation(controls)
    if all(style.file is not None for style in source.styles):
        refuse_learning(source, controls, painting=METHOD.steadied)
    files = []
    for style in source.styles:
        file = style.file
        if file is None:
            from impasto.methods.metastyle.cache import learned
            from impasto.motion.temporal import temporal_loss

            assert style.picture is not None
            file = learned(
                style.name,
                [style.picture],
                settings,
                encoder=controls.encoder,
                place=place,
                photos=photos,
                temporal=temporal_loss,
                listener=listener,
            )
        files.append(file)
    stroke = controls.strokes if all(style.file is not None for style in source.styles) else 1.0
    return learned_stylizer(files, source.weights, controls, place, stroke=stroke, grain=not settings.film)


def learned_films(file: "StyleFile") -> bool:
    """Whether a style was learned for films."""
    settings = file.record.settings
    return bool(settings.get("film") or settings.get("adaptation", {}).get("film"))


TRAINING = Recipe(
    "metastyle",
    "Meta-train the network that learns paintings.",
    {"recommended": MetaTraining(), "metastyle-official": OFFICIAL},
    {"content": PHOTOS, "style": PAINTINGS, "start": Material("Weights to begin with instead of random ones."), "encoder": ENCODER},
    "impasto.methods.metastyle.meta_training:run",
    "metastyle",
)

METHOD = Method(
    "metastyle",
    "a network that learns the style in seconds, then paints in real time",
    "Zhang, Zhu and Zhu, MetaStyle: Three-Way Trade-Off Among Speed, Flexibility, and Quality in Neural Style Transfer, AAAI 2019",
    build,
    [FittingSettings, Adaptation],
    more={"photos": Option(Sequence[Path], "Folder of photos to learn a style picture on; repeatable.")},
    default_for=frozenset({"films", "names"}),
    style_size="448",
    films="network",
    one_pass=True,
    steady=learned_films,
    steadied={"film": True},
    trainings=(TRAINING,),
    bytes_a_pixel=850,
)
