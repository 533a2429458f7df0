"""What `impasto evaluate speed` puts together: networks, encoders and methods, and everything here that runs them."""

import copy
import time
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import torch

from impasto.backends.engines import engine_for
from impasto.backends.extras import is_installed
from impasto.errors import InputError, StyleError, unknown
from impasto.evaluation.speed import Painter, SpeedReport, Timing, median_seconds, multiply_adds, peaks, time_encoders, time_painters
from impasto.events import Event, Listener
from impasto.job.build import make_stylizer
from impasto.job.styles import find_style
from impasto.methods.declaration import Style, StyleSource
from impasto.methods.table import methods as all_methods
from impasto.networks.shape import NETWORK
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import network_of
from impasto.runtime.cuda_graphs import RepeatedShapes
from impasto.runtime.device import Place, choose_place, settle
from impasto.runtime.encoders import load_encoder
from impasto.settings import INT8, Controls
from impasto.storage.registry import fetchable, is_cached
from impasto.training.learned import given_examples

PARTS = ("networks", "encoders", "methods")
"""What can be timed."""


def run_speed(
    *,
    parts: Sequence[str],
    sizes: Sequence[int],
    encoders: Sequence[str] | None,
    styles: Sequence[str],
    repeats: int,
    device: str,
    listener: Listener,
) -> SpeedReport:
    """Time networks on everything that runs them, encoders, and methods. By default compact, and vgg19 if it was fetched before: timing
    fetches nothing. Raises InputError.

    parts: of `PARTS`. styles: whose networks.
    """
    for part in parts:
        if part not in PARTS:
            raise InputError(unknown("part", part, PARTS))
    place = choose_place(device)
    started = time.monotonic()
    networks = {name: _network(name) for name in styles} if "networks" in parts else {}
    cached = [name for name, record in fetchable("encoder").items() if name == "vgg19" and is_cached(record)]
    loaded = {Path(name).stem: copy.deepcopy(load_encoder(name, place)) for name in encoders or ["compact", *cached]}
    peak = peaks(place)
    stages = [
        *(partial(_time_network, name, network, sizes, peak, repeats, place) for name, network in networks.items()),
        *([partial(time_encoders, loaded, sizes, repeats=repeats, place=place)] * ("encoders" in parts)),
        *([partial(_time_methods, sizes, place)] * ("methods" in parts)),
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
    if place.device.type == "cuda":
        name_here = str(place.dtype).removeprefix("torch.")
        painters[f"PyTorch, {name_here}, CUDA graph"] = Painter(name_here, RepeatedShapes(painters[f"PyTorch, {name_here}"].run))
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
