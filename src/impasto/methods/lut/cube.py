"""Files of the format .cube: 1D and 3D LUTs as grading programs and FFmpeg read them.

Sources: Adobe, Cube LUT Specification 1.0, 2013; for the input ranges, the shaper before a 3D LUT and video range, DaVinci Resolve.
"""

import codecs
import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from impasto.errors import StyleError
from impasto.files import atomic_file
from impasto.names import as_plain_name
from impasto.storage.style_file import StyleFile, StyleRecord

SUFFIX = ".cube"
OTHER_SUFFIXES = frozenset({".3dl", ".csp", ".clf", ".ctf", ".look", ".m3d", ".mga", ".spi1d", ".spi3d", ".vlt"})
"""Suffixes of LUTs in formats that are not read."""
METHOD = "lut"
TABLE, DOMAIN = "table", "domain"
"""Tensors of a LUT in memory: the 3D table (N, N, N, 3), indexed blue, green, red; the colours (2, 3) that its ends stand for."""
SHAPER, SHAPER_DOMAIN = "shaper", "shaper_domain"
"""The 1D table (N, 3) before it, where there is one, and what its ends stand for."""
LEAST, MOST = 2, 129
"""Nodes of a 3D table along each axis."""
MOST_1D = 65_536
"""Nodes of a 1D table."""
_LARGEST_FILE = 200_000_000
_BLACK, _RANGE = 16 / 255, 219 / 255
"""Video range: what black is, and what lies between black and white."""
_NUMBERS = {"LUT_1D_SIZE": 1, "LUT_3D_SIZE": 1, "DOMAIN_MIN": 3, "DOMAIN_MAX": 3, "LUT_1D_INPUT_RANGE": 2, "LUT_3D_INPUT_RANGE": 2,
            "LUT_IN_VIDEO_RANGE": 0, "LUT_OUT_VIDEO_RANGE": 0}  # fmt: skip
"""Keywords beside TITLE, and how many numbers each has."""
_BOMS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def write_cube(path: Path, table: Tensor, *, title: str) -> Path:
    """Write a table (N, N, N, 3) of blue, green, red to RGB in [0, 1], as a file; red changes fastest. Raises StyleError."""
    if path.suffix.lower() != SUFFIX:
        raise StyleError(f"cannot write {path}: the name of a LUT ends in {SUFFIX}")
    rows = "\n".join(f"{red:.6f} {green:.6f} {blue:.6f}" for red, green, blue in table.reshape(-1, 3).tolist())
    name = title.replace('"', "'")
    try:
        with atomic_file(path) as part:
            part.write_text(f'# Impasto\nTITLE "{name}"\nLUT_3D_SIZE {len(table)}\n{rows}\n', encoding="utf-8")
    except OSError as error:
        raise StyleError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def read_cube(path: Path) -> StyleFile:
    """Read a LUT as a style, with the tensors named above; a 1D LUT alone gets a 3D table that changes nothing.

    Raises StyleError, also for a keyword that is not known: it could change colours.
    """
    title, facts, rows = _parsed(path)
    size_1d, size_3d = _size(path, facts, "LUT_1D_SIZE", MOST_1D), _size(path, facts, "LUT_3D_SIZE", MOST)
    if not size_1d and not size_3d:
        raise StyleError(f"{path} is no LUT: LUT_3D_SIZE is missing")
    if len(rows) != size_1d + size_3d**3:
        raise StyleError(f"{path} is not whole: it has {len(rows)} colours, and its tables need {size_1d + size_3d**3}")
    colors = torch.tensor(rows, dtype=torch.float64)
    domain_1d, domain_3d = _domain(path, facts, "LUT_1D_INPUT_RANGE"), _domain(path, facts, "LUT_3D_INPUT_RANGE")
    if size_1d and size_3d and facts.keys() & {"DOMAIN_MIN", "DOMAIN_MAX"}:
        raise StyleError(f"{path} has two tables, and DOMAIN_MIN and DOMAIN_MAX do not say which of them they are for")
    shaper, table = colors[:size_1d], colors[size_1d:].reshape(*[size_3d] * 3, 3)
    if "LUT_IN_VIDEO_RANGE" in facts:
        first = domain_1d if size_1d else domain_3d
        first.copy_(_to_full_range(first))
    if "LUT_OUT_VIDEO_RANGE" in facts:
        last = table if size_3d else shaper
        last.copy_(_to_full_range(last))
    if not size_3d:
        table, domain_3d = _unchanged(shaper)
    tensors = {TABLE: table, DOMAIN: domain_3d} | ({SHAPER: shaper, SHAPER_DOMAIN: domain_1d} if size_1d else {})
    record = StyleRecord(as_plain_name(path.stem), METHOD, source=title)
    return StyleFile(record, {name: tensor.float() for name, tensor in tensors.items()})


def _parsed(path: Path) -> tuple[str, dict[str, list[float]], list[list[float]]]:
    """Title, keywords with their numbers, and the colours in the order of the file. Raises StyleError."""
    title, facts, rows = "", dict[str, list[float]](), list[list[float]]()
    for number, line in enumerate(re.split(r"\r\n|\r|\n", _text(path)), 1):
        origin = f"line {number} of {path}"
        if named := re.match(r"\s*TITLE\b\s*(.*)", line, re.IGNORECASE):
            title = named[1].strip().strip('"')
            continue
        words = line.split("#")[0].split()
        keyword = words[0].upper() if words and re.match(r"[A-Za-z_]", words[0]) else ""
        if keyword and keyword not in _NUMBERS:
            raise StyleError(
                f"{origin} has the keyword {keyword[:40]!r}, which could change colours and is not known: remove it if it does not"
            )
        if keyword:
            numbers = _numbers(words[1:], _NUMBERS[keyword], f"{keyword} of {path}")
            if facts.setdefault(keyword, numbers) != numbers:
                raise StyleError(f"{origin} contradicts an earlier line: {keyword} is there twice")
        elif words:
            rows.append(_numbers(words, 3, origin))
    return title, facts, rows


def _text(path: Path) -> str:
    """The file as text: by its byte order mark, else as UTF-8, else as Latin-1. Raises StyleError."""
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise StyleError(f"{path} is too large for a LUT")
        data = path.read_bytes()
    except OSError as error:
        raise StyleError(f"{path} cannot be read: {error.strerror or error}") from None
    marked = next((encoding for mark, encoding in _BOMS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(marked)
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _numbers(words: Sequence[str], count: int, origin: str) -> list[float]:
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(abs(number) < 1e6 for number in numbers):
        expected = {0: "nothing", 1: "one number", 2: "two numbers", 3: "three numbers"}[count]
        comma = " (decimals are written with a point)" if any("," in word for word in words) else ""
        raise StyleError(f"{origin} is {' '.join(words)[:40]!r}, and {expected} {'were' if count > 1 else 'was'} expected{comma}")
    return numbers


def _size(path: Path, facts: dict[str, list[float]], keyword: str, most: int) -> int:
    """Nodes of a table, 0 if there is none."""
    if keyword not in facts:
        return 0
    size = facts[keyword][0]
    if size != int(size) or not LEAST <= size <= most:
        raise StyleError(f"{path} is no LUT that can be read: {keyword} is {size:g}, and a number from {LEAST} to {most} is needed")
    return int(size)


def _domain(path: Path, facts: dict[str, list[float]], input_range: str) -> Tensor:
    """The colours (2, 3) that the ends of a table stand for: as Adobe writes them, or as Resolve does."""
    stated = [facts.get("DOMAIN_MIN", [0.0] * 3), facts.get("DOMAIN_MAX", [1.0] * 3)]
    if input_range in facts:
        ranged = [[end] * 3 for end in facts[input_range]]
        if facts.keys() & {"DOMAIN_MIN", "DOMAIN_MAX"} and ranged != stated:
            raise StyleError(f"{path} contradicts itself: {input_range} and DOMAIN_MIN, DOMAIN_MAX differ")
        stated = ranged
    if any(low >= high for low, high in zip(*stated, strict=True)):
        raise StyleError(f"{path} has an input range whose lower end is not below its upper one")
    return torch.tensor(stated, dtype=torch.float64)


def _to_full_range(video: Tensor) -> Tensor:
    """Values of video range, 16 to 235 of 255, as they are between 0 and 1."""
    return (video - _BLACK) / _RANGE


def _unchanged(shaper: Tensor) -> tuple[Tensor, Tensor]:
    """A 3D table that changes nothing, over all that comes out of a 1D table, and its domain."""
    low, high = shaper.amin(0), shaper.amax(0)
    high = torch.where(high > low, high, low + 1)
    blue, green, red = torch.meshgrid(*(torch.stack([low, high], 1).flip(0)), indexing="ij")
    return torch.stack([red, green, blue], -1), torch.stack([low, high])
