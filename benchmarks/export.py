"""Whether every bundled style is exported to ONNX as it is: how far the file is from PyTorch at three sizes, odd ones included.

    python benchmarks/export.py

Writes benchmarks/results/export.json. Needs the extra `onnx`.
"""

import tempfile
from pathlib import Path

import torch

import impasto
from impasto.backends.exported import ExportedNetwork
from impasto.backends.onnx_file import session
from impasto.evaluation.report import write_report
from impasto.job.styles import find_style
from impasto.networks.style_network_file import network_of
from impasto.storage.registry import bundled

SIZES = ((256, 256), (257, 381), (512, 342))


def main() -> None:
    """Export all of them and compare."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in bundled("style"):
            path = impasto.export(name, Path(folder) / f"{name}.onnx")
            file = find_style(name).file
            assert file is not None
            module, run = ExportedNetwork(network_of(file)), session(path, threads=torch.get_num_threads())
            row: dict[str, object] = {"style": name, "bytes": path.stat().st_size}
            for size in SIZES:
                photo = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
                with torch.no_grad():
                    apart = (run([photo])[0] - module(photo)).abs()
                row[f"{size[1]}x{size[0]}"] = {"mean": float(apart.mean()), "highest": float(apart.max())}
            rows.append(row)
            print(row, flush=True)
    write_report(Path(__file__).resolve().parent / "results" / "export.json", {"rows": rows})


if __name__ == "__main__":
    main()
