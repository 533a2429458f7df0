"""A small solver with random weights, steered by the tiny encoder of the tests."""

import pytest
import torch

from impasto.methods.solver.network import SolverNetwork


@pytest.fixture(params=[False, True], ids=["published", "feedback"])
def network(request):
    torch.manual_seed(0)
    own = SolverNetwork(
        3, 4, (4, 6, 8, 8, 8), feedback=request.param, clipped=request.param, normaliser="none" if request.param else "alpha"
    )
    return own.requires_grad_(False)
