"""Files of the format .cube (Adobe, Cube LUT Specification 1.0, 2013): tables of colours that any grading program and FFmpeg read."""

import re
from pathlib import Path

import torch
from torch import Tensor

from impasto.errors import StyleError
from impasto.files import atomic_file
from impasto.names import as_plain_name
from impasto.storage.style_file import StyleFile, StyleRecord

SUFFIX = ".cube"
METHOD = "lut"
TABLE, DOMAIN = "table", "domain"
"""Names of the tensors of a look in memory."""
LEAST, MOST = 2, 129
"""Colours of a table along each axis."""
_LARGEST_FILE = 200_000_000


def write_cube(path: Path, table: Tensor, *, title: str) -> Path:
    """Write a table (N, N, N, 3) of blue, green, red to RGB in [0, 1], as a file; red changes fastest. Raises StyleError."""
    if path.suffix.lower() != SUFFIX:
        raise StyleError(f"cannot write {path}: the name of a look ends in {SUFFIX}")
    rows = "\n".join(f"{red:.6f} {green:.6f} {blue:.6f}" for red, green, blue in table.reshape(-1, 3).tolist())
    name = title.replace('"', "'")
    try:
        with atomic_file(path) as part:
            part.write_text(f'# Impasto\nTITLE "{name}"\nLUT_3D_SIZE {len(table)}\n{rows}\n', encoding="utf-8")
    except OSError as error:
        raise StyleError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def read_cube(path: Path) -> StyleFile:
    """Read a file as a style: its table (N, N, N, 3), and the colours (2, 3) that its ends stand for. Raises StyleError."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise StyleError(f"{path} is too large for a table of colours")
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise StyleError(f"{path} cannot be read: {error.strerror or error}") from None
    facts: dict[str, str] = {}
    rows: list[list[float]] = []
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        if re.match(r"[A-Z]", line):
            key, _, value = line.partition(" ")
            facts[key] = value.strip()
            continue
        rows.append(_numbers(line, f"line {number} of {path}"))
    if "LUT_1D_SIZE" in facts:
        raise StyleError(f"{path} is a table of one dimension, and one of three is needed: LUT_3D_SIZE")
    size = facts.get("LUT_3D_SIZE", "")
    if not size.isdecimal() or not LEAST <= int(size) <= MOST:
        raise StyleError(
            f"{path} is no table of colours: LUT_3D_SIZE is {size or 'missing'}, and a number from {LEAST} to {MOST} is needed"
        )
    if len(rows) != int(size) ** 3:
        raise StyleError(f"{path} is not whole: it has {len(rows)} colours, and a table of {size} needs {int(size) ** 3}")
    domain = [_numbers(facts.get(f"DOMAIN_{end}", usual), f"DOMAIN_{end} of {path}") for end, usual in (("MIN", "0 0 0"), ("MAX", "1 1 1"))]
    if any(low >= high for low, high in zip(*domain, strict=True)):
        raise StyleError(f"{path} has a DOMAIN_MIN that is not below its DOMAIN_MAX")
    table = torch.tensor(rows).view(*[int(size)] * 3, 3)
    record = StyleRecord(as_plain_name(path.stem), METHOD, source=facts.get("TITLE", "").strip('"'))
    return StyleFile(record, {TABLE: table, DOMAIN: torch.tensor(domain)})


def _numbers(text: str, origin: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split()]
    except ValueError:
        numbers = []
    if len(numbers) != 3 or not all(abs(number) < 1e6 for number in numbers):
        raise StyleError(f"{origin} is {text[:40]!r}, and three numbers were expected")
    return numbers
