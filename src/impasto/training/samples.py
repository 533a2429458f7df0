"""What a learned style does, shown on a scene that is the same for all: small pictures for lists of styles."""

import torch
from torch import Tensor

from impasto.errors import StyleError
from impasto.networks.shape import NETWORK
from impasto.runtime.device import choose_place
from impasto.settings import Controls
from impasto.storage.style_file import StyleFile
from impasto.training.learned import learned_stylizer
from impasto.training.made_pictures import scenes

SIDE, SEED = 256, 3
"""Side in pixels of the scene, and which one it is."""


def sample(file: StyleFile) -> Tensor:
    """The scene in a learned style, (3, SIDE, SIDE), RGB in [0, 1]. Raises StyleError for a style without a network for photos."""
    if file.record.network != NETWORK:
        raise StyleError(f"the style {file.record.name!r} has no network that paints photos")
    controls = Controls(backend="torch")
    stylizer = learned_stylizer([file], None, controls, choose_place(controls.device, controls.precision, painting=True))
    with torch.inference_mode():
        painted: Tensor = stylizer(scenes(SIDE, torch.Generator().manual_seed(SEED))[None])[0].float().cpu().clamp(0, 1)
    return painted
