"""Photo-realism: the output is locally an affine function of the photo's colours (Puy and Perez 2019, section 4.3).

R(X) = Tr(X^T L X) with the matting Laplacian L of the photo. Published weight: 50.
"""

import copy

import torch
from torch import Tensor

from impasto.errors import InputError
from impasto.methods.solver.direct import solve_directly
from impasto.methods.solver.matting import LARGEST_EIGENVALUE, MattingLaplacian, matting_laplacian
from impasto.methods.solver.proximal import Term, chebyshev_polynomial, solve_together

SOLVERS = ("cg", "chebyshev", "direct")


class Photo:
    """The regulariser of a photo (3, H, W), RGB in [0, 1].

    solver: "cg", conjugate gradients; "chebyshev", the paper's polynomial filter; "direct", a sparse factorisation (needs
    SciPy; slow, the reference). Raises InputError for another name.
    """

    def __init__(self, photo: Tensor, *, solver: str = "cg", steps: int = 100, tolerance: float = 7e-3):
        if solver not in SOLVERS:
            raise InputError(f"the matting system is solved by {', '.join(SOLVERS)}, not by {solver!r}")
        self.laplacian: MattingLaplacian = matting_laplacian(photo)
        self.solver, self.steps, self.tolerance = solver, steps, tolerance
        self.target = 0.0

    def apply(self, x: Tensor) -> Tensor:
        """L x."""
        return self.laplacian(x)

    def prox(self, y: Tensor, weight: float) -> Tensor:
        """(I + 2 weight L)^{-1} y."""
        if self.solver == "chebyshev":
            return chebyshev_polynomial(self.laplacian, y, weight, largest=LARGEST_EIGENVALUE)
        if self.solver == "direct":
            return solve_directly(self.laplacian, y, weight)
        return solve_together([Term(self, weight)], y, steps=self.steps, tolerance=self.tolerance).x


ROUGH_STEPS, EXACT_STEPS = 6, 60
"""Steps of conjugate gradients for the matting Laplacian, at most: on the way, and after the last update."""


class Photos:
    """The matting regularisers of a batch of photos (B, 3, H, W), one for each."""

    def __init__(self, photos: Tensor):
        self.each = [Photo(photo) for photo in photos.float()]
        self.steps, self.tolerance, self.target = EXACT_STEPS, 7e-3, 0.0

    def rough(self) -> "Photos":
        """The same, solved in few steps: for iterations that others follow."""
        other = copy.copy(self)
        other.steps = ROUGH_STEPS
        return other

    def apply(self, x: Tensor) -> Tensor:
        """L x of each photo."""
        return torch.stack([matrix.apply(part) for matrix, part in zip(self.each, x, strict=True)])

    def prox(self, y: Tensor, weight: float) -> Tensor:
        """The proximal map of each photo."""
        return solve_together([Term(self, weight)], y, steps=self.steps, tolerance=self.tolerance).x
