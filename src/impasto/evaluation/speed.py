"""How fast: medians of repeated runs after one to warm up, all in one process, so that ratios can be believed."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

from impasto.evaluation.report import circumstances, write_report
from impasto.networks.style_network import StyleNetwork
from impasto.perception.encoder import Encoder
from impasto.runtime.device import Place, settle


@dataclass(frozen=True)
class Timing:
    """One measured thing: median seconds, and how many times faster it is than the thing it is compared with."""

    what: str
    size: int
    seconds: float
    times_faster: float | None = None
    than: str = ""


def median_seconds(work: Callable[[], object], *, repeats: int, device: torch.device) -> float:
    """Median wall-clock seconds of `work`, after one run that does not count."""
    taken = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - started)
    return statistics.median(taken[1:])


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
            seconds = {
                name: median_seconds(
                    forward_backward(settle(encoder, Place(place.device, dtype)), size), repeats=repeats, device=place.device
                )
                for name, encoder in encoders.items()
            }
            precision = str(dtype).removeprefix("torch.")
            timings += [
                Timing(f"{name}, there and back, {precision}", size, value, seconds[slowest] / value, slowest)
                for name, value in seconds.items()
            ]
    return timings


def time_engine(encoder: Encoder, sizes: Sequence[int], *, repeats: int, place: Place) -> list[Timing]:
    """The same convolutional network as the engine runs it, against plain float32 in the default layout."""
    timings = []
    for size in sizes:
        plain = encoder.to(device=place.device, dtype=torch.float32).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        slow = median_seconds(forward_backward(plain, size, channels_last=False), repeats=repeats, device=place.device)
        fast = median_seconds(forward_backward(settle(encoder, place), size), repeats=repeats, device=place.device)
        precision = str(place.dtype).removeprefix("torch.")
        timings.append(Timing("network, float32, default layout", size, slow))
        timings.append(Timing(f"network, {precision}, channels last", size, fast, slow / fast, "float32, default layout"))
    return timings


def time_painting(sizes: Sequence[int], *, repeats: int, place: Place) -> list[Timing]:
    """The image transformation network as the stylizer runs it, against plain eager float32 in the default layout; one picture."""
    timings = []
    network = StyleNetwork().requires_grad_(False).eval()
    for size in sizes:
        photo = torch.rand(1, 3, size, size, generator=torch.Generator().manual_seed(0)).to(place.device)
        plain = network.to(place.device, torch.float32).to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        with torch.inference_mode():
            slow = median_seconds(partial(plain, photo), repeats=repeats, device=place.device)
            photo = photo.contiguous(memory_format=torch.channels_last)
            fast = median_seconds(partial(settle(network, place), photo), repeats=repeats, device=place.device)
        precision = str(place.dtype).removeprefix("torch.")
        timings.append(Timing("painting network, float32, default layout", size, slow))
        timings.append(Timing(f"painting network, {precision}, channels last", size, fast, slow / fast, "float32, default layout"))
    return timings


@dataclass(frozen=True)
class SpeedReport:
    """All timings of one run."""

    timings: list[Timing]

    def show(self, console: Console) -> None:
        """Print the circumstances and one line per timing."""
        here = circumstances()
        console.print(
            f"{here['date']}  {here['machine']}, {here['threads']} threads  torch {here['torch']}  commit {here['commit'] or 'unknown'}"
        )
        table = Table("what", "pixels", "milliseconds", "times faster", box=None, header_style="bold")
        for item in self.timings:
            ratio = "" if item.times_faster is None else f"{item.times_faster:.2f} than {item.than}"
            table.add_row(item.what, f"{item.size}x{item.size}", f"{item.seconds * 1000:.1f}", ratio)
        console.print(table)

    def write(self, path: Path) -> None:
        """Write all timings as JSON."""
        write_report(path, {"timings": [asdict(item) for item in self.timings]})
