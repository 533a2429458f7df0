"""How learning rates change over a training: the factor at a step, from 0, on what the rate was set to."""

import math


def linear(step: int, steps: int, *, final: float = 0.0, warmup: int = 0) -> float:
    """Rising to 1 over the first `warmup` steps, and falling along a line to `final` at the end."""
    return _rising(step, warmup) * (1 - (1 - final) * step / max(1, steps))


def cosine(step: int, steps: int, *, final: float = 0.0, warmup: int = 0) -> float:
    """Rising to 1 over the first `warmup` steps, and falling along half a cosine to `final` at the end."""
    return _rising(step, warmup) * (final + (1 - final) * 0.5 * (1 + math.cos(math.pi * step / max(1, steps))))


def inverse(step: int, *, decay: float) -> float:
    """Divided by 1 + decay * step."""
    return 1 / (1 + decay * step)


def staircase(step: int, *, every: int, factor: float, least: float) -> float:
    """Divided by `factor` every so many steps, until it is `least`."""
    return max(least, factor ** -(step // every))


def _rising(step: int, warmup: int) -> float:
    return min(1.0, (step + 1) / max(1, warmup))
