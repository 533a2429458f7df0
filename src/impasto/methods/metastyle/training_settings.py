"""How the network that learns paintings is meta-trained (Zhang et al. 2019, section 3.2); free of heavy imports."""

from dataclasses import dataclass
from typing import Literal, get_args

from impasto.networks.layers import GRAIN
from impasto.perception.presets import LossName
from impasto.settings import Settings, setting

Order = Literal["second", "first", "reptile", "joint", "kept"]
ORDERS: tuple[Order, ...] = get_args(Order)


@dataclass(frozen=True)
class MetaTraining(Settings):
    """Settings of the meta-training; the defaults are those of the bundled network, OFFICIAL the published values."""

    order: Order = setting("kept", "Gradient of the outer loop.")
    inner: Literal["affine", "all"] = setting("affine", "Parameters that the inner loop changes.")
    inner_steps: int = setting(1, "T, steps of the inner loop.", low=1, high=5, says="the inner loop has 1 to 5 steps")
    inner_rate: float = setting(1e-3, "Rate of the inner loop at the start.", above=0)
    learn_rates: bool = setting(True, "Whether the outer loop learns a factor of the inner rate for each tensor.")
    steps: int = setting(10_000, "Steps of the outer loop.", low=0)
    styles: int = setting(2, "Paintings of an outer step.", low=1)
    batch: int = setting(1, "Photos of a painting, in each of the two loops.", low=1)
    crop: int = setting(160, "Side of the training crops in pixels.", low=32)
    style_size: int = setting(256, "Shorter side of the paintings in pixels.", low=32)
    zoom: tuple[float, float] = setting((0.6, 1.8), "Sides of the crops in the photo, times the crop.", above=0)
    learning_rate: float = setting(1.5e-3, "Of the outer loop.", above=0)
    decay: float = setting(0.0, "Outer and inner rate are divided by 1 + decay * step; 0: the outer one falls linearly to 0.", low=0)
    warmup: int = setting(50, "Steps over which the rate rises, without decay.", low=0)
    clip: float = setting(1.0, "Largest norm of a gradient; 0 for any.", low=0)
    start_share: float = setting(0.0, "Share in the result of the weights that it began with.", low=0, high=1)
    split: bool = setting(True, "Whether the photos of the inner and of the outer loop are kept apart.")
    kept: int = setting(160, "Paintings that the order kept trains on.", low=1)
    kept_rate: float = setting(2e-2, "Rate of Adam on the affine parameters of kept paintings.", above=0)
    width: int = setting(32, "Channels of the first layer.", low=1)
    inputs: Literal["centred", "bytes"] = setting("centred", "What the network is given.", shown=False)
    grain: float = setting(GRAIN, "Deviation of the noise on the photo, of which strokes are made where it is flat.", low=0)
    smooth: bool = setting(True, "Whether the cells of that noise run into one another.", form="--smooth/--edged")
    blob_weight: float = setting(0.05, "Weight of the penalty against blobs.", low=0)
    loss: LossName = setting("feedforward", "Preset of the perceptual loss.")
    seed: int = setting(0, "For whatever is random.")


OFFICIAL = MetaTraining(
    order="second",
    inner_rate=1e-5,
    learn_rates=False,
    steps=100_000,
    styles=4,
    batch=4,
    crop=256,
    style_size=256,
    zoom=(1.0, 1.0),
    learning_rate=1e-5,
    decay=2.5e-5,
    warmup=0,
    clip=0.0,
    split=False,
    inputs="bytes",
    grain=0.0,
    smooth=False,
    blob_weight=0.0,
    loss="metastyle",
    seed=12345,
)
"""The values of the published code, as the preset `metastyle-official`."""
