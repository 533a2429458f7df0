"""Trained styles, encoders and decoders as files for other engines."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from impasto import __version__
from impasto.backends.exported import INPUTS, ExportedDecoder, ExportedEncoder, ExportedNetwork
from impasto.backends.onnx_file import write_onnx
from impasto.backends.openvino_file import check_openvino, converted, in_eight_bits, write_openvino
from impasto.errors import InputError, StyleError, unknown
from impasto.files import check_folder
from impasto.job.request import PathLike
from impasto.job.styles import find_style
from impasto.networks.decoder_file import coder
from impasto.networks.layers import LAYERS
from impasto.networks.shape import NETWORK
from impasto.networks.style_network_file import network_of
from impasto.runtime.device import Place
from impasto.runtime.outputs import Outputs
from impasto.settings import INT8, check_strength
from impasto.training.data import PictureFolder
from impasto.training.learned import examples

PARTS = ("style", "encoder", "decoder")
PRECISIONS: dict[str, dict[str, float]] = {
    ".onnx": {"float32": 1e-4, "float16": 5e-3},
    ".xml": {"float32": 80.0, "float16": 50.0, INT8: 36.0},
}
"""Files by their suffix, and by how much they may differ from the network: ONNX as a share of the mean value, OpenVINO in dB."""
CHECKED = ((64, 80), (61, 98), (131, 67))
"""Height and width of the pictures that a file is checked with; it is exported with the first."""
_FREE = (None, None, "height", "width")
_EXACT = Place(torch.device("cpu"), torch.float32)


def export_file(
    name: PathLike,
    output: PathLike | None,
    part: str,
    *,
    inputs: Sequence[str],
    strength: float,
    precision: str,
    layer: str,
    photos: Sequence[PathLike] | None,
) -> Path:
    """Write a network as a file for other engines, and check it by running it. Raises ImpastoError."""
    for value, allowed, what in ((part, PARTS, "part"), (layer, LAYERS, "layer")):
        if value not in allowed:
            raise InputError(unknown(what, value, allowed))
    if photos is not None and precision != INT8:
        raise InputError("--photos are what eight bits are calibrated on: --precision int8 -o NAME.xml")
    if part == "style":
        return _style(name, output, inputs, strength, precision, photos)
    if inputs or strength != 1 or precision != "float32":
        raise InputError(f"inputs, strength and precision are for styles; of {name} the {part} is exported")
    if output is not None and Path(output).suffix == ".xml":
        raise InputError(f"the {part} of {name} is written as .onnx, which OpenVINO reads too")
    if output is None:
        output = _usual(name, f"{Path(name).stem}-{part}")
    return _encoder(str(name), _checked(name, output)) if part == "encoder" else _decoder(str(name), _checked(name, output), layer)


def export_network(style: PathLike, output: PathLike, *, inputs: Sequence[str] = (), grain: bool = True) -> Path:
    """Write the network of a style as an ONNX file in float32, and check it. grain: False leaves it out. Raises ImpastoError."""
    return _style(style, output, inputs, 1.0, "float32", None, grain=grain)


def _style(
    style: PathLike,
    output: PathLike | None,
    inputs: Sequence[str],
    strength: float,
    precision: str,
    photos: Sequence[PathLike] | None,
    *,
    grain: bool = True,
) -> Path:
    for value in inputs:
        if value not in INPUTS:
            raise InputError(unknown("input", value, INPUTS))
    check_strength(strength)
    if "strength" in inputs and strength != 1:
        raise InputError("strength is either part of the file or an input of it: leave out one of them")
    found = find_style(style)
    path = _checked(style, _usual(style, found.name) if output is None else output)
    tolerances = PRECISIONS[path.suffix]
    if precision not in tolerances:
        hint = "; int8 is for OpenVINO: -o NAME.xml" if precision == INT8 else ""
        raise InputError(f"{unknown('precision', precision, tolerances)}{hint}")
    if found.file is None:
        raise StyleError(f"{found.name} is a picture, and a network is exported: impasto adapt makes one of it")
    if found.file.record.network != NETWORK:
        raise StyleError(f"the network of {found.name} needs more than the photo that it paints, and cannot be exported")
    network = network_of(found.file)
    if "grain" in inputs and not network.grain:
        raise InputError(f"{found.name} is painted without a grain, so that it cannot be an input")
    named = {"photo": _FREE, "grain": _FREE, "strength": ()}
    module = ExportedNetwork(network, inputs=inputs, strength=strength, half=precision == "float16", grain=grain, centred=precision != INT8)
    taken = {one: named[one] for one in ("photo", *module.inputs)}
    record = asdict(found.file.record) | {"grain": network.grain * grain, "strength": None if "strength" in inputs else strength}
    checked, tolerance = [module.example(size) for size in CHECKED], tolerances[precision]
    if path.suffix == ".onnx":
        return _write(module, checked, path, taken, ["picture"], record, tolerance)
    if precision == INT8:
        pictures = examples(None if photos is None else PictureFolder([Path(folder) for folder in photos]))
        checked = [(picture, *module.example((picture.shape[-2], picture.shape[-1]))[1:]) for picture in pictures]
    shapes = {name: [1, 3 if name == "photo" else 1, -1, -1] if named[name] else [] for name in taken}
    model = converted(module, module.example(CHECKED[0]), shapes)
    if precision == INT8:
        model = in_eight_bits(model, checked, patches=network.patch > 1)
    write_openvino(model, path, facts=_facts(record), half=precision != "float32")
    check_openvino(path, module, checked, tolerance)
    return path


def _encoder(name: str, path: Path) -> Path:
    """A photo to its features at `LAYERS`."""
    _, encoder = coder(name, _EXACT)
    record = {"name": Path(name).stem, "channels": encoder.channels}
    return _write(ExportedEncoder(encoder, LAYERS), _photos(1), path, {"photo": _FREE}, LAYERS, record, PRECISIONS[".onnx"]["float32"])


def _decoder(name: str, path: Path, layer: str) -> Path:
    """Features of a layer to the picture."""
    decoder, encoder = coder(name, _EXACT)
    module = ExportedDecoder(decoder, layer)
    with torch.no_grad():
        features = [(encoder(photo, [layer])[layer],) for (photo,) in _photos(2 * module.stride)]
    record = {"name": Path(name).stem, "layer": layer, "stride": module.stride}
    return _write(module, features, path, {"features": _FREE}, ["picture"], record, PRECISIONS[".onnx"]["float32"])


def _photos(factor: int) -> list[tuple[Tensor]]:
    """Pictures of noise, their sides `factor` times those of `CHECKED`."""
    generator = torch.Generator().manual_seed(1)
    return [(torch.rand(1, 3, factor * height, factor * width, generator=generator),) for height, width in CHECKED]


def _usual(source: PathLike, name: str) -> Path:
    return Outputs([source]).only(f"{name}.onnx")


def _checked(source: PathLike, output: PathLike) -> Path:
    path = Outputs([source]).asked(output)
    if path.suffix not in PRECISIONS or path.is_dir():
        raise InputError(f"cannot write {path}: a file for other engines ends in {' or '.join(PRECISIONS)}")
    check_folder(path)
    return path


def _write(
    module: nn.Module,
    checked: Sequence[tuple[Tensor, ...]],
    path: Path,
    inputs: Mapping[str, Sequence[str | None]],
    outputs: Sequence[str],
    record: Mapping[str, object],
    tolerance: float,
) -> Path:
    write_onnx(module.eval(), checked, path, inputs=inputs, outputs=outputs, facts=_facts(record), tolerance=tolerance)
    return path


def _facts(record: Mapping[str, object]) -> dict[str, str]:
    """The metadata of a file."""
    return {"impasto": json.dumps(record, default=str), "impasto_version": __version__}
