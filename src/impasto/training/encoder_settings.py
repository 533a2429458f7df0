"""How the compact encoder is distilled; free of heavy imports."""

from dataclasses import dataclass

from impasto.errors import InputError
from impasto.settings import Settings, setting
from impasto.training.recipe import PAINTINGS, PHOTOS, Material, Recipe


@dataclass(frozen=True)
class EncoderTraining(Settings):
    """Settings of the distillation."""

    channels: tuple[int, ...] = setting((32, 64, 96, 192, 192), "Width of the five blocks.", low=1)
    depths: tuple[int, ...] = setting((2, 2, 2, 2, 1), "Convolutions of the five blocks, at most those of the teacher.", low=1)
    steps: int = setting(5200, "Steps of the optimiser.", low=0)
    batch: int = setting(6, "Lessons of a step, a picture, its photo and a painting each; at least one fresh and one painted.", low=1)
    crop: int = setting(128, "Side of the training crops in pixels.", low=64)
    wide_batch: int = setting(2, "The same of every other step; 0 for steps of one size.", low=0)
    wide_crop: int = setting(224, "Side of the crops of these steps in pixels.", low=64)
    learning_rate: float = setting(1e-3, "Of Adam.", above=0)
    warmup: int = setting(100, "Steps over which the rate rises.", low=0)
    features_weight: float = setting(0.5, "Weight of the term of features.", low=0)
    gram_weight: float = setting(0.5, "Weight of the term of Gram matrices.", low=0)
    distance_weight: float = setting(0.25, "Weight of the term of style distances.", low=0)
    content_weight: float = setting(0.25, "Weight of the term of content distances.", low=0)
    gradient_weight: float = setting(1.0, "Weight of the term of gradients.", low=0)
    content_share: float = setting(0.3, "Weight of the content distance in the gradients.", low=0)
    noise: float = setting(0.1, "Largest deviation of the noise on photos.", low=0)
    fresh_share: float = setting(1 / 3, "Share of the lessons that judge photos, not what was painted.", low=0, high=1)
    pool: int = setting(96, "Lessons of each kind, fresh or painted, and size that are kept with what the teacher says about them.", low=1)
    fresh_every: int = setting(4, "Steps of a size between fresh lessons.", low=1)
    paint_every: int = setting(12, "Steps of a size between painted lessons.", low=1)
    paint_steps: int = setting(40, "Iterations that a picture is painted with, or painted further.", low=1)
    paint_content: tuple[float, float] = setting((0.02, 0.3), "Range of the weight of the content while painting.", above=0)
    clip: float = setting(1.0, "Largest norm of a gradient; 0 for any.", low=0)
    seed: int = setting(0, "For whatever is random.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.channels) != 5:
            raise InputError(f"an encoder has five blocks, and {len(self.channels)} widths were given")
        if len(self.depths) != 5 or self.depths[3] < 2:
            raise InputError(f"an encoder has five blocks, of which the fourth has at least two convolutions; depths are {self.depths}")


RECIPE = Recipe(
    "encoder",
    "Distil VGG-19 into a compact encoder.",
    {"recommended": EncoderTraining()},
    {
        "content": PHOTOS,
        "style": PAINTINGS,
        "start": Material("A compact encoder to train further."),
        "teacher": Material("Network to learn from: vgg19, or a safetensors file.", default="vgg19"),
    },
    "impasto.training.encoder:run",
    "compact",
)
