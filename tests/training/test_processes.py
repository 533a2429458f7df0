"""Several processes, as torchrun starts them, train as one: one step for all, one log, one file.

Starting processes takes longer than what they do here: two are started once, and run one training after another.
"""

import json
import os
import subprocess
import sys

import pytest

from impasto.storage.style_file import read_style
from tests.conftest import scene

WORKER = """
import json, sys
import torch
import impasto.methods.solver.training
from impasto.cli import main
from impasto.training.processes import joined, rank, share_gradients, workers

impasto.methods.solver.training.METRIC_PICTURES = 8
with joined("cpu"):
    a, b = torch.zeros(2, requires_grad=True), torch.zeros(3, requires_grad=True)
    a.grad = torch.full((2,), float(rank()))
    share_gradients([a, b])
    assert workers() == 2 and a.grad.tolist() == [0.5, 0.5] and b.grad.tolist() == [0, 0, 0], (a.grad, b.grad)
    for words in json.loads(sys.argv[1]):
        sys.argv = ["impasto", "train", *words]
        try:
            main()
        except SystemExit as end:
            assert not end.code, (words, end.code)
"""

SMALL = ["--crop", "64", "--device", "cpu", "--precision", "float32", "--log-every", "1"]
FOLDERS = ["--content", "photos", "--style", "paintings"]

TRAININGS = {
    "metastyle": ["metastyle", *FOLDERS, "--width", "4", "--batch", "1", "--styles", "1", "--steps", "3", *SMALL],
    "kept": ["metastyle", *FOLDERS, "--order", "kept", "--width", "4", "--batch", "1", "--styles", "1", "--steps", "4", *SMALL],
    "solver": [
        "solver", "--content", "photos", "--width", "2", "--iterations", "1", "--passes", "2", "--batch", "1", "--steps", "5", *SMALL,
    ],
    "student": [
        "student", "paintings/0.png", "--content", "photos", "--student", "reconet-xs", "--vanilla-steps", "1", "--terms", "temporal=0.5",
        "--length", "2", "--style-size", "64", "--steps", "6", *SMALL,
    ],
}  # fmt: skip


@pytest.mark.long
def test_two_processes_train_as_one(tmp_path):
    """Gradients are the mean of both, one log and one file come of it, and the first process alone teaches a student its style."""
    for name in ("photos", "paintings"):
        (tmp_path / name).mkdir()
        for number in range(4):
            scene(80 + 8 * number, 72).save(tmp_path / name / f"{number}.png")
    (tmp_path / "worker.py").write_text(WORKER)
    words = [[*command, "-o", f"{name}.safetensors"] for name, command in TRAININGS.items()]
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "worker.py", json.dumps(words)],
        capture_output=True, text=True, cwd=tmp_path, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False, timeout=240,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    for name, command in TRAININGS.items():
        steps = command[command.index("--steps") + 1]
        assert done.stdout.count(f"step {steps}/{steps}") == 1, name
        assert (tmp_path / f"{name}.safetensors").exists()
        assert not (tmp_path / f"{name}.checkpoint").exists()
        if name != "student":
            assert "2 process(es)" in (tmp_path / f"{name}.json").read_text()
    assert read_style(tmp_path / "student.safetensors").record.width == 24
    assert read_style(next(tmp_path.glob("student.vanilla-*.safetensors"))).record.steps == 1
