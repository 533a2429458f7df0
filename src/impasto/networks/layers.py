"""Names and numbers that networks share with settings; free of heavy imports."""

from typing import Literal, get_args

Layer = Literal["relu1_1", "relu2_1", "relu3_1", "relu4_1"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
"""Layers whose features are changed and decoded, from shallow to deep; layer n at a stride of 2^(n-1)."""
GRAIN = 0.04
"""Usual deviation of the grain, where white is 1."""
FIRST = 640
"""Longer side, in pixels, up to which a picture is painted in one pass."""
