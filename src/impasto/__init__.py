"""Impasto: any photo in the style of any picture.

import impasto
impasto.stylize("photo.jpg", "painting.jpg", output="result.png")

stylizer = impasto.load_style("painting.jpg")
picture = stylizer(photo)                # (B, 3, H, W), RGB in [0, 1]
"""

from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from impasto.api import adapt, enlarge, export, export_web, load_style, lut, mix, open_style, save_style, stylize
    from impasto.errors import ImpastoError, InputError, PictureError, StyleError, UnavailableError, WeightsError
    from impasto.events import Event
    from impasto.notebook import Progress
    from impasto.settings import Controls

try:
    __version__ = version("impasto")
except PackageNotFoundError:  # a checkout that is not installed
    __version__ = "0+unknown"

_HOMES = {
    "adapt": "api",
    "enlarge": "api",
    "export": "api",
    "export_web": "api",
    "join": "api",
    "lut": "api",
    "mix": "api",
    "open_style": "api",
    "stylize": "api",
    "load_style": "api",
    "save_style": "api",
    "Controls": "settings",
    "Progress": "notebook",
    "Event": "events",
    "ImpastoError": "errors",
    "InputError": "errors",
    "PictureError": "errors",
    "StyleError": "errors",
    "UnavailableError": "errors",
    "WeightsError": "errors",
}

__all__ = [
    "Controls",
    "Event",
    "ImpastoError",
    "InputError",
    "PictureError",
    "Progress",
    "StyleError",
    "UnavailableError",
    "WeightsError",
    "adapt",
    "enlarge",
    "export",
    "export_web",
    "join",
    "load_style",
    "lut",
    "mix",
    "open_style",
    "save_style",
    "stylize",
]


def __getattr__(name: str) -> Any:
    """Public names are imported when first used: `impasto --help` does not wait for torch."""
    if name in _HOMES:
        return getattr(import_module(f"impasto.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'impasto' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
