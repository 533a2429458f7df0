"""What `impasto evaluate` puts together: methods by name for measures that only know stylizers."""

import copy
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from impasto.backends.engines import engine_for
from impasto.backends.extras import is_installed
from impasto.errors import InputError, StyleError, unknown
from impasto.evaluation.fidelity import FidelityReport, Maker, all_pairs, evaluate, read_pairs
from impasto.evaluation.footage import footage, moving_footage
from impasto.evaluation.speed import Painter, SpeedReport, Timing, median_seconds, multiply_adds, peaks, time_encoders, time_painters
from impasto.evaluation.stability import StabilityReport, evaluate_stability
from impasto.events import Event, Listener
from impasto.files import check_folder
from impasto.job.build import make_film_stylizer, make_stylizer
from impasto.job.styles import find_style, gather_styles
from impasto.media.images import read_picture
from impasto.methods.declaration import Style, StyleSource
from impasto.methods.gatys.method import METHOD as GATYS
from impasto.methods.table import methods as all_methods
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import NETWORK, network_of
from impasto.runtime.device import Place, choose_place, settle
from impasto.runtime.encoders import load_encoder
from impasto.runtime.stylizer import Stylizer
from impasto.settings import AUTO, INT8, Controls
from impasto.storage.registry import fetchable, is_cached
from impasto.training.learned import given_examples


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
    return evaluate(chosen[:limit], judge, makers, optimum=optimum, size=size, keep=keep, sheet=sheet, settings=settings, listener=listener)


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
    listener: Listener,
) -> StabilityReport:
    """Check what was asked for, make the stylizers and evaluate them on all scenes. Raises InputError."""
    material = [found for film in films for found in footage(film, rendering=rendering)]
    if moving is not None:
        material += moving_footage(moving, scenes)
    if not material:
        raise InputError("there is nothing to judge on: give films, folders of frames, or photos to move (--moving)")
    if maps is not None:
        check_folder(maps / "picture.png")
    place, stylizers = choose_place(device, precision, painting=True), {}
    for spec in styles:
        text, _, stabilize = spec.partition("@")
        method, colon, rest = text.partition(":")
        named = colon and method in all_methods()
        base = Controls(method=method if named else AUTO, stabilize=stabilize or AUTO, device=device, precision=precision)
        source = gather_styles([rest if named else text], None, base)
        stylizers[Path(spec).name] = make_film_stylizer(source, base, place, listener)
    judge = None if painting is None else load_encoder(encoder, choose_place(device, "float32"))
    return evaluate_stability(
        material,
        stylizers,
        size=size,
        encoder=judge,
        painting=None if painting is None else read_picture(painting).pixels[None],
        maps=maps,
        settings={"size": size, "rendering": rendering, "encoder": Path(encoder).name, "precision": precision},
        listener=listener,
    )


def run_speed(
    *, sizes: Sequence[int], encoders: Sequence[str] | None, styles: Sequence[str], repeats: int, device: str, listener: Listener
) -> SpeedReport:
    """Time networks on everything that runs them, encoders, and methods. By default compact, and vgg19 if it was fetched before: timing
    fetches nothing.

    styles: whose networks; none leaves them out.
    """
    place = choose_place(device)
    started = time.monotonic()
    networks = {name: _network(name) for name in styles}
    cached = [name for name, record in fetchable("encoder").items() if name == "vgg19" and is_cached(record)]
    loaded = {Path(name).stem: copy.deepcopy(load_encoder(name, place)) for name in encoders or ["compact", *cached]}
    peak = peaks(place)
    stages = [
        *(partial(_time_network, name, network, sizes, peak, repeats, place) for name, network in networks.items()),
        partial(time_encoders, loaded, sizes, repeats=repeats, place=place),
        partial(_time_methods, sizes, place),
    ]
    timings: list[Timing] = []
    for done, stage in enumerate(stages):
        timings += stage()
        listener(Event(done + 1, len(stages), time.monotonic() - started))
    return SpeedReport(timings, peak, {name: multiply_adds(network) for name, network in networks.items()})


def _network(style: str) -> StyleNetwork:
    """The network of a style. Raises StyleError."""
    found = find_style(style)
    if found.file is None or found.file.record.network != NETWORK:
        raise StyleError(f"{found.name} has no network that runs on other engines: impasto adapt makes one of a picture")
    return network_of(found.file)


def _time_network(
    name: str, network: StyleNetwork, sizes: Sequence[int], peak: Mapping[str, float], repeats: int, place: Place
) -> list[Timing]:
    """A style's network in PyTorch with its rewrites, and on every engine that is installed, in every precision that this machine has."""
    painters: dict[str, Painter] = {}
    dtypes = {str(dtype).removeprefix("torch."): dtype for dtype in dict.fromkeys((torch.float32, place.dtype))}
    for precision, dtype in dtypes.items():
        painters[f"PyTorch, {precision}"] = Painter(precision, settle(copy.deepcopy(network), Place(place.device, dtype)))
    if place.device.type == "cpu":
        cases = [("onnx", "onnxruntime", "float32"), *(("openvino", "openvino", precision) for precision in dtypes)]
        cases += [("openvino", "nncf", INT8)]
        for backend, package, precision in cases:
            if is_installed(package):
                there = Place(place.device, dtypes.get(precision, place.dtype))
                engine = engine_for(network, there, backend, precision, partial(given_examples, network))
                assert engine is not None
                painters[engine.name] = Painter(precision, engine.run)
    return time_painters(name, network, painters, sizes, peak=peak, repeats=repeats, place=place)


def _time_methods(sizes: Sequence[int], place: Place) -> list[Timing]:
    """Every method as `impasto stylize` runs it, on a random photo and style; one run each, for the slow are slow."""
    generator = torch.Generator().manual_seed(0)
    timings = []
    for size in sizes:
        photo, style = (torch.rand(1, 3, size, size, generator=generator).to(place.device) for _ in range(2))
        for name in (name for name, method in all_methods().items() if method.style == "picture" and not method.slow):
            options = {"steps": 1} if "steps" in all_methods()[name].options else {}  # its speed does not depend on what it has learned
            stylizer = make_stylizer(StyleSource([Style("random", style)]), Controls(method=name, options=options), place)
            seconds = median_seconds(partial(stylizer, photo), repeats=1, device=place.device)
            timings.append(Timing(f"{name}, one picture", size, seconds))
    return timings
