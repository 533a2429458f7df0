"""How fast: medians of interleaved runs after one to warm up, all in one process, so that ratios can be believed."""

import copy
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from impasto.evaluation.report import circumstances, write_report
from impasto.networks.rewrites import as_written
from impasto.perception.encoder import Encoder
from impasto.runtime.device import PRECISIONS, Place, settle
from impasto.settings import INT8

_COUNTED = 256
"""Side of the picture that multiply-adds are counted on, in pixels."""
_PROBED = 256
"""Side of the matrices that tell whether a processor multiplies eight bits in hardware."""


@dataclass(frozen=True)
class Timing:
    """One measured thing: median seconds, and how many times faster it is than the thing it is compared with.

    rate: multiply-adds a second. share: of what matrix products reach on this machine in the same run, in that precision.
    """

    what: str
    size: int
    seconds: float
    times_faster: float | None = None
    than: str = ""
    rate: float | None = None
    share: float | None = None


def median_seconds(work: Callable[[], object], *, repeats: int, device: torch.device) -> float:
    """Median wall-clock seconds of `work`, after one run that does not count."""
    return interleaved({"": work}, repeats=repeats, device=device)[""]


def interleaved(works: Mapping[str, Callable[[], object]], *, repeats: int, device: torch.device) -> dict[str, float]:
    """Median wall-clock seconds of each, after one run that does not count, taken in turn: whatever slows the machine slows all alike."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats + 1):
        for name, work in works.items():
            started = time.perf_counter()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            taken[name].append(time.perf_counter() - started)
    return {name: statistics.median(seconds[1:]) for name, seconds in taken.items()}


def multiply_adds(network: nn.Module) -> float:
    """Multiply-adds a pixel of a network that paints, of its convolutions as they are written."""
    empty = copy.deepcopy(network).to("meta")
    with FlopCounterMode(display=False) as counter, as_written():
        empty(torch.rand(1, 3, _COUNTED, _COUNTED, device="meta"))
    return float(counter.get_total_flops() / 2 / _COUNTED**2)


def peaks(place: Place, *, side: int = 2048, repeats: int = 5) -> dict[str, float]:
    """Multiply-adds a second of square matrix products on this machine, by precision; those that it has.

    int8 is measured on processors alone, and where they have no unit for it, which shows in a small product that is slower than one in
    float32, it is left out: it would take minutes.
    """
    numbers = torch.rand(side, side, device=place.device)
    works: dict[str, Callable[[], object]] = {
        name: partial(torch.mm, numbers.to(dtype), numbers.to(dtype))
        for name, dtype in PRECISIONS.items()
        if dtype in (torch.float32, place.dtype)
    }
    if place.device.type == "cpu":
        small = interleaved(
            {INT8: _product_of_bytes(_PROBED), "float32": partial(torch.mm, *[torch.rand(_PROBED, _PROBED)] * 2)},
            repeats=5,
            device=place.device,
        )
        if small[INT8] < small["float32"]:
            works[INT8] = _product_of_bytes(side)
    return {name: side**3 / seconds for name, seconds in interleaved(works, repeats=repeats, device=place.device).items()}


def _product_of_bytes(side: int) -> Callable[[], Tensor]:
    return partial(torch._int_mm, *[torch.randint(-127, 128, (side, side), dtype=torch.int8)] * 2)


def forward_backward(encoder: Encoder, size: int, *, layer: str = "relu5_1", channels_last: bool = True) -> Callable[[], Tensor]:
    """One pass of a random square picture to `layer` and back to the pixels; returns the work to be timed."""
    weight = next(encoder.parameters())
    image = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)).to(weight.device)
    if channels_last:
        image = image.contiguous(memory_format=torch.channels_last)
    image.requires_grad_(True)

    def work() -> Tensor:
        image.grad = None
        encoder(image, [layer])[layer].float().square().mean().backward()
        assert image.grad is not None
        return image.grad

    return work


def time_encoders(encoders: Mapping[str, Encoder], sizes: Sequence[int], *, repeats: int, place: Place) -> list[Timing]:
    """Forward and backward to relu5_1 for every encoder in float32 and in the place's precision, against the last one named."""
    timings = []
    slowest = list(encoders)[-1]
    for size in sizes:
        for dtype in dict.fromkeys((torch.float32, place.dtype)):
            works = {name: forward_backward(settle(encoder, Place(place.device, dtype)), size) for name, encoder in encoders.items()}
            seconds = interleaved(works, repeats=repeats, device=place.device)
            precision = str(dtype).removeprefix("torch.")
            timings += [
                Timing(f"{name}, there and back, {precision}", size, value, seconds[slowest] / value, slowest)
                for name, value in seconds.items()
            ]
    return timings


@dataclass(frozen=True)
class Painter:
    """A network as something runs it: (1, 3, H, W), float32, channels last, to the picture. precision: of most of its products."""

    precision: str
    run: Callable[[Tensor], Tensor]


PLAIN = "PyTorch, float32, as written, default layout"
"""What painters are compared with."""


def plain_painter(network: nn.Module, device: torch.device) -> Painter:
    """The network in PyTorch as anybody would write it."""
    plain = copy.deepcopy(network).to(device, torch.float32).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]

    def run(photo: Tensor) -> Tensor:
        with as_written():
            return plain(photo.contiguous())  # type: ignore[no-any-return]

    return Painter("float32", run)


def time_painters(
    name: str,
    network: nn.Module,
    painters: Mapping[str, Painter],
    sizes: Sequence[int],
    *,
    peak: Mapping[str, float],
    repeats: int,
    place: Place,
) -> list[Timing]:
    """One picture by every painter of a network, against the network in plain PyTorch: how fast, and how near to the peak."""
    timings = []
    work, everything = multiply_adds(network), {PLAIN: plain_painter(network, place.device), **painters}
    for size in sizes:
        photo = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)).to(place.device)
        photo = photo.contiguous(memory_format=torch.channels_last)
        with torch.inference_mode():
            seconds = interleaved(
                {what: partial(painter.run, photo) for what, painter in everything.items()}, repeats=repeats, device=place.device
            )
        for what, painter in everything.items():
            rate = work * size**2 / seconds[what]
            faster, than = (None, "") if what == PLAIN else (seconds[PLAIN] / seconds[what], "as written")
            share = rate / peak[painter.precision] if painter.precision in peak else None
            timings.append(Timing(f"{name}, {what}", size, seconds[what], faster, than, rate, share))
    return timings


@dataclass(frozen=True)
class SpeedReport:
    """All timings of one run. peak: multiply-adds a second of matrix products, by precision. work: multiply-adds a pixel, by network."""

    timings: list[Timing]
    peak: Mapping[str, float] = field(default_factory=dict)
    work: Mapping[str, float] = field(default_factory=dict)

    def show(self, console: Console) -> None:
        """Print the circumstances and one line per timing."""
        here = circumstances()
        console.print(f"{here['date']}  {here['machine']}, {here['threads']} threads  commit {here['commit'] or 'unknown'}")
        console.print("  ".join(f"{name} {version}" for name, version in here["versions"].items()))
        if self.peak:
            found = ", ".join(f"{rate / 1e9:.0f} G in {name}" for name, rate in self.peak.items())
            console.print(f"matrix products: {found} multiply-adds a second")
        for name, count in self.work.items():
            console.print(f"{name}: {count:,.0f} multiply-adds a pixel")
        table = Table("what", "pixels", "milliseconds", "times faster", "G/s", "of the peak", box=None, header_style="bold")
        for item in self.timings:
            ratio = "" if item.times_faster is None else f"{item.times_faster:.2f} than {item.than}"
            rate = "" if item.rate is None else f"{item.rate / 1e9:.0f}"
            share = "" if item.share is None else f"{item.share:.0%}"
            table.add_row(item.what, f"{item.size}x{item.size}", f"{item.seconds * 1000:.1f}", ratio, rate, share)
        console.print(table)

    def write(self, path: Path) -> None:
        """Write all timings as JSON."""
        write_report(path, asdict(self))
