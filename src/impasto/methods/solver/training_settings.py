"""How a solver is trained (Puy and Perez 2019, section 3.3); free of heavy imports."""

from dataclasses import dataclass
from typing import Literal

from impasto.errors import InputError
from impasto.perception.presets import LossName
from impasto.settings import Settings, setting


@dataclass(frozen=True)
class SolverTraining(Settings):
    """Settings of the training; the defaults are those of the bundled solver, FLEX the published values.

    early is the weight of the loss of earlier iterates, one of which is drawn at each step, with a whole horizon; with "all", every iterate
    counts fully.
    """

    iterations: int = setting(2, "N, trained updates in a row.", low=1)
    passes: int | None = setting(8, "Iterations; the last update is repeated where they are more than N.", low=1)
    horizon: Literal["whole", "step"] = setting("step", "Of the gradient: through all iterations, or each by itself.")
    width: int = setting(32, "L, channels of the finest scale.", low=1)
    shared: bool = setting(True, "One way down for all scales, or one for each.", form="--shared/--separate")
    gated: bool = setting(True, "Whether updates are gated.")
    feedback: bool = setting(True, "Whether the updates see the picture's own statistics.")
    clipped: bool = setting(True, "Whether every iterate is brought into the range of colours.")
    metric: bool = setting(True, "Whether Gram matrices are brought to the metric of the mean style.")
    normaliser: Literal["none", "alpha"] = setting("none", "What the filters are divided by: nothing, or the style's energy.")
    grain: float = setting(0.04, "Deviation of the noise that the updates see.", low=0)
    steps: int = setting(11_000, "Steps of the optimiser.", low=0)
    batch: int = setting(4, "Pairs of a step.", low=1)
    crop: int = setting(128, "Side of the training crops in pixels.", low=32)
    style_size: int = setting(224, "Side of the crops of styles in pixels.", low=32)
    zoom: tuple[float, float] = setting((0.7, 1.8), "Sides of the crops in the photo, times the crop.", above=0)
    style_zoom: tuple[float, float] = setting((0.9, 1.3), "Sides of the crops in the painting, times the style size.", above=0)
    learning_rate: float = setting(1e-3, "Of Adam.", above=0)
    balanced: bool = setting(True, "Whether filters of many inputs take smaller steps.")
    final_rate: float = setting(0.02, "What the learning rate falls to, times its height.", low=0)
    warmup: int = setting(100, "Steps over which the rate rises.", low=0)
    clip: float = setting(1.0, "Largest norm of a gradient; 0 for any.", low=0)
    start_share: float = setting(0.0, "Share in the result of the weights that it began with.", low=0, high=1)
    keep_scale: float = setting(0.9, "Probability that a scale counts.", above=0, high=1)
    paintings: float = setting(0.8, "Share of styles that are paintings, where there are any.", low=0, high=1)
    early: float | Literal["all"] = setting(0.3, "Weight of earlier iterates, with a whole horizon.", low=0, shown=False)
    noise: float = setting(0.0, "Largest amplitude of the uniform noise on both pictures.", low=0)
    jitter: float = setting(0.2, "Of the styles' colours.", low=0)
    loss: LossName = setting("solver", "Preset of the perceptual loss.")
    seed: int = setting(0, "For whatever is random.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.passes is not None and self.passes < self.iterations:
            raise InputError(f"{self.passes} passes are fewer than the {self.iterations} updates")


FLEX = SolverTraining(
    iterations=4,
    passes=None,
    horizon="whole",
    width=64,
    feedback=False,
    clipped=False,
    metric=False,
    normaliser="alpha",
    grain=0.0,
    steps=2_000_000,
    batch=1,
    crop=320,
    style_size=320,
    zoom=(1.0, 1.0),
    style_zoom=(1.0, 1.0),
    learning_rate=2e-5,
    balanced=False,
    final_rate=1.0,
    warmup=0,
    clip=0.0,
    paintings=0.0,
    early="all",
    noise=0.1,
    jitter=0.0,
    loss="flex",
)
"""The published values, N = 4 and L = 64, where the paper states them."""
