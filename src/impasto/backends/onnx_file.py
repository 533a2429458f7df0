"""ONNX files of networks: written by PyTorch's exporter with their record, and checked by running them. Needs the extra `onnx`."""

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from impasto.errors import ImpastoError, UnavailableError
from impasto.files import atomic_file

OPSET = 18
"""Version of the operators: ONNX Runtime and onnxruntime-web take it from 1.14 on."""
LEAST, MOST = 16, 16384
"""Shortest and longest side, in pixels, that a file takes."""


def needed(package: str, extra: str) -> Any:
    """A package that an extra installs. Raises UnavailableError."""
    try:
        return importlib.import_module(package)
    except ImportError:
        raise UnavailableError(f"this needs {package}: pip install 'impasto[{extra}]'") from None


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
    onnx, _, runtime = (needed(package, "onnx") for package in ("onnx", "onnxscript", "onnxruntime"))
    free = {name: torch.export.Dim(name, min=LEAST, max=MOST) for names in inputs.values() for name in names if name is not None}
    shapes = tuple({place: free[name] for place, name in enumerate(names) if name is not None} for names in inputs.values())
    with atomic_file(path) as part, torch.no_grad():
        with _quiet():
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
        model.producer_name, model.producer_version = "impasto", facts["impasto_version"]
        onnx.checker.check_model(model)
        part.write_bytes(model.SerializeToString())
        session = runtime.InferenceSession(str(part), providers=["CPUExecutionProvider"])
        apart = 0.0
        for example in examples:
            found = session.run(None, {name: value.numpy() for name, value in zip(inputs, example, strict=True)})
            wanted = module(*example)
            for ours, theirs in zip(found, [wanted] if isinstance(wanted, Tensor) else wanted, strict=True):
                apart = max(apart, float((torch.from_numpy(ours) - theirs).abs().mean() / theirs.abs().mean()))
        if not apart <= tolerance:
            raise ImpastoError(f"the file for {path.name} differs from the network by {apart:.2g} on average, so it was not written")
    return apart


@contextlib.contextmanager
def _quiet() -> Any:
    """Nothing of what the exporter prints, warns and logs for its developers."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
