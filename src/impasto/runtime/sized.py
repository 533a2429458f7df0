"""The one rule for small images: all clients refuse what has fewer pixels than a style needs, before anything is painted."""

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor

from impasto.runtime.size import working_size
from impasto.runtime.stylizer import Stylizer


class Sized:
    """A stylizer as callers of the library get it: itself in everything, but for images that are too small."""

    def __init__(self, stylizer: Stylizer):
        self._stylizer = stylizer

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        """Its class, so that `isinstance` tells what it can do."""
        return type(self._stylizer)

    def __call__(self, image: Tensor, *, masks: Tensor | None = None) -> Tensor:
        """Paint (B, 3, H, W). Raises PictureError for sides below 32 pixels."""
        _check(image)
        return self._stylizer(image, masks=masks)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._stylizer, name)
        if name != "stream":
            return found

        def stream(frames: Iterable[Tensor], **more: Any) -> Iterator[Tensor]:
            return found(map(_check, frames), **more)  # type: ignore[no-any-return]

        return stream


def _check(image: Tensor) -> Tensor:
    working_size((image.shape[-2], image.shape[-1]), 0, "the image")
    return image
