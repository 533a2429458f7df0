"""What a user can turn, and its defaults. Free of heavy imports, so that the command line reads them from here."""

from dataclasses import dataclass
from typing import Any

AUTO = "auto"

PHOTO_WEIGHT = 50.0
"""Weight of the matting Laplacian where a painted photo shall stay a photograph (Puy and Perez 2019, section 4.3)."""


@dataclass(frozen=True)
class Controls:
    """The controls that all methods share; see `impasto stylize --help`.

    method: "auto" or a name of `impasto.methods`. encoder: a registered name or a safetensors file. size: longer side
    of the painted picture in pixels; a smaller photo keeps its size, 0 keeps any. style_size: shorter side that the
    style picture is brought to, None for that of the photo; larger means larger strokes. strength: 0 is the photo, 1
    the full style. keep_color: None, "luma" or "coral". background: what transparency is laid on where a format cannot hold it, a
    colour's name or "#rrggbb". keep_metadata: copy the photo's EXIF block. stabilize: how films are held
    still, "auto", "none", "student" (a network that learned it, without optical flow) or "flow".
    options: settings of the method itself, by name, e.g. {"iterations": 300}.
    """

    method: str = AUTO
    encoder: str = "compact"
    size: int = 512
    style_size: int | None = None
    strength: float = 1.0
    keep_color: str | None = None
    background: str = "white"
    keep_metadata: bool = False
    stabilize: str = AUTO
    seed: int = 0
    device: str = AUTO
    precision: str = AUTO
    max_megapixels: int = 100
    options: dict[str, Any] | None = None
