"""OpenVINO files of networks: converted, in eight bits if asked, checked by running them. Needs the extra `openvino`.

Eight bits are symmetric for weights, one scale for each channel, and asymmetric for features, their ranges taken from pictures (NNCF's
"mixed" preset: Kozlov et al., Neural Network Compression Framework, 2020). Instance norms stay in half precision.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from impasto.backends.extras import needed, quiet
from impasto.backends.openvino_graph import core, running
from impasto.errors import ImpastoError
from impasto.files import beside

EXTRA = "openvino"


def converted(module: nn.Module, example: tuple[Tensor, ...], shapes: Mapping[str, Sequence[int]]) -> Any:
    """A module as a model of OpenVINO, in float32.

    example: what the module takes. shapes: the names of that, in order, with their dimensions, -1 for those that are free.

    Raises UnavailableError without the extra.
    """
    openvino = needed("openvino", EXTRA)
    with torch.no_grad(), quiet("openvino"):
        model = openvino.convert_model(
            module.eval(), example_input=example if len(example) > 1 else example[0], input=[list(shape) for shape in shapes.values()]
        )
        for port, name in zip(model.inputs, shapes, strict=True):
            port.get_tensor().set_names({name})
        model.outputs[0].get_tensor().set_names({"picture"})
    return model


def in_eight_bits(model: Any, examples: Sequence[tuple[Tensor, ...]], *, patches: bool = False) -> Any:
    """A model in eight bits, with features within their ranges on examples of what it takes.

    What instance norms take stays as it is: channels of little contrast share the range of the strongest, and normalising brings out what
    rounding did to them. That is 6 dB, at no time.

    patches: the last convolution gives several pixels at once, and stays as it is: rounded, they would differ where all is flat.

    Raises UnavailableError without the extra.
    """
    with quiet("nncf", "openvino"):
        core()  # before NNCF makes its own, which it frees
        nncf = needed("nncf", EXTRA)
        seen = [[value.numpy() for value in given] for given in examples]
        convolutions = [node.get_friendly_name() for node in model.get_ordered_ops() if node.get_type_name() == "Convolution"]
        kept = nncf.IgnoredScope(names=convolutions[-1:] if patches else [], types=["MVN"], validate=False)
        return nncf.quantize(model, nncf.Dataset(seen), preset=nncf.QuantizationPreset.MIXED, subset_size=len(seen), ignored_scope=kept)


def compiled(model: Any, *, precision: str, threads: int) -> Callable[[Sequence[Tensor]], Tensor]:
    """A model, or the path of its .xml file, ready to run: from what it takes to the picture.

    precision: "float32" or "bfloat16", in which the processor computes what is not in eight bits.
    """
    runs = running(model, precision=precision, threads=threads)
    return lambda given: torch.from_numpy(runs([value.numpy() for value in given]))


def write_openvino(model: Any, path: Path, *, facts: Mapping[str, str], half: bool) -> None:
    """Write a model as an .xml file and the .bin file of its weights beside it. half: keep weights in half precision."""
    openvino = needed("openvino", EXTRA)
    for name, fact in facts.items():
        model.set_rt_info(fact, ["impasto", name])
    path.parent.mkdir(parents=True, exist_ok=True)
    part = beside(path, "part.xml")
    try:
        openvino.save_model(model, part, compress_to_fp16=half)
        part.with_suffix(".bin").replace(path.with_suffix(".bin"))
        part.replace(path)
    finally:
        for left in (part, part.with_suffix(".bin")):
            left.unlink(missing_ok=True)


def decibels(found: Tensor, wanted: Tensor) -> float:
    """Peak signal-to-noise ratio of pictures in [0, 1], in dB."""
    return float(-10 * torch.log10((found - wanted).square().mean().clamp_min(1e-12)))


def check_openvino(path: Path, module: nn.Module, examples: Sequence[tuple[Tensor, ...]], least: float) -> float:
    """Run a file on examples, and return how near it comes to what the module paints: the median ratio, in dB.

    Raises ImpastoError if it is below `least`; the file is deleted then.
    """
    run = compiled(path, precision="float32", threads=torch.get_num_threads())
    with torch.no_grad():
        found = statistics.median(decibels(run(example), module(*example)) for example in examples)
    if not found >= least:
        path.unlink()
        path.with_suffix(".bin").unlink()
        raise ImpastoError(f"the file for {path.name} differs from the network too much: {found:.1f} dB, at least {least:g} were expected")
    return found
