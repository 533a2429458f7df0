"""The matting system solved by a sparse factorisation: slow, exact, the reference of the iterative solvers."""

import numpy as np
import torch
from torch import Tensor

from impasto.errors import InputError
from impasto.methods.solver.matting import OFFSETS, MattingLaplacian


def solve_directly(laplacian: MattingLaplacian, y: Tensor, weight: float) -> Tensor:
    """(I + 2 weight L)^{-1} y in float64, for (B, C, H, W). Raises InputError without SciPy."""
    try:
        from scipy.sparse import coo_array, eye_array
        from scipy.sparse.linalg import splu
    except ImportError:
        raise InputError("the direct solver needs SciPy: pip install scipy") from None
    height, width = y.shape[-2:]
    places = np.arange(height * width).reshape(height, width)
    rows, columns, values = [places.ravel()], [places.ravel()], [(laplacian.degree - laplacian.weights[0]).double().numpy().ravel()]
    for (down, right), weights in zip(OFFSETS[1:], laplacian.weights[1:], strict=True):
        here = (slice(0, height - down), slice(max(0, -right), width - max(0, right)))
        other = (slice(down, height), slice(max(0, right), width + min(0, right)))
        coupling = -weights[here].double().numpy().ravel()
        for first, second in ((here, other), (other, here)):
            rows.append(places[first].ravel())
            columns.append(places[second].ravel())
            values.append(coupling)
    size = height * width
    matrix = coo_array((np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))), shape=(size, size))
    factors = splu((eye_array(size) + 2 * weight * matrix).tocsc())
    channels = y.double().reshape(-1, size).numpy().T
    return torch.from_numpy(factors.solve(channels).T.copy()).reshape(y.shape).to(y.dtype)
