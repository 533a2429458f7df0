"""What can be turned of the neural doodle (Champandard 2016)."""

from dataclasses import dataclass

from impasto.settings import Settings, setting, strength

_ITERATIONS = "at least one iteration and one level are needed"


@dataclass(frozen=True)
class DoodleSettings(Settings):
    """How the picture is optimised; weights and counts are the published ones, on distances relative to the target's energy.

    strength: times the style weight. style_size: shorter side of the painting in pixels, None for the photo's.
    """

    iterations: int = setting(100, "Iterations for each size.", low=1, says=_ITERATIONS)
    levels: int = setting(3, "Sizes from coarse to fine, each twice the one before.", low=1, says=_ITERATIONS)
    style_weight: float = setting(25.0, "Weight of the distance to the nearest patches.", low=0)
    content_weight: float = setting(10.0, "Higher keeps more of the photo.", low=0)
    smoothness: float = setting(1.0, "Weight of the mean of squared differences of neighbours to the power 1.25, where white is 1.", low=0)
    strength: float = strength(10)
    stroke: float = setting(1.0, "", above=0)
    style_size: int | None = setting(None, "", low=32, says="a style picture has at least 32 pixels on its shorter side, to hold a stroke")
