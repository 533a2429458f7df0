"""Regularisers of the solver: what is wired in after every update (Puy and Perez 2019, section 3.4).

    P_R(Y) = argmin_X  1/2 |X - Y|^2 + w R(X)

A regulariser is any object with `prox(y, weight) -> x` for pictures (B, 3, H, W). A new one takes five lines:

    class Quiet:
        \"""Pulls the picture towards its mean colour.\"""
        def prox(self, y, weight):
            mean = y.mean((2, 3), keepdim=True)
            return (y + 2 * weight * mean) / (1 + 2 * weight)

Ours are quadratic, R(X) = <X, A X> - 2 <X, b> with a symmetric A >= 0, so that P_R solves (I + 2 w A) X = Y + 2 w b; several of
them are solved together, where the paper composes their maps.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor

from impasto.errors import ImpastoError, InputError

Operator = Callable[[Tensor], Tensor]


@runtime_checkable
class Regulariser(Protocol):
    """What the solver needs of a regulariser."""

    def prox(self, y: Tensor, weight: float) -> Tensor:
        """The picture nearest to y, (B, 3, H, W), in the sense of the regulariser with this weight."""
        ...


@runtime_checkable
class Quadratic(Regulariser, Protocol):
    """A regulariser <X, A X> - 2 <X, b>, which can be solved together with others."""

    def apply(self, x: Tensor) -> Tensor:
        """A x."""
        ...

    @property
    def target(self) -> Tensor | float:
        """b, of the size of the picture; 0 for none."""
        ...


@dataclass(frozen=True)
class Term:
    """A regulariser and its weight, at least 0."""

    regulariser: Regulariser
    weight: float


@dataclass(frozen=True)
class Solution:
    """What an iterative solver reached: the picture, |b - A x| / |b| of the worst channel, and the steps it took."""

    x: Tensor
    residual: float
    steps: int


def conjugate_gradients(
    operator: Operator, right: Tensor, start: Tensor, *, steps: int = 60, tolerance: float = 1e-3, check: int = 4
) -> Solution:
    """Solve A x = right for each channel of (B, C, H, W) on its own; A symmetric, positive definite. Stops at the relative residual."""
    x = start.clone()
    residual = right - operator(x)
    direction, energy = residual.clone(), _dot(residual, residual)
    scale = _dot(right, right).clamp_min(torch.finfo(right.dtype).tiny)
    reached, taken = _relative(energy, scale), 0
    while taken < steps and reached > tolerance:
        turned = operator(direction)
        length = energy / _dot(direction, turned).clamp_min(torch.finfo(right.dtype).tiny)
        x.addcmul_(length, direction)
        residual.addcmul_(length, turned, value=-1)
        before, energy = energy, _dot(residual, residual)
        direction.mul_(energy / before.clamp_min(torch.finfo(right.dtype).tiny)).add_(residual)
        taken += 1
        if taken % check == 0 or taken == steps:
            reached = _relative(energy, scale)
    return Solution(x, reached, taken)


def chebyshev_polynomial(laplacian: Operator, y: Tensor, weight: float, *, largest: float, degree: int = 100) -> Tensor:
    """(I + 2 weight L)^{-1} y by the truncated Chebyshev series of 1 / (1 + 2 weight x) on [0, largest]: graph filtering as in the paper.

    The coefficients are known: (1/s) [1 + 2 sum_k (-q)^k T_k], s^2 = 1 + 2 weight largest, q = (1 + weight largest - s) / (weight
    largest). The error is at most 2 q^(degree + 1) / ((1 - q) s). The series is divided by its value at 0, so that constants stay.
    """
    if weight == 0:
        return y
    root = math.sqrt(1 + 2 * weight * largest)
    q = (1 + weight * largest - root) / (weight * largest)
    before, current = y, (2 / largest) * laplacian(y) - y
    total, at_zero, power = y - 2 * q * current, 1 + 2 * q, -q
    for _ in range(2, degree + 1):
        before, current = current, 2 * ((2 / largest) * laplacian(current) - current) - before
        power *= -q
        total = total + 2 * power * current
        at_zero += 2 * abs(power)
    return total / at_zero


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((-2, -1), keepdim=True)


def _relative(energy: Tensor, scale: Tensor) -> float:
    return float((energy / scale.clamp_min(torch.finfo(scale.dtype).tiny)).max().sqrt())


def solve_together(terms: Sequence[Term], y: Tensor, *, steps: int = 60, tolerance: float = 1e-3) -> Solution:
    """The proximal map of the sum of quadratic regularisers: one symmetric positive definite system, by conjugate gradients."""
    parts: list[tuple[Quadratic, float]] = []
    for term in terms:
        assert isinstance(term.regulariser, Quadratic)
        parts.append((term.regulariser, 2 * term.weight))
    right = y
    for part, weight in parts:
        right = right + weight * part.target

    def operator(x: Tensor) -> Tensor:
        result = x
        for part, weight in parts:
            result = result + weight * part.apply(x)
        return result

    return conjugate_gradients(operator, right, y, steps=steps, tolerance=tolerance)


def proximal_map(terms: Sequence[Term]) -> Operator | None:
    """The map that the solver applies after each update; None without terms.

    One regulariser is asked itself; quadratic ones are solved together; others follow in their order. Raises InputError for a
    weight below 0 or an object without `prox`, and, when called, ImpastoError that names a regulariser which gives NaN, infinity,
    or a picture of another size.
    """
    for term in terms:
        if not isinstance(term.regulariser, Regulariser):
            raise InputError(f"{type(term.regulariser).__name__} is no regulariser: it has no prox(y, weight)")
        if not 0 <= term.weight < float("inf"):
            raise InputError(f"the weight of {type(term.regulariser).__name__} is a number from 0 on, not {term.weight:g}")
    active = [term for term in terms if term.weight > 0]
    quadratic = [term for term in active if isinstance(term.regulariser, Quadratic)]
    together = quadratic if len(quadratic) > 1 else []
    alone = [term for term in active if term not in together]
    if not active:
        return None

    def apply(y: Tensor) -> Tensor:
        x = y
        if together:
            names = " and ".join(type(term.regulariser).__name__ for term in together)
            x = checked(solve_together(together, x).x, x, names)
        for term in alone:
            x = checked(term.regulariser.prox(x, term.weight), x, type(term.regulariser).__name__)
        return x

    return apply


def checked(x: Tensor, y: Tensor, name: str) -> Tensor:
    """x, if it is a finite picture of the size of y. Raises ImpastoError that names the regulariser."""
    if not isinstance(x, Tensor) or x.shape != y.shape:
        found = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise ImpastoError(f"the proximal operator of {name} gave {found} for a picture {tuple(y.shape)}")
    if not bool(torch.isfinite(x).all()):
        raise ImpastoError(f"the proximal operator of {name} gave values that are not finite numbers")
    return x
