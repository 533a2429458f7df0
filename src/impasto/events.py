"""What long work tells about itself, so that a terminal, a page or a test can watch the same run."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Event:
    """One report: step `step` of `total` is done after `seconds`; the values measured there, and a preview if it is due.

    preview: (3, H, W), RGB in [0, 1], or None. values: named numbers such as {"loss": 0.12}.
    """

    step: int
    total: int
    seconds: float
    values: dict[str, float] = field(default_factory=dict)
    preview: "Tensor | None" = None


Listener = Callable[[Event], None]


def silence(event: Event) -> None:
    """The listener that ignores everything."""


class Interrupted(KeyboardInterrupt):
    """The user stopped long work that has something to show: `picture`, (B, 3, H, W), as far as it came."""

    def __init__(self, picture: "Tensor"):
        super().__init__("stopped by the user")
        self.picture = picture
