"""What a style does, shown on a scene that is the same for all: small pictures for lists of styles."""

from pathlib import Path

import torch

from impasto.job.build import make_stylizer
from impasto.job.request import PathLike
from impasto.job.styles import gather_styles
from impasto.media.images import Picture, write_picture
from impasto.runtime.device import choose_place
from impasto.settings import Controls
from impasto.training.made_pictures import scenes

SIDE, SEED = 256, 3
"""Side in pixels of the scene, and which one it is."""


def paint_sample(style: PathLike, target: Path) -> Path:
    """Paint the scene in a learned style. Raises ImpastoError."""
    controls = Controls(quality="draft")
    stylizer = make_stylizer(
        gather_styles([style], None, controls), controls, choose_place(controls.device, controls.precision, painting=True)
    )
    with torch.inference_mode():
        painted = stylizer(scenes(SIDE, torch.Generator().manual_seed(SEED))[None])
    return write_picture(Picture(painted[0].float().cpu().clamp(0, 1)), target)
