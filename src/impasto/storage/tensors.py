"""The one reader and the one writer of safetensors files: tensors, and one block of metadata beside them. A pickle is never loaded.

The block is JSON under the name `impasto`, the same for every kind of weights:

    {"kind": "style", "format": 2, "build": {...}, "record": {...}, "checksum": "..."}

Format 1 had a block of its own for each kind (`impasto-solver`, `impasto-decoder`), a flat one for styles, and none for encoders and style
networks; such files are read as well.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors import SafetensorError, safe_open

from impasto.errors import InputError, WeightsError
from impasto.files import atomic_file, looks_like_pickle

if TYPE_CHECKING:
    from torch import Tensor

FORMAT = 2
_KEY = "impasto"
_FLOATS = ("float16", "float32", "float64")
_BUILD = ("network", "width")
"""What a style of format 1 says among all else of how its network is built."""


@dataclass(frozen=True)
class Block:
    """What a file of weights says of itself.

    kind: "style", "solver", "decoder", "encoder", "network"; "" for weights of somebody else.
    format: of the file.
    build: what the network is built with.
    record: where it comes from.
    checksum: of the tensors; "" in files that have none.
    """

    kind: str = ""
    format: int = FORMAT
    build: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    checksum: str = ""


def checksum(tensors: "Mapping[str, Tensor | np.ndarray]") -> str:
    """SHA-256 over names, types, shapes and bytes of the tensors, in order of name; of arrays the same as of tensors."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        value = tensors[name]
        if isinstance(value, np.ndarray):
            kind, stored = f"torch.{value.dtype}", value.tobytes()
        else:
            kind, stored = str(value.dtype), _bytes_of(value)
        digest.update(f"{name}|{kind}|{tuple(value.shape)}|".encode())
        digest.update(stored)
    return digest.hexdigest()


def _bytes_of(tensor: "Tensor") -> bytes:
    import torch

    flat = tensor.detach().cpu().contiguous().view(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def write_tensors(
    path: Path,
    tensors: "Mapping[str, Tensor]",
    kind: str,
    *,
    build: Mapping[str, Any] | None = None,
    record: Mapping[str, Any] | None = None,
) -> None:
    """Write tensors, on any device, with their block; the file appears whole or not at all."""
    from safetensors.torch import save

    kept = {name: value.detach().contiguous().cpu() for name, value in tensors.items()}
    block = {"kind": kind, "format": FORMAT, "build": build or {}, "record": record or {}, "checksum": checksum(kept)}
    with atomic_file(path) as temporary:
        # The library's own writing puts a new file in the place of ours, which only its owner may read.
        temporary.write_bytes(save(kept, metadata={_KEY: json.dumps(block)}))


def read_tensors(
    path: str | os.PathLike[str],
    kind: str | None,
    expected: str = "a safetensors file of weights was expected",
    error: type[InputError] = WeightsError,
    *,
    arrays: bool = False,
) -> tuple[dict[str, Any], Block]:
    """All tensors of a file, on the CPU, and what it says of itself; of this kind, of any for None; or without a block, which is
    for the caller to judge. Numbers in bfloat16 and float8 come as float32, which holds them exactly.

    arrays: give NumPy's arrays instead, without PyTorch; files with numbers that NumPy does not know are refused.
    expected: what errors say should have been there. error: their class. Raises it for anything that is no whole safetensors file, for one
    of another kind or of a later version, and for one that does not match its checksum.
    """
    path = Path(path)
    if not path.is_file():
        raise error(f"{path} does not exist; {expected}")
    if looks_like_pickle(path):
        raise error(f"{path} is a pickle (.pt, .pth), which can run code when loaded; {expected}, and Impasto takes safetensors files only")
    try:
        with safe_open(path, framework="np" if arrays else "pt") as stored:
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  (not a dict)
            written = dict(stored.metadata() or {})
    except (SafetensorError, OSError, ValueError, RuntimeError) as problem:
        raise error(f"{path} is not a whole safetensors file: {expected} ({problem})") from None
    except (TypeError, AttributeError, KeyError) as problem:  # how the library meets a type that NumPy or this PyTorch does not have
        raise error(f"{path} holds numbers of a type that cannot be read here ({problem}); {expected}") from None
    try:
        block = _block(written)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise error(f"{path} has a damaged record; {expected}") from None
    if block.format > FORMAT:
        raise error(f"{path} has format {block.format}; this version of Impasto reads up to {FORMAT}: update Impasto")
    if kind is not None and block.kind not in ("", kind):
        raise error(f"{path} holds weights of kind {block.kind}; {expected}")
    if block.checksum and block.checksum != checksum(tensors):
        raise error(f"{path} does not match its checksum: it was changed or damaged after it was written")
    if arrays:
        return tensors, block
    try:
        return {name: _widened(value) for name, value in tensors.items()}, block
    except (RuntimeError, NotImplementedError):
        raise error(f"{path} holds numbers of a type that cannot be read here; {expected}") from None


def _widened(tensor: "Tensor") -> "Tensor":
    """In float32 where NumPy does not know the type: bfloat16, and floats of eight bits or less."""
    known = tensor.dtype.is_complex or not tensor.dtype.is_floating_point or str(tensor.dtype).removeprefix("torch.") in _FLOATS
    return tensor if known else tensor.float()


def _block(written: Mapping[str, str]) -> Block:
    """The block of a file's metadata, of this format or of format 1. Raises ValueError, KeyError or TypeError for a damaged one."""
    earlier = next((name for name in written if name.startswith(f"{_KEY}-")), None)
    if _KEY not in written and earlier is None:
        return Block()
    parsed = json.loads(written[earlier or _KEY])
    if earlier is not None:
        return Block(earlier.removeprefix(f"{_KEY}-"), 1, dict(parsed))
    if "kind" not in parsed:
        record = dict(parsed)
        build = {name: record.pop(name) for name in _BUILD if name in record}
        return Block("style", _whole(record.pop("format_version")), build, record, _text(record.pop("checksum")))
    record, build = (dict(parsed[name].items()) for name in ("record", "build"))
    return Block(_text(parsed["kind"]), _whole(parsed["format"]), build, record, _text(parsed["checksum"]))


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError
    return value


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > 10_000:
        raise TypeError
    return value
