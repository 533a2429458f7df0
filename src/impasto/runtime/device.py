"""Where to compute and in which precision."""

import platform
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from impasto.errors import InputError
from impasto.settings import INT8

Network = TypeVar("Network", bound=nn.Module)

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Place:
    """A device, and the precision that networks run in there. Pictures, statistics and losses stay in float32."""

    device: torch.device
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.device}, {str(self.dtype).removeprefix('torch.')}"


def has_native_bfloat16() -> bool:
    """True for CPUs that multiply bfloat16 in hardware (AVX-512 BF16, AMX); elsewhere it is emulated and slow."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def processor() -> str:
    """The processor's name."""
    return str(torch.cpu.get_capabilities().get("cpu_name") or platform.processor() or platform.machine())


def choose_place(device: str = "auto", precision: str = "auto", *, painting: bool = False) -> Place:
    """The place for "auto", "cpu", "cuda[:n]" or "mps", and "auto", "float32", "bfloat16" or "float16".

    By itself: CUDA, then MPS, then the CPU; half precision wherever the hardware has it. painting: "int8" may be asked for, of which the
    place is what is best beside it. Raises InputError.
    """
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        target = torch.device(device)
        torch.empty(1, device=target)
    except (RuntimeError, AssertionError):
        raise InputError(f"there is no device {device!r} here; --device auto takes the best there is") from None
    if precision == INT8 and not painting:
        raise InputError("eight bits are for painting with learned networks: leave --precision int8 out here")
    if precision in ("auto", INT8):
        return Place(target, _best_precision(target))
    if precision not in PRECISIONS:
        raise InputError(f"precision is auto, {', '.join(PRECISIONS)} or {INT8}, not {precision!r}")
    return Place(target, PRECISIONS[precision])


def _best_precision(device: torch.device) -> torch.dtype:
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if device.type == "cpu" and has_native_bfloat16():
        return torch.bfloat16
    return torch.float32


def settle(network: Network, place: Place) -> Network:
    """Move a network to its place, in its precision and with channels last, the fastest layout for convolutions."""
    network.to(device=place.device, dtype=place.dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network
