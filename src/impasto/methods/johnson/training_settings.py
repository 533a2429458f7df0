"""How a network for one painting is trained from scratch (Johnson, Alahi and Fei-Fei 2016); free of heavy imports."""

from dataclasses import dataclass

from impasto.perception.presets import LossName
from impasto.settings import setting
from impasto.training.settings import FittingSettings


@dataclass(frozen=True)
class JohnsonTraining(FittingSettings):
    """Settings; the defaults are the published ones: 40,000 steps of 4 photos at 256 pixels with Adam at 1e-3."""

    steps: int = setting(40_000, "Steps of the optimiser.", low=0)
    batch: int = setting(4, "Photos of a step.", low=1)
    final_rate: float = setting(1.0, "What the learning rate falls to, times its start.", low=0)
    texture_weight: float = setting(0.0, "Weight of the term against texture that repeats in flat places.", low=0)
    zoom: tuple[float, float] = setting((1.0, 2.0), "Sides of the crops in the photo, times the crop.", above=0)
    style_size: int = setting(256, "Shorter side of the painting in pixels.", low=32)
    width: int = setting(32, "Channels of the first layer.", low=1)
    loss: LossName = setting("feedforward", "Preset of the perceptual loss.")
    seed: int = setting(0, "For whatever is random.")
