"""What `impasto evaluate` puts together: methods by name for measures that only know stylizers."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from torch import Tensor

from impasto.errors import InputError, unknown
from impasto.evaluation.each import Each, in_order
from impasto.evaluation.fidelity import FidelityReport, Maker, all_pairs, evaluate, read_pairs
from impasto.evaluation.footage import footage, moving_footage
from impasto.evaluation.lpips import lpips_at_hand
from impasto.evaluation.stability import StabilityReport, evaluate_stability
from impasto.events import Listener
from impasto.files import check_folder
from impasto.job.build import make_film_stylizer, make_stylizer
from impasto.job.styles import gather_styles
from impasto.media.style_images import read_style_image
from impasto.methods.declaration import Style, StyleSource
from impasto.methods.gatys.method import METHOD as GATYS
from impasto.methods.table import methods as all_methods
from impasto.runtime.device import Place, choose_place
from impasto.runtime.encoders import load_encoder
from impasto.runtime.stylizer import Stylizer
from impasto.settings import AUTO, Controls


def _maker(controls: Controls, place: Place) -> Maker:
    def make(style: Tensor) -> Stylizer:
        return make_stylizer(StyleSource([Style("style", style)]), controls, place)

    return make


def run_fidelity(
    *,
    content: Path | None,
    style: Path | None,
    pairs: Path | None,
    methods: Sequence[str] | None,
    encoder: str,
    size: int,
    iterations: int,
    loss: str,
    steps: int | None,
    limit: int | None,
    keep: Path | None,
    sheet: Path | None,
    device: str,
    precision: str,
    each: Each | None,
    listener: Listener,
) -> FidelityReport:
    """Check what was asked for, make the methods' stylizers and evaluate them. Raises InputError."""
    if (pairs is None) == (content is None or style is None):
        raise InputError("give --content and --style, or --pairs instead of both")
    chosen = read_pairs(pairs) if pairs is not None else all_pairs(content, style)  # type: ignore[arg-type]
    exact = choose_place(device, "float32")
    place = choose_place(device, precision, painting=True)
    # One level and the same iterations: every row answers the same question as the optimum that it is compared with.
    base = Controls(encoder=encoder, options={"iterations": iterations, "levels": 1, "loss": loss})
    makers: dict[str, Maker] = {}
    learns = {name for name, method in all_methods().items() if method.style == "picture"}
    for spec in methods or sorted(name for name in learns if not all_methods()[name].slow):
        text, _, quality = spec.partition("@")
        name, _, encoder_name = text.partition(":")
        if name not in learns:
            raise InputError(unknown("method that paints in the style of a picture", name, sorted(learns)))
        has = set(all_methods()[name].options)
        controls = replace(base, method=name, encoder=encoder_name or Controls.encoder, quality=quality or AUTO)
        if "steps" in has:
            controls = replace(controls, style_size=size, options={} if steps is None else {"steps": steps})
        elif not has >= set(base.options or {}):
            controls = replace(controls, options={})
        makers[spec] = _maker(controls, place)
    optimum = _maker(replace(base, method=GATYS.name, options=dict(base.options or {}) | {"loss": "yardstick"}), exact)
    settings = {"encoder": Path(encoder).name, "size": size, "iterations": iterations, "loss": loss, "precision": precision, "steps": steps}
    judge = load_encoder(encoder, exact)
    return evaluate(
        [replace(pair, content=pair.content.absolute(), style=pair.style.absolute()) for pair in chosen[:limit]],
        judge,
        makers,
        optimum=optimum,
        size=size,
        keep=None if keep is None else keep.absolute(),
        sheet=sheet,
        lpips=lpips_at_hand(exact),
        settings=settings,
        each=each or in_order,
        listener=listener,
    )


def run_stability(
    *,
    films: Sequence[Path],
    styles: Sequence[str],
    rendering: str,
    moving: Path | None,
    scenes: int,
    size: int,
    painting: Path | None,
    encoder: str,
    maps: Path | None,
    device: str,
    precision: str,
    each: Each | None,
    listener: Listener,
) -> StabilityReport:
    """Check what was asked for, make the stylizers and evaluate them on all scenes. Raises InputError."""
    material = [found for film in films for found in footage(film.absolute(), rendering=rendering)]
    if moving is not None:
        material += moving_footage(moving.absolute(), scenes)
    if not material:
        raise InputError("there is nothing to judge on: give films, folders of frames, or photos to move (--moving)")
    if maps is not None:
        check_folder(maps / "picture.png")
    stylizers = partial(_by_name, Path.cwd(), styles, device, precision)
    judge = None if painting is None else load_encoder(encoder, choose_place(device, "float32"))
    return evaluate_stability(
        material,
        stylizers() if each is None else stylizers,
        size=size,
        encoder=judge,
        painting=None if painting is None else read_style_image(painting)[None],
        maps=None if maps is None else maps.absolute(),
        settings={"size": size, "rendering": rendering, "encoder": Path(encoder).name, "precision": precision},
        each=each or in_order,
        listener=listener,
    )


def _by_name(folder: Path, specs: Sequence[str], device: str, precision: str) -> dict[str, Stylizer]:
    """Stylizers for films, by what was asked for in a folder, which may be another one where they are made."""
    place, stylizers = choose_place(device, precision, painting=True), {}
    for spec in specs:
        text, _, stabilize = spec.partition("@")
        method, colon, rest = text.partition(":")
        named = colon and method in all_methods()
        base = Controls(method=method if named else AUTO, stabilize=stabilize or AUTO, device=device, precision=precision)
        style = rest if named else text
        source = gather_styles([folder / style if (folder / style).exists() else style], None, base)
        stylizers[Path(spec).name] = make_film_stylizer(source, base, place)
    return stylizers
