"""What notebooks show: pictures of styles and results, and a bar for long work. Nothing here is imported outside of them."""

import time
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from impasto.events import Event

if TYPE_CHECKING:
    from torch import Tensor

SIDE = 640
"""Longer side, in pixels, of what is shown."""
_EVERY = 0.3
"""Seconds between two looks of the bar."""


class Progress:
    """A listener for notebooks: a bar, the loss, and the picture as far as it came.

        impasto.stylize("photo.jpg", "painting.jpg", listener=impasto.Progress())

    text: what is said beside the bar. Without IPython it is silent.
    """

    def __init__(self, text: str = ""):
        self._text, self._next, self._picture = text, 0.0, b""
        self._handle: Any = None

    def __call__(self, event: Event) -> None:
        """Show the event, if the last one was not shown just now."""
        now = time.monotonic()
        if event.preview is not None:
            self._picture = shown(event.preview)
        if now < self._next and event.step < event.total:
            return
        self._next = now + _EVERY
        self._show(event)

    def _show(self, event: Event) -> None:
        try:
            from IPython.display import HTML, display
        except ImportError:
            return
        page = HTML(self.page(event))  # type: ignore[no-untyped-call]
        if self._handle is None:
            self._handle = display(page, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(page)

    def page(self, event: Event) -> str:
        """The bar as HTML."""
        from base64 import b64encode

        loss = f", loss {event.values['loss']:.4f}" if "loss" in event.values else ""
        left = event.seconds / event.step * (event.total - event.step) if event.step else 0
        words = f"{escape(self._text)} {event.step} of {event.total}, {event.seconds:.0f} s, {left:.0f} s left{loss}".strip()
        picture = f'<br><img alt="preview" src="data:image/png;base64,{b64encode(self._picture).decode()}">' if self._picture else ""
        return f'<progress max="{max(1, event.total)}" value="{event.step}"></progress> {words}{picture}'


def shown(picture: "Tensor") -> bytes:
    """A picture (3, H, W), RGB in [0, 1], as a PNG file of at most SIDE pixels."""
    from impasto.media.images import resize, shown
    from impasto.media.stills import fit_within

    size = fit_within((picture.shape[-2], picture.shape[-1]), min(SIDE, max(picture.shape[-2:])))
    return shown(resize(picture.detach().float().cpu(), size), "PNG")


def shown_files(paths: Sequence[Path]) -> bytes | None:
    """Pictures side by side, as a PNG file; None if there is none that can be shown, such as films."""
    import torch

    from impasto.errors import ImpastoError
    from impasto.media.color import laid_on
    from impasto.media.images import fitted, read_picture, resize
    from impasto.media.stills import fit_within

    pictures = []
    for path in paths[:4]:
        try:
            picture = read_picture(path)
        except ImpastoError:
            continue
        small = fitted(picture, fit_within(picture.size, min(SIDE, max(picture.size))))
        pictures.append(small.pixels if small.alpha is None else laid_on("white", small.pixels, small.alpha))
    if not pictures:
        return None
    if len(pictures) == 1:
        return shown(pictures[0])
    height = min(picture.shape[-2] for picture in pictures)
    row = [resize(picture, (height, max(1, round(picture.shape[-1] * height / picture.shape[-2])))) for picture in pictures]
    return shown(torch.cat(row, -1))
