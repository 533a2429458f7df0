"""What can be turned of the patch swap (Chen and Schmidt 2016)."""

from dataclasses import dataclass

from impasto.networks.layers import Layer
from impasto.settings import Settings, setting, strength


@dataclass(frozen=True)
class PatchSwapSettings(Settings):
    """Which patches are swapped, and how far."""

    layer: Layer = setting("relu3_1", "Where patches are compared.")
    size: int = setting(3, "Positions of a patch on each side.", low=1, high=9, says="patches have 1 to 9 positions a side")
    strength: float = strength()
