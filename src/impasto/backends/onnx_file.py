"""ONNX files of networks: written by PyTorch's exporter with their record, and checked by running them. Needs the extra `onnx`."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from impasto import __version__
from impasto.backends.extras import needed, quiet
from impasto.errors import ImpastoError
from impasto.files import atomic_file

EXTRA = "onnx"
OPSET = 18
"""Version of the operators: ONNX Runtime and onnxruntime-web take it from 1.14 on."""
LEAST, MOST = 16, 16384
"""Shortest and longest side, in pixels, that a file takes."""


def write_onnx(
    module: nn.Module,
    examples: Sequence[tuple[Tensor, ...]],
    path: Path,
    *,
    inputs: Mapping[str, Sequence[str | None]],
    outputs: Sequence[str],
    facts: Mapping[str, str],
    tolerance: float,
) -> float:
    """Write a module as an ONNX file with free sizes, run it on the examples, and return by how much it differs from the module.

    examples: what `module` takes, of several sizes; it is exported with the first.
    inputs: the names, in order, each with the names of the dimensions that are free, None for those that are not.
    outputs: the names of what it returns.
    facts: the file's metadata.
    tolerance: mean difference, as a share of the mean value, above which nothing is written.

    Raises UnavailableError without the extra, ImpastoError if the file does not do what the module does.
    """
    onnx, *_ = (needed(package, EXTRA) for package in ("onnx", "onnxscript", "onnxruntime"))
    free = {name: torch.export.Dim(name, min=LEAST, max=MOST) for names in inputs.values() for name in names if name is not None}
    shapes = tuple({place: free[name] for place, name in enumerate(names) if name is not None} for names in inputs.values())
    with atomic_file(path) as part, torch.no_grad():
        with quiet("torch.onnx", "onnxscript", "onnx_ir"):
            program = torch.onnx.export(
                module,
                examples[0],
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=shapes if len(shapes) == 1 else (shapes[0], shapes[1:]),
                opset_version=OPSET,
                dynamo=True,
                verbose=False,
            )
        assert program is not None
        model = program.model_proto
        onnx.helper.set_model_props(model, dict(facts))
        model.producer_name, model.producer_version = "impasto", __version__
        onnx.checker.check_model(model)
        part.write_bytes(model.SerializeToString())
        run = session(part, threads=torch.get_num_threads())
        apart = 0.0
        for example in examples:
            wanted = module(*example)
            for ours, theirs in zip(run(example), [wanted] if isinstance(wanted, Tensor) else wanted, strict=True):
                apart = max(apart, float((ours - theirs).abs().mean() / theirs.abs().mean()))
        if not apart <= tolerance:
            raise ImpastoError(f"the file for {path.name} differs from the network by {apart:.2g} on average, so it was not written")
    return apart


def session(path: Path, *, threads: int) -> Callable[[Sequence[Tensor]], list[Tensor]]:
    """A file ready to run on the processor: from its inputs, in order, to its outputs. Raises UnavailableError without the extra."""
    runtime = needed("onnxruntime", EXTRA)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    made = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in made.get_inputs()]

    def run(given: Sequence[Tensor]) -> list[Tensor]:
        inputs = {name: value.contiguous().numpy() for name, value in zip(names, given, strict=True)}
        return [torch.from_numpy(found) for found in made.run(None, inputs)]

    return run
