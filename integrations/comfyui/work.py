"""Long work as ComfyUI wants it: with progress and previews, stopped within a tenth of a second, and not lost when it is stopped."""

import contextlib
import hashlib
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from PIL import Image

from impasto.events import Event, Listener

Result = TypeVar("Result")

PREVIEW = 512
"""Longer side of previews, in pixels, as ComfyUI shows them."""
KEPT = 2 << 30
"""Bytes of painted images that are kept of a run that was stopped."""
_SECONDS = 0.1
"""How often it is looked whether the user wants to stop."""


class StopError(Exception):
    """Raised in the thread that works, at its next step, when the user stopped it."""


_turn = threading.Lock()
"""Held by the thread that works: one that was stopped ends its step before the next one begins."""


def supervised(work: Callable[[Listener], Result]) -> Result:
    """Do work in a thread of its own; this one shows its events, and raises what ComfyUI raises when the user stops it.

    work: takes a listener, and tells it of every step. The thread is in no mode of PyTorch, whatever mode this one is in.
    """
    events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
    results: list[Result] = []
    errors: list[BaseException] = []
    stopped = threading.Event()

    def listen(event: Event) -> None:
        if stopped.is_set():
            raise StopError
        events.put(event)

    def run() -> None:
        try:
            with _turn:
                if not stopped.is_set():
                    results.append(work(listen))
        except BaseException as error:
            errors.append(error)
        finally:
            events.put(None)

    thread = threading.Thread(target=copy_context().run, args=(run,), name="impasto", daemon=True)
    thread.start()
    try:
        while (event := _next(events)) is not None:
            show(event)
        check_stopped()
    except BaseException:
        stopped.set()
        thread.join(_SECONDS)
        raise
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def _next(events: "queue.SimpleQueue[Event | None]") -> Event | None:
    while True:
        check_stopped()
        with contextlib.suppress(queue.Empty):
            return events.get(timeout=_SECONDS)


def check_stopped() -> None:
    """Raise what ComfyUI raises when the user stopped the work."""
    with contextlib.suppress(ImportError):  # outside of ComfyUI nobody stops it
        from comfy.model_management import throw_exception_if_processing_interrupted

        throw_exception_if_processing_interrupted()


def show(event: Event) -> None:
    """Bring the node's bar to an event, with its preview."""
    try:
        from comfy.utils import ProgressBar
    except ImportError:  # outside of ComfyUI
        return
    with contextlib.suppress(ImportError):  # versions before 0.3.44 do not tell which node is executed
        from comfy_execution.utils import get_executing_context

        if get_executing_context() is None:
            return
    if event.total:
        preview = None if event.preview is None else ("JPEG", as_image(event.preview), PREVIEW)
        ProgressBar(event.total).update_absolute(event.step, event.total, preview)


def as_image(pixels: torch.Tensor) -> Image.Image:
    """A preview (3, H, W) in [0, 1], at most PREVIEW pixels long."""
    longest = max(pixels.shape[-2:])
    if longest > PREVIEW:
        size = [max(1, round(side * PREVIEW / longest)) for side in pixels.shape[-2:]]
        pixels = torch.nn.functional.interpolate(pixels[None].float(), size=size, mode="area")[0]
    return Image.fromarray(pixels.float().cpu().clamp(0, 1).mul(255).round().byte().permute(1, 2, 0).contiguous().numpy())


@dataclass
class Batch:
    """A listener for the images of a batch: their steps become steps of the whole, and each that is painted is shown.

    count: images. done: those that are painted. total: steps of one image, as far as they are known.
    """

    listener: Listener
    count: int
    done: int = 0
    total: int = 1
    painting: bool = False

    def __call__(self, event: Event) -> None:
        """A step: of the image that is painted, or of a style that is learned before the first one."""
        if not self.painting:
            self.listener(event)
            return
        self.total = max(event.total, 1)
        self._tell(self.done * self.total + event.step, event)

    def painted(self, result: torch.Tensor) -> None:
        """An image (H, W, C) is painted."""
        self.done += 1
        self._tell(self.done * self.total, Event(0, 0, 0.0, preview=result[..., :3].permute(2, 0, 1)))

    def _tell(self, step: int, event: Event) -> None:
        self.listener(Event(step, self.count * self.total, event.seconds, event.values, event.preview))


@dataclass
class Unfinished:
    """What a run that was stopped had painted: the same run begins behind it.

    key: what the images were painted with. seen: checksums of the images, in order. results: (H, W, 3) each.
    """

    key: str = ""
    seen: list[str] = field(default_factory=list)
    results: list[torch.Tensor] = field(default_factory=list)

    def begin(self, key: str, images: torch.Tensor) -> int:
        """How many of the images (B, H, W, C), from the first on, are painted already; what belongs to another run is let go."""
        if key != self.key:
            self.end()
            self.key = key
        same = 0
        while same < min(len(self.seen), len(images)) and self.seen[same] == checksum(images[same]):
            same += 1
        del self.seen[same:], self.results[same:]
        return same

    def add(self, image: torch.Tensor, result: torch.Tensor) -> None:
        """An image, (H, W, C), is painted."""
        if (len(self.results) + 1) * result.nbytes <= KEPT:
            self.seen.append(checksum(image))
            self.results.append(result)

    def end(self) -> None:
        """The run is whole: nothing has to be kept."""
        self.key, self.seen, self.results = "", [], []


unfinished = Unfinished()


def checksum(image: torch.Tensor) -> str:
    """Of an image's values and size."""
    values = image.detach().float().cpu().contiguous().numpy()
    return hashlib.blake2b(values.tobytes() + str(values.shape).encode(), digest_size=16).hexdigest()


def painted(paint: Any, images: torch.Tensor, *, stream: bool, key: str, batch: Batch) -> list[torch.Tensor]:
    """Images (B, H, W, C) painted one by one, (H, W, 3) each; what a run with the same key had painted before it was stopped is taken.

    stream: whether they are the frames of one video, which the stylizer may remember.
    """
    begun = unfinished.begin(key, images)
    results = list(unfinished.results)
    batch.done = begun
    frames = _planes(images[begun:])
    if stream and hasattr(paint, "stream"):
        first = (next(_planes(images[begun - 1 : begun])), results[-1].permute(2, 0, 1)) if begun else None
        made: Iterator[torch.Tensor] = paint.stream(frames, first=first)
    else:
        made = (paint(frame[None])[0] for frame in frames)
    batch.painting = True
    for image, result in zip(images[begun:], made, strict=True):
        results.append(result.detach().float().cpu().permute(1, 2, 0).clamp(0, 1).clone())
        unfinished.add(image, results[-1])
        batch.painted(results[-1])
    unfinished.end()
    return results


def _planes(images: Sequence[torch.Tensor] | torch.Tensor) -> Iterator[torch.Tensor]:
    """Images (B, H, W, C) as the library takes them, (3, H, W) each."""
    return (image[..., :3].float().cpu().permute(2, 0, 1).contiguous() for image in images)
