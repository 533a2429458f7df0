"""What can be turned of the solver while it runs (Puy and Perez 2019)."""

from collections.abc import Sequence
from dataclasses import dataclass

from impasto.errors import InputError
from impasto.settings import PHOTO_WEIGHT, Settings, setting, strength

STRONGEST = 2.0
"""Largest strength that is taken; the paper shows 0.2 to 1.4."""
MOST_PASSES = 64
"""Most iterations that are taken."""
CONSISTENCY = 0.37
"""lambda_R of the paper (section 4.4)."""


@dataclass(frozen=True)
class SolverSettings(Settings):
    """How the updates are weighed.

    strength multiplies the weights of all scales. passes: None for as many as the network was trained for.
    """

    scales: Sequence[float] = setting(
        (1.0,) * 5,
        "Weights of the five scales, finest first, as 1,1,1,0,0; 0 switches one off.",
        low=0,
        form="five numbers with commas between, as 1,1,1,0,0",
    )
    photoreal: float = setting(
        0.0, f"Keep the picture a photograph, only its colours and light change: weight {PHOTO_WEIGHT:g}.", low=0, flag=PHOTO_WEIGHT
    )
    consistency: float = setting(CONSISTENCY, "Films: weight of the frame before, 0 for none.", low=0)
    grain: float = setting(1.0, "Noise that the updates see, times the usual.", low=0)
    passes: int | None = setting(
        None, "Iterations: fewer are faster.", low=1, high=MOST_PASSES, says=f"there are 1 to {MOST_PASSES} iterations"
    )
    strength: float = strength(STRONGEST)

    def __post_init__(self) -> None:
        wrong = f"there are five scales with a weight of at least 0 each, not {', '.join(f'{scale:g}' for scale in self.scales)}"
        if len(self.scales) != 5 or not all(0 <= scale < float("inf") for scale in self.scales):
            raise InputError(wrong)
        super().__post_init__()
