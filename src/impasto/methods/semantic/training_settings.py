"""How a decoder is trained (Lu et al. 2017, section 3.3); free of heavy imports."""

from dataclasses import dataclass

from impasto.errors import InputError
from impasto.networks.layers import GRAIN, Layer
from impasto.perception.presets import LossName
from impasto.settings import Settings, setting


@dataclass(frozen=True)
class DecoderTraining(Settings):
    """Settings of the training; the defaults are those of the bundled decoders but for their shape, PUBLISHED the published values."""

    layers: tuple[Layer, ...] = setting(("relu2_1", "relu3_1", "relu4_1"), "Layers whose features are decoded; one is drawn at each step.")
    hidden: tuple[int, ...] | None = setting(None, "Widths on the way to relu1_1, relu2_1, relu3_1. (default: the encoder's)", low=1)
    depths: tuple[int, ...] | None = setting(None, "Convolutions on the same ways. (default: as many as the encoder has)", low=1)
    steps: int = setting(6600, "Steps of the optimiser.", low=0)
    batch: int = setting(3, "Photos, and paintings, of a step.", low=1)
    crop: int = setting(128, "Side of the training crops in pixels, a multiple of 8.", low=64)
    zoom: tuple[float, float] = setting((0.8, 2.0), "Sides of the crops in the picture, times the crop.", above=0)
    learning_rate: float = setting(1e-3, "Of Adam.", above=0)
    balanced: bool = setting(True, "Whether filters of many inputs take smaller steps.")
    final_rate: float = setting(0.02, "What the learning rate falls to, times its height.", low=0)
    warmup: int = setting(100, "Steps over which the rate rises.", low=0)
    clip: float = setting(1.0, "Largest norm of a gradient; 0 for any.", low=0)
    start_share: float = setting(0.0, "Share in the result of the weights that it began with.", low=0, high=1)
    swapped: float = setting(0.3, "Weight of swapped features, against content and style.", low=0)
    transformed: float = setting(0.3, "Weight of transformed features, against content and style.", low=0)
    pixels: float = setting(5.0, "Weight of the squared difference of the pixels, where the picture is known.", low=0)
    colours: float = setting(0.0, "Weight of the squared difference of colours over 8x8 pixels, where the picture is known.", low=0)
    inner: float = setting(1.0, "Weight of the features on the way down, where the picture is known.", low=0)
    painting: float = setting(1.0, "Weight of painting at several layers; 0 for inversion alone.", low=0)
    detail: float = setting(1.0, "Largest share of the photo's own features while painting.", low=0, high=1)
    grain: float = setting(1.5 * GRAIN, "Largest deviation of the noise on the photo while painting.", low=0)
    loss: LossName = setting("solver", "Preset of the perceptual loss of painting.")
    tv_weight: float = setting(1e-6, "Weight of the total variation, half the sum of squares as published.", low=0)
    gradients: float = setting(0.0, "Share of the photos in whose place smooth colours are made.", low=0, high=1)
    jitter: float = setting(0.2, "Of the colours of photos and paintings.", low=0)
    seed: int = setting(0, "For whatever is random.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.layers:
            raise InputError("a decoder is entered at one layer at least, and none was given")
        for name in ("hidden", "depths"):
            given = getattr(self, name)
            if given is not None and len(given) != 3:
                raise InputError(f"{name} has three numbers, for the ways to relu1_1, relu2_1 and relu3_1, not {len(given)}")
        if self.crop % 8:
            raise InputError(f"the crops of a decoder have a multiple of 8 pixels, not {self.crop}")


PUBLISHED = DecoderTraining(
    layers=("relu3_1", "relu4_1"),
    steps=80_000,
    batch=2,
    crop=256,
    zoom=(1.0, 1.0),
    balanced=False,
    final_rate=1.0,
    warmup=0,
    swapped=1.0,
    transformed=0.0,
    pixels=0.0,
    inner=0.0,
    painting=0.0,
    jitter=0.0,
)
"""The published values: content, style and all swaps, and nothing else (where the paper is silent, Chen and Schmidt's)."""
