"""What can be turned of AdaIN (Huang and Belongie 2017)."""

from dataclasses import dataclass

from impasto.networks.layers import Layer
from impasto.settings import Settings, setting, strength


@dataclass(frozen=True)
class AdainSettings(Settings):
    """Where features are changed, and how far: strength is the trade-off alpha of section 7.2."""

    layer: Layer = setting("relu4_1", "Where features are changed.")
    strength: float = strength()
