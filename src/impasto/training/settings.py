"""How a network is fitted to one style, and what it is fitted on; free of heavy imports."""

from dataclasses import dataclass
from typing import Literal

from impasto.settings import Settings, setting

Kind = Literal["leaves", "clouds", "scenes", "gradients", "paintings"]
"""What pictures can be made of, where no photos are given."""
USUAL_KINDS: tuple[Kind, ...] = ("leaves", "paintings")
"""What networks generalise best from to photographs, of what can be made: see docs/benchmarks.md."""

_LEAST = "at least 0 steps, a batch of 1 and a crop of 64 pixels are needed"


@dataclass(frozen=True)
class FittingSettings(Settings):
    """How a network is fitted to one style.

    parameters: "all" weights, or "affine", the scales and shifts of the instance norms alone. batch and crop: contents per step and their
    side in pixels; a crop's side in the picture is drawn from `zoom` times that. The learning rate falls linearly to `final_rate` times
    its start. blob_weight: of the penalty against blobs. texture_weight: of the term that holds the texture of flat places to the
    autocorrelation of the painting, so that nothing repeats there. guide_weight: of the distance to the pictures of the network that it
    learns from, if there is one.
    """

    steps: int = setting(150, "Steps to learn a style picture.", low=0, says=_LEAST)
    parameters: Literal["all", "affine"] = setting("all", "What is learned: all weights, or the affine ones, 3,200 numbers that mix.")
    learning_rate: float = setting(1e-3, "Of Adam.", above=0)
    final_rate: float = setting(0.1, "What the learning rate falls to, times its start.", low=0)
    batch: int = setting(1, "Pictures a step.", low=1, says=_LEAST)
    crop: int = setting(256, "Side of the crops that are learned on, in pixels.", low=64, says=_LEAST)
    zoom: tuple[float, float] = setting((0.6, 1.6), "Sides of the crops in the photo, times the crop.", above=0)
    texture_weight: float = setting(300.0, "Weight of the term against texture that repeats in flat places.", low=0)
    guide_weight: float = setting(4.0, "Weight of the distance to what the large network paints, for live.", low=0)
    clip: float = setting(1.0, "Largest norm of a gradient; 0 for any.", low=0)
    blob_weight: float = setting(0.02, "Weight of the penalty against blobs.", low=0)
    preview_every: int = setting(0, "Steps between previews, 0 for none.", low=0, shown=False)
    seed: int = setting(0, "")
