"""The layers whose features are changed and decoded, by name; free of heavy imports."""

from typing import Literal, get_args

Layer = Literal["relu1_1", "relu2_1", "relu3_1", "relu4_1"]
LAYERS: tuple[Layer, ...] = get_args(Layer)
"""From shallow to deep; layer n at a stride of 2^(n-1)."""
