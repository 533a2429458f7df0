"""Several processes take the same steps."""

import os
import subprocess
import sys


def test_shared_gradients_are_the_mean_of_all_processes(tmp_path):
    script = tmp_path / "mean.py"
    script.write_text(
        "import torch, torch.distributed as d\n"
        "from impasto.training.processes import rank, share_gradients, workers\n"
        "d.init_process_group('gloo')\n"
        "a, b = torch.zeros(2, requires_grad=True), torch.zeros(3, requires_grad=True)\n"
        "a.grad = torch.full((2,), float(rank()))\n"
        "share_gradients([a, b])\n"
        "assert workers() == 2 and a.grad.tolist() == [0.5, 0.5] and b.grad.tolist() == [0, 0, 0], (a.grad, b.grad)\n"
        "print('mean of 2' if workers() == 2 else '', end=';', flush=True)\n"
        "d.barrier()\n"
        "d.destroy_process_group()\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "mean of 2" in done.stdout
