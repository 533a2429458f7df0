"""What every published number carries: when, on what machine, from which commit; and how figures are printed."""

import contextlib
import datetime
import json
import os
import platform
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from rich.table import Table

from impasto.files import atomic_file
from impasto.runtime.device import processor


def circumstances() -> dict[str, Any]:
    """Date, machine, versions and commit of this run. commit is empty outside a checkout, and ends in + if it was changed."""
    return {
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "machine": f"{processor()}{_family()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "versions": _versions(),
        "accelerator": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "commit": _commit(),
    }


def _family() -> str:
    """Family, model and clock of the processor at the moment, where the system says them."""
    try:
        entries = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n\n")[0].splitlines()
    except OSError:
        return ""
    found = {name.strip(): value.strip() for name, _, value in (entry.partition(":") for entry in entries)}
    named = [f"{name} {found[key]}" for name, key in (("family", "cpu family"), ("model", "model")) if key in found]
    clock = [f"{float(found['cpu MHz']) / 1000:.2f} GHz"] if "cpu MHz" in found else []
    return "".join(f", {part}" for part in named + clock)


def _versions() -> dict[str, str]:
    """Versions of the libraries that compute, of those that are installed."""
    found = {"torch": str(torch.__version__)}
    for name in ("openvino", "nncf", "onnxruntime"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _commit() -> str:
    here = Path(__file__).resolve().parent

    def git(*words: str) -> str:
        try:
            return subprocess.run(["git", "-C", str(here), *words], capture_output=True, text=True, timeout=10, check=True).stdout.strip()
        except (OSError, subprocess.SubprocessError):
            return ""

    name = git("rev-parse", "--short", "HEAD")
    return name + ("+" if name and git("status", "--porcelain", "--untracked-files=no") else "")


def write_report(path: Path, content: dict[str, Any]) -> None:
    """Write figures as JSON together with their circumstances."""
    with atomic_file(path) as temporary:
        temporary.write_text(json.dumps(circumstances() | content, indent=1) + "\n", encoding="utf-8")


def tables(corner: str, columns: Sequence[str], lines: Mapping[str, Sequence[str]], width: int) -> list[Table]:
    """Tables with a line for each name and a column for each method, as many columns beside one another as a width in letters holds.

    corner: what stands above the names. lines: from a name to its cells, one per column.
    """
    cells = [cell for line in lines.values() for cell in line]
    wide = max(map(len, [*columns, *cells]), default=0) + 2
    beside = max(1, (width - max(map(len, [corner, *lines])) - 2) // wide)
    made = []
    for first in range(0, len(columns), beside):
        table = Table(corner, *columns[first : first + beside], box=None, header_style="bold")
        for name, line in lines.items():
            table.add_row(name, *line[first : first + beside])
        made.append(table)
    return made


def spread(values: Sequence[float]) -> str:
    """Mean and sample standard deviation, as in `0.912 ± 0.034`."""
    deviation = statistics.stdev(values) if len(values) > 1 else 0.0
    return f"{statistics.mean(values):.3f} ± {deviation:.3f}"
