"""A painting network as a style file, and back; and networks by registered name.

Filters are kept in 8 bits with one scale per output channel, the rest in 16: 1.7 MB for 1.7 million weights. Where only the
affine parameters were adapted, they are all that the file holds, 6.4 kB, and it needs the network that they were adapted on.
"""

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from impasto.errors import StyleError, WeightsError
from impasto.files import remembered
from impasto.gradients import with_gradients
from impasto.networks.shape import NETWORK, PATCHES, SCALE, WIDEST, shape_of, unpacked
from impasto.networks.style_network import StyleNetwork
from impasto.storage.registry import locate
from impasto.storage.style_file import StyleFile, StyleRecord
from impasto.storage.tensors import checksum, read_tensors
from impasto.storage.weights_file import misfit

Network = TypeVar("Network", bound=nn.Module)


def pack(network: nn.Module) -> dict[str, Tensor]:
    """The weights as they are stored: filters as int8 with NAME.scale, everything else in half precision."""
    stored: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        value = value.detach().float().cpu()
        # Rounded to 8 bits, the filters of a patch would have other sums: a grid where a picture is flat.
        fine = name == "last.weight" and getattr(network, "patch", 1) > 1
        if value.ndim == 4 and not fine:
            scale = value.abs().amax((1, 2, 3)).clamp_min(1e-8).div(127).half().float().clamp_min(6e-8)
            stored[name] = (value / scale[:, None, None, None]).round().clamp(-127, 127).to(torch.int8).contiguous()
            stored[name + SCALE] = scale.half()
        else:
            stored[name] = value.half()
    return stored


def unpack(stored: dict[str, Tensor], build: Callable[[], Network], origin: str) -> Network:
    """A network with stored weights. Raises StyleError that names `origin` if they do not fit; then nothing is allocated."""
    wrong = misfit(build, {name: tuple(value.shape) for name, value in stored.items() if not name.endswith(SCALE)})
    if wrong:
        raise StyleError(f"{origin} does not hold the weights of the network that it names ({wrong})")
    arrays = {name: value.numpy() for name, value in stored.items()}
    weights = {name: torch.from_numpy(value) for name, value in unpacked(arrays, origin).items()}
    network = build()
    network.load_state_dict(weights)
    return network


def to_style_file(network: StyleNetwork, record: StyleRecord, *, start: StyleNetwork | None = None) -> StyleFile:
    """A style file of a network; with `start`, of its affine parameters alone, to be used on that network."""
    settings = dict(record.settings) | {name: value for name, value in asdict(network.shape).items() if name != "width"}
    tensors = pack(network)
    if start is not None:
        tensors = {"affine": network.affine().detach().cpu().half()}
        settings["start"] = fingerprint(start)
    record = replace(record, network=NETWORK, width=float(network.width), settings=settings)
    return StyleFile(record, tensors)


def from_style_file(style: StyleFile, start: StyleNetwork | None = None) -> StyleNetwork:
    """The network of a style file, in float32 on the CPU. `start`: the bundled network, for files of affine parameters alone.

    Raises StyleError if the file is for another network, or for affine parameters of a network that is not at hand.
    """
    record, origin = style.record, f"the style {style.record.name!r}"
    if record.network != NETWORK:
        raise StyleError(f"{origin} is for {record.method!r} with the network {record.network!r}, not for the network {NETWORK!r}")
    shape = shape_of(record)

    def build() -> StyleNetwork:
        return StyleNetwork(**asdict(shape))

    if set(style.tensors) != {"affine"}:
        return unpack(style.tensors, build, origin)
    if start is None or record.settings.get("start") != fingerprint(start):
        raise StyleError(f"{origin} holds only the scales and shifts for a network that this version of Impasto does not bundle")
    if (shape.width, shape.blocks, shape.patch) != (start.width, start.blocks, start.patch):
        raise StyleError(f"{origin} does not say the width of the network that its scales and shifts are for")
    network = build()
    network.load_state_dict(start.state_dict())
    affine = style.tensors["affine"].float()
    if affine.shape != network.affine().shape or not bool(torch.isfinite(affine).all()):
        raise StyleError(f"{origin} does not hold the {len(network.affine())} scales and shifts of a network of width {network.width}")
    network.load_affine(affine)
    return network


def read_network(path: Path) -> StyleNetwork:
    """A network of any width from a safetensors file of its weights, in float32 on the CPU. Raises StyleError."""
    try:
        stored = read_tensors(path, "network")[0]
    except WeightsError as error:
        raise StyleError(str(error)) from None
    if "last.weight" not in stored or stored["last.weight"].ndim != 4:
        raise StyleError(f"{path} does not hold the weights of an image transformation network")
    colours, width = stored["last.weight"].shape[:2]
    blocks = sum(name.startswith("residual.") and name.endswith(".first.convolution.weight") for name in stored)
    patch = next((side for side in PATCHES if 3 * side**2 == colours), 1)
    if not 1 <= width <= WIDEST:
        raise StyleError(f"{path} holds a network of width {width}, which there cannot be")
    return unpack(stored, lambda: StyleNetwork(width, blocks, patch=patch), str(path))


def load_network(name: str) -> StyleNetwork:
    """The network of a registered name ("metastyle") or of a safetensors file; loaded once, and not to be changed.

    Raises StyleError for a file that holds something else, UnavailableError for a name that is not registered.
    """
    return _load(Path(name) if name.endswith(".safetensors") else locate(name, "network"))


@remembered(2)
@with_gradients
def _load(path: Path) -> StyleNetwork:
    return read_network(path)


def fingerprint(network: StyleNetwork) -> str:
    """Short checksum of a network's weights."""
    return checksum(network.state_dict())[:16]


START = "metastyle"
"""Registered name of the bundled meta-learned network."""
LIVE_START = "live"
"""Registered name of the bundled weights that networks for live films begin with."""


def bundled_start() -> StyleNetwork:
    """The bundled meta-learned network, loaded once; not to be changed."""
    return load_network(START)


def network_of(style: StyleFile) -> StyleNetwork:
    """The network of a style file, in float32 on the CPU. Raises StyleError."""
    return from_style_file(style, bundled_start() if set(style.tensors) == {"affine"} else None)
