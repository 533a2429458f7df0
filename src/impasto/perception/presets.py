"""What perceptual losses are made of: the published ones and our own, by name. Free of heavy imports."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

LossName = Literal[
    "impasto", "finishing", "feedforward", "strokes", "solver", "yardstick", "gatys", "metastyle", "flex", "ruder", "reconet", "adain"
]
"""The names of PRESETS."""


@dataclass(frozen=True)
class LossSettings:
    """What a perceptual loss is made of. The presets below are the published ones and our own.

    pyramid is at how many sizes the style is compared, each half of the one before: small ones see large strokes. content_layers and
    style_layers map a layer to its weight a_l or b_l. backbone, family and pool say which network
    the weights were meant for (family 1: Caffe, 2: ImageNet mean/std, 3: normalised filters; 0: any, since the
    distances are relative); they choose nothing by themselves.
    """

    content_layers: Mapping[str, float]
    style_layers: Mapping[str, float]
    content_weight: float = 1.0
    style_weight: float = 1.0
    tv_weight: float = 0.0
    range_weight: float = 0.0
    content_normaliser: str = "none"
    style_statistic: str = "gram"
    gram_norm: str = "n"
    style_reduction: str = "mean"
    style_target_norm: str = "none"
    tv: str = "l1mean"
    pyramid: int = 1
    backbone: str = "vgg19"
    family: int = 3
    pool: str = "max"


def _even(*layers: str, weight: float = 1.0) -> dict[str, float]:
    return dict.fromkeys(layers, weight)


_VGG16_STYLE = _even("relu1_2", "relu2_2", "relu3_3", "relu4_3")
_FIVE = _even("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")
_FOUR = _even("relu1_1", "relu2_1", "relu3_1", "relu4_1", weight=0.25)

_FEEDFORWARD = LossSettings(
    _even("relu4_1"),
    _FOUR,
    0.3,
    1.0,
    0.02,
    content_normaliser="energy",
    style_reduction="relative",
    family=0,
)

PRESETS: Mapping[str, LossSettings] = {
    # Ours: relative Gram errors, so that no layer and no painting needs a weight of its own. A narrow encoder sees little of what
    # VGG-19's relu4_2 sees: what it keeps at several layers is kept for VGG-19 too.
    "impasto": LossSettings(
        {"relu4_2": 0.5, "relu4_1": 0.2, "relu3_1": 0.2, "relu2_1": 0.1},
        _FOUR,
        0.02,
        1.0,
        0.01,
        10.0,
        content_normaliser="variance",
        style_reduction="relative",
        family=0,
    ),
    # The same for pictures that are painted already, with content where the yardstick has it: a few steps keep what there is, and flat
    # places are free to take strokes.
    "finishing": LossSettings(
        _even("relu4_2"),
        _FOUR,
        0.2,
        1.0,
        0.01,
        10.0,
        content_normaliser="energy",
        style_reduction="relative",
        family=0,
    ),
    # The same for networks that paint in one pass: they need more of the content term, or contours go. Divided by its energy it
    # does not blow up on contents without any contours.
    "feedforward": _FEEDFORWARD,
    # The same with the style at three sizes, so that networks learn large strokes, which less of the content term lets them paint.
    "strokes": replace(_FEEDFORWARD, content_weight=0.2, pyramid=3),
    # The same for the solver, with all five layers that it is steered by: content where the yardstick has it.
    "solver": LossSettings(
        _even("relu4_2"),
        _FOUR | {"relu5_1": 0.05},
        0.15,
        1.0,
        0.02,
        1.0,
        content_normaliser="energy",
        style_reduction="log",
        family=0,
    ),
    # The yardstick of the benchmarks: 0 for the perfect picture, about 0.5 to 1 for the photo itself.
    "yardstick": LossSettings(
        _even("relu4_2"),
        _FOUR,
        0.05,
        1.0,
        0.0,
        10.0,
        content_normaliser="energy",
        style_reduction="relative",
        family=0,
    ),
    # Gatys et al. 2016, weights of the authors' notebooks: 1e3 / c_l^2 on the sum of squares.
    "gatys": LossSettings(_even("relu4_2"), _FIVE, 1.0, 1e3, family=1),
    # Zhang et al. 2019 (MetaStyle), as their code computes it.
    "metastyle": LossSettings(_even("relu2_2"), _VGG16_STYLE, 1.0, 1e5, gram_norm="chw", backbone="vgg16", family=2),
    # Puy and Perez 2019 (Flexible Convolutional Solver).
    "flex": LossSettings(_even("relu4_2"), _FIVE, 0.02, 1.0, 0.3, style_target_norm="alpha", family=2),
    # Ruder et al. 2018, feed-forward.
    "ruder": LossSettings(_even("relu3_3"), _VGG16_STYLE, 1.0, 10.0, 1e-6, gram_norm="chw", tv="l2sum", backbone="vgg16", family=1),
    # ReCoNet, values of a public re-implementation: the paper does not state its weights.
    "reconet": LossSettings(
        _even("relu3_3"),
        dict(zip(_VGG16_STYLE, (0.1, 1.0, 10.0, 5.0), strict=True)),
        2.7e6,
        1e10,
        3e-2,
        gram_norm="chw",
        tv="l2sum",
        backbone="vgg16",
        family=2,
    ),
    # Huang and Belongie 2017 (AdaIN): means and deviations; the content target is the AdaIN output itself.
    "adain": LossSettings(
        _even("relu4_1"),
        _even("relu1_1", "relu2_1", "relu3_1", "relu4_1"),
        1.0,
        1e-2,
        style_statistic="moments",
        style_reduction="mean",
    ),
}
