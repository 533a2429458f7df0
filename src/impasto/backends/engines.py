"""What a style network runs on: PyTorch, or the same network on OpenVINO or ONNX Runtime where they are installed.

What takes a while to make, files of ONNX and of eight bits, is made once and kept in the cache by content. An engine is given the photo
with its grain, as the network is.
"""

import copy
import hashlib
import json
import logging
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from impasto.backends import onnx_file, openvino_file, openvino_graph
from impasto.backends.exported import ExportedNetwork
from impasto.backends.extras import is_installed, needed
from impasto.errors import InputError, unknown
from impasto.files import atomic_file
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import fingerprint
from impasto.runtime.device import Place, processor, settle
from impasto.settings import AUTO, BACKENDS, INT8
from impasto.storage.registry import cache_folder

LEAST_DECIBELS = 45.0
"""What eight bits differ from the network at most on the pictures that they are calibrated on, as a signal-to-noise ratio in dB."""
_FORMAT = 4
"""Changes when files in the cache are of no use any more."""
_TRIED = (256, 384)
"""Height and width that engines are timed at."""
_FASTER = 1.05
"""How many times as fast as PyTorch another engine has to be to be taken by itself."""

log = logging.getLogger("impasto")


@dataclass(frozen=True)
class Engine:
    """A network that is ready to run elsewhere: (B, 3, H, W) with grain, float32 on the CPU, to the picture.

    name: what it is, for people.
    """

    name: str
    run: Callable[[Tensor], Tensor]


def engine_for(
    network: StyleNetwork, place: Place, backend: str, precision: str, pictures: Callable[[], Sequence[Tensor]]
) -> Engine | None:
    """The engine of a network; None for PyTorch.

    backend: "torch", "openvino" or "onnx"; "auto" is what is installed and faster, tried once for each kind of network and machine.
    precision: the one that was asked for, so that "int8" is known.
    pictures: examples (1, 3, H, W), with grain, that eight bits take the ranges of features from; made when they are needed.

    Raises InputError, UnavailableError.
    """
    if backend not in BACKENDS:
        raise InputError(unknown("backend", backend, BACKENDS))
    if precision == INT8:
        if backend not in (AUTO, "openvino"):
            raise InputError(f"--precision int8 needs --backend openvino, not {backend}")
        backend = "openvino"
    if place.device.type != "cpu":
        if backend not in (AUTO, "torch"):
            raise InputError(f"--backend {backend} is for processors, and this runs on {place.device}: leave it out, or take --device cpu")
        return None
    if backend == AUTO:
        backend = _faster(network, place, precision, pictures) if is_installed("openvino") else "torch"
    if backend == "torch":
        log.info("painted by PyTorch %s, %s", torch.__version__, place)
        return None
    engine = {"openvino": _openvino, "onnx": _onnx}[backend](network, place, precision, pictures)
    log.info("painted by %s", engine.name)
    return engine


def _openvino(network: StyleNetwork, place: Place, precision: str, pictures: Callable[[], Sequence[Tensor]]) -> Engine:
    version = needed("openvino", openvino_graph.EXTRA).__version__.split("-")[0]
    here, threads = "float32" if place.dtype == torch.float32 else "bfloat16", torch.get_num_threads()
    if precision != INT8:
        return Engine(f"OpenVINO {version}, {here}", _running(_graph(network), here, threads))
    path = _kept(network, f"openvino {version} {INT8}", ".xml")
    note = path.with_suffix(".json")
    if not (path.is_file() and note.is_file()):
        given, exact = pictures(), ExportedNetwork(network, grain=False, centred=False)
        model = openvino_file.in_eight_bits(_graph(network), [(_last(picture),) for picture in given], patches=network.patch > 1)
        openvino_file.write_openvino(model, path, facts={}, half=True)
        run = _running(path, "float32", threads)
        with torch.no_grad():
            least = statistics.median(openvino_file.decibels(run(picture), exact(picture)) for picture in given)
        with atomic_file(note) as part:
            part.write_text(json.dumps({"decibels": round(least, 1)}))
    least = json.loads(note.read_text())["decibels"]
    if least < LEAST_DECIBELS:
        log.warning("eight bits differ from this network by %.1f dB, at least %g are usual", least, LEAST_DECIBELS)
    return Engine(f"OpenVINO {version}, int8, {least:.1f} dB", _running(path, here, threads))


def _running(model: Any, precision: str, threads: int) -> Callable[[Tensor], Tensor]:
    """A model whose pictures have their channels last, which is how PyTorch keeps them too: nothing is copied on the way."""
    run = openvino_graph.running(model, precision=precision, threads=threads)
    return lambda seen: torch.from_numpy(run([_last(seen).numpy()])).permute(0, 3, 1, 2)


def _last(picture: Tensor) -> Tensor:
    """(B, C, H, W) to (B, H, W, C)."""
    return picture.permute(0, 2, 3, 1).contiguous()


def _graph(network: StyleNetwork) -> Any:
    weights = {name: value.detach().float().cpu().numpy() for name, value in network.state_dict().items()}
    return openvino_graph.network_graph(weights, network.shape)


def _onnx(network: StyleNetwork, place: Place, precision: str, pictures: Callable[[], Sequence[Tensor]]) -> Engine:
    version = needed("onnxruntime", onnx_file.EXTRA).__version__
    path = _kept(network, "onnx", ".onnx")
    if not path.is_file():
        module = ExportedNetwork(network, grain=False)
        free = {"photo": (None, None, "height", "width")}
        onnx_file.write_onnx(module, [module.example(_TRIED)], path, inputs=free, outputs=["picture"], facts={}, tolerance=1e-4)
    run = onnx_file.session(path, threads=torch.get_num_threads())
    return Engine(f"ONNX Runtime {version}, float32", lambda seen: torch.cat([run([picture])[0] for picture in torch.split(seen, 1)]))


def _kept(network: StyleNetwork, kind: str, suffix: str) -> Path:
    """Where the file of a network is kept, by what is in it."""
    content = f"{_FORMAT} {kind} {fingerprint(network)} {network.shape}"
    return cache_folder() / "engines" / f"{hashlib.sha256(content.encode()).hexdigest()[:32]}{suffix}"


def _faster(network: StyleNetwork, place: Place, precision: str, pictures: Callable[[], Sequence[Tensor]]) -> str:
    """The faster of PyTorch and OpenVINO for this kind of network on this machine; tried once, and noted in the cache."""
    version = metadata.version("openvino")
    machine = f"{processor()}, {torch.get_num_threads()} threads, {place.dtype}, PyTorch {torch.__version__}, OpenVINO {version}"
    kind = f"{machine}, width {network.width}, {network.blocks} blocks, patch {network.patch}"
    notes = cache_folder() / "engines" / "tried.json"
    try:
        known = json.loads(notes.read_text())
    except (OSError, ValueError):
        known = {}
    if kind not in known:
        plain, other = settle(copy.deepcopy(network), place), _openvino(network, place, precision, pictures).run
        photo = torch.rand(1, 3, *_TRIED)
        seconds: dict[str, list[float]] = {"torch": [], "openvino": []}
        with torch.inference_mode():
            for _ in range(6):
                for name, run in (("torch", plain), ("openvino", other)):
                    begun = time.perf_counter()
                    run(photo.contiguous(memory_format=torch.channels_last))
                    seconds[name].append(time.perf_counter() - begun)
        ours, theirs = (statistics.median(found[1:]) for found in seconds.values())
        known[kind] = {"torch": ours, "openvino": theirs}
        with atomic_file(notes) as part:
            part.write_text(json.dumps(known, indent=1))
    return "openvino" if known[kind]["torch"] > _FASTER * known[kind]["openvino"] else "torch"
