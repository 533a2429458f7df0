"""What can be turned of the transfer in feature space (Lu et al. 2017)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from impasto.errors import InputError
from impasto.networks.layers import LAYERS
from impasto.settings import Settings, setting, strength


@dataclass(frozen=True)
class SemanticSettings(Settings):
    """How features are changed.

    layers: one, as published, or several, from coarse to fine on one way down. grain: noise on the photo, of which strokes are made where
    it is flat, always the same for a size; by default some for several layers, none for one, and none in films, where it would stand
    still while the scene moves. soft: otherwise every feature position belongs to one region.
    """

    transform: Literal["mean", "adain", "adain_lambda", "wct", "ost"] = setting("ost", "How features are changed.")
    layers: Sequence[str] = setting(LAYERS[1:], "Where they are changed: one layer, or several as relu2_1,relu3_1,relu4_1.")
    detail: float = setting(0.5, "Share of the photo's own features at the shallower layers, 0 to 1.", low=0, high=1)
    grain: float | None = setting(None, "Deviation of the noise that strokes are made of where the photo is flat, 0 to 1.", low=0, high=1)
    soft: bool = setting(True, "Regions do not blend where they meet.", flag=False)
    rate: float = setting(0.1, "Films: rate of the running averages, 1 for none.", above=0, high=1)
    strength: float = strength()

    def __post_init__(self) -> None:
        super().__post_init__()
        wrong = [layer for layer in self.layers if layer not in LAYERS]
        if wrong or not self.layers:
            raise InputError(f"features are changed at {', '.join(LAYERS)}, not at {', '.join(wrong) or 'no layer'}")
