"""Weights of the terms of a loss by their gradients: published ones depend on normalisations that the papers do not state."""

from collections.abc import Mapping

import torch
from torch import Tensor


def gradient_norms(terms: Mapping[str, Tensor], frames: Tensor) -> dict[str, float]:
    """Root mean square of the gradient of each term with respect to the painted frames."""
    norms = {}
    for name, term in terms.items():
        (gradient,) = torch.autograd.grad(term, frames, retain_graph=True, allow_unused=True)
        norms[name] = 0.0 if gradient is None else float(gradient.double().square().mean().sqrt())
    return norms


def calibrated(norms: Mapping[str, float], fractions: Mapping[str, float], *, base: str = "perceptual") -> dict[str, float]:
    """Weights that give every term its fraction of the gradient of `base`, by norms of the unweighted terms.

    A term without gradient, as a residual at its optimum, has no weight: 0.
    """
    return {name: fraction * norms[base] / norms[name] if norms[name] > 0 else 0.0 for name, fraction in fractions.items()}
