"""What can be turned of the optimisation (Gatys et al. 2016 and 2017)."""

from dataclasses import dataclass
from typing import Literal

from impasto.settings import Settings, setting, strength

ITERATIONS = "at least one iteration and one level are needed"


@dataclass(frozen=True)
class GatysSettings(Settings):
    """How the picture is optimised.

    style_size: shorter side of the style picture at the final size, in pixels; None for that of the photo. strength scales the style weight
    of the loss: 1 is the preset's, 0 the photo.
    """

    iterations: int = setting(150, "Iterations for each size.", low=1, says=ITERATIONS)
    levels: int = setting(2, "Sizes from coarse to fine, each twice the one before.", low=1, says=ITERATIONS)
    optimiser: Literal["lbfgs", "adam"] = setting("lbfgs", "How the loss is minimised.")
    start: Literal["content", "noise"] = setting("content", "What the picture begins as: the photo, or noise.")
    learning_rate: float = setting(0.02, "Of Adam.", above=0)
    preview_every: int = setting(0, "Iterations between previews, 0 for none.", low=0, shown=False)
    strength: float = strength(10)
    stroke: float = setting(1.0, "", above=0)
    style_size: int | None = setting(None, "", low=32, says="a style picture has at least 32 pixels on its shorter side, to hold a stroke")
    seed: int = setting(0, "")


@dataclass(frozen=True)
class GatysLoss(Settings):
    """The loss that is minimised: a preset, and the weights that replace those of the preset."""

    loss: str = setting("impasto", "Preset of the perceptual loss: impasto, gatys, ...")
    content_weight: float | None = setting(None, "Higher keeps more of the photo.", low=0)
    tv_weight: float | None = setting(None, "Weight of the total variation.", low=0)
