"""Training in several processes, one for each GPU, as torchrun starts them; without it everything here stands for one process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed
from torch import Tensor


def rank() -> int:
    """Number of this process under torchrun; 0 without it."""
    return torch.distributed.get_rank() if torch.distributed.is_initialized() else 0


def workers() -> int:
    """Processes that train together under torchrun; 1 without it."""
    return torch.distributed.get_world_size() if torch.distributed.is_initialized() else 1


def share_gradients(tensors: list[Tensor]) -> None:
    """Average .grad over all processes: one all-reduce of one flat vector, so that every process takes the same step."""
    if workers() == 1:
        return
    flat = torch.cat([(torch.zeros_like(t) if t.grad is None else t.grad).flatten() for t in tensors])
    torch.distributed.all_reduce(flat)
    for tensor, part in zip(tensors, torch.split(flat / workers(), [t.numel() for t in tensors]), strict=True):
        tensor.grad = part.view_as(tensor)


def agreed(wish: int) -> int:
    """The largest number that any process wishes for, the same in all of them: whether to save, or to stop."""
    if workers() == 1:
        return wish
    device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
    shared = torch.tensor([wish], device=device)
    torch.distributed.all_reduce(shared, op=torch.distributed.ReduceOp.MAX)
    return int(shared.item())


@contextmanager
def joined(device: str) -> Iterator[str]:
    """Join the processes that torchrun started, if it did; yields the device of this one. Whoever has joined them already stays joined."""
    if "LOCAL_RANK" not in os.environ:
        yield device
        return
    on_cuda = torch.cuda.is_available() and device in ("auto", "cuda")
    if torch.distributed.is_initialized():
        yield f"cuda:{os.environ['LOCAL_RANK']}" if on_cuda else device
        torch.distributed.barrier()
        return
    if on_cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    torch.distributed.init_process_group("nccl" if on_cuda else "gloo")
    try:
        yield f"cuda:{os.environ['LOCAL_RANK']}" if on_cuda else device
        torch.distributed.barrier()  # none leaves, and closes its connections, while another still works
    finally:
        torch.distributed.destroy_process_group()
