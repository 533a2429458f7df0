"""The style file: one safetensors file with the tensors of a style and a record that says what they are."""

import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.errors import StyleError
from impasto.names import as_plain_name
from impasto.storage.registry import bundled
from impasto.storage.tensors import read_tensors, write_tensors

if TYPE_CHECKING:
    from torch import Tensor

_STATISTICS = "statistics/"
"""What the names of statistics begin with in a file."""
_FIRST = "345c2706c3781c69"
"""Mark of the encoder whose statistics files hold that do not name one."""


@dataclass(frozen=True)
class StyleRecord:
    """What a style file says of itself.

    method: which method made the style and can paint with it. network and width: of the stylising network, empty and 0
    where the method has none. encoder: whose features the style was made with. steps and loss: how long, how well.
    licence and source: of the style picture. settings: the method's own.
    """

    name: str
    method: str
    network: str = ""
    width: float = 0.0
    encoder: str = ""
    steps: int = 0
    loss: float | None = None
    licence: str = "not stated"
    source: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    impasto_version: str = ""


@dataclass(frozen=True)
class StyleFile:
    """A style in memory: its record, its tensors, and the statistics of its painting, which pictures are finished with.

    statistics: by "MARK/NAME", MARK of the encoder that saw the painting, NAME as `impasto.perception.style_sizes` has it. Files of
        format 1 have none.
    """

    record: StyleRecord
    tensors: "dict[str, Tensor]"
    statistics: "dict[str, Tensor]" = field(default_factory=dict)

    def seen_by(self, encoder: str) -> "dict[str, Tensor]":
        """The statistics that a bundled encoder measured, by NAME; none if only another one has, an earlier version of it for example."""
        mark = f"{encoder_mark(encoder)}/"
        return {name.removeprefix(mark): value for name, value in self.statistics.items() if name.startswith(mark)}


def encoder_mark(encoder: str) -> str:
    """What statistics of a bundled encoder are marked by: the first digits of the checksum of its weights."""
    return bundled("encoder")[encoder].sha256[:16]


def marked(statistics: "dict[str, Tensor]", encoder: str) -> "dict[str, Tensor]":
    """Statistics by NAME, as a style keeps them by "MARK/NAME"."""
    return {f"{encoder_mark(encoder)}/{name}": value for name, value in statistics.items()}


def write_style(path: str | os.PathLike[str], style: StyleFile) -> Path:
    """Write a style file, whole or not at all. The name has to end in .safetensors. Raises StyleError."""
    path = Path(path)
    if path.suffix != ".safetensors":
        raise StyleError(f"cannot write {path}: a style file's name ends in .safetensors")
    written = asdict(style.record)
    build = {name: written.pop(name) for name in ("network", "width")}
    try:
        write_tensors(
            path,
            style.tensors | {_STATISTICS + name: value for name, value in style.statistics.items()},
            "style",
            build=build,
            record=written,
        )
    except OSError as error:
        raise StyleError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def read_style(path: str | os.PathLike[str], *, arrays: bool = False) -> StyleFile:
    """Read and check a style file. Raises StyleError that says what was expected, for any other file.

    arrays: its tensors as NumPy's arrays, without PyTorch.
    """
    path = Path(path)
    tensors, block = read_tensors(path, "style", "a style file was expected", StyleError, arrays=arrays)
    if not block.kind:
        raise StyleError(f"{path} has no record of Impasto: it holds weights of something else, not a style")
    record = {**block.record, **block.build}
    if not {"name", "method"} <= set(record):
        raise StyleError(f"{path} has a damaged record; a style file of Impasto was expected")
    wrong = [key for key, fits in _KINDS.items() if key in record and not fits(record[key])]
    if wrong:
        raise StyleError(f"{path} has a damaged record: {wrong[0]} cannot be {str(record[wrong[0]])[:40]!r}")
    known = {item.name for item in fields(StyleRecord)}
    record = {key: value for key, value in record.items() if key in known} | {"name": as_plain_name(record["name"])}
    found = {name.removeprefix(_STATISTICS): tensors.pop(name) for name in [*tensors] if name.startswith(_STATISTICS)}
    statistics = {name if name.count("/") > 1 else f"{_FIRST}/{name}": value for name, value in found.items()}
    return StyleFile(StyleRecord(**record), tensors, statistics)


def is_number(value: object) -> bool:
    """A finite number, and no bool."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 10_000


_KINDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("name", "method", "network", "encoder", "licence", "source", "impasto_version"), _is_text),
    **dict.fromkeys(("width", "steps"), is_number),
    "loss": lambda value: value is None or is_number(value),
    "settings": lambda value: isinstance(value, dict),
}
"""What the fields of a record can be."""
