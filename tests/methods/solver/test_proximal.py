"""Proximal maps: against direct solutions, gradients and limits; a user's own regulariser; what goes wrong is named."""

import re
from pathlib import Path

import pytest
import torch

from impasto.errors import ImpastoError, InputError
from impasto.methods.solver.matting import LARGEST_EIGENVALUE, MattingLaplacian, matting_laplacian
from impasto.methods.solver.photo import Photo
from impasto.methods.solver.proximal import (
    Quadratic,
    Term,
    chebyshev_polynomial,
    conjugate_gradients,
    proximal_map,
    solve_together,
)
from impasto.methods.solver.temporal import Consistency


def picture(height=12, width=14, seed=0, dtype=torch.float64):
    return torch.rand(3, height, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def dense(laplacian: MattingLaplacian, height: int, width: int) -> torch.Tensor:
    eye = torch.eye(height * width, dtype=torch.float64).view(-1, height, width)
    return laplacian(eye).reshape(height * width, -1).T


def reference_laplacian(image: torch.Tensor, eps: float) -> torch.Tensor:
    """Window by window, as the formula is written."""
    _, height, width = image.shape
    total = torch.zeros(height * width, height * width, dtype=torch.float64)
    for top in range(height - 2):
        for left in range(width - 2):
            places = torch.tensor([(top + i) * width + left + j for i in range(3) for j in range(3)])
            colors = image.reshape(3, -1)[:, places].T
            centred = colors - colors.mean(0)
            inverse = torch.linalg.inv(centred.T @ centred / 9 + eps / 9 * torch.eye(3, dtype=torch.float64))
            coupling = (1 + centred @ inverse @ centred.T) / 9
            total[places[:, None], places] += torch.eye(9, dtype=torch.float64) - coupling
    return total


def test_the_stencil_is_the_matting_laplacian():
    image = picture()
    matrix = dense(matting_laplacian(image, dtype=torch.float64), 12, 14)
    torch.testing.assert_close(matrix, reference_laplacian(image, 1e-7), atol=1e-9, rtol=0)


def test_its_spectrum_lies_between_0_and_9_and_constants_pass():
    laplacian = matting_laplacian(picture(), dtype=torch.float64)
    matrix = dense(laplacian, 12, 14)
    torch.testing.assert_close(matrix, matrix.T)
    values = torch.linalg.eigvalsh(matrix)
    assert values[0] > -1e-9
    assert values[-1] < LARGEST_EIGENVALUE
    assert laplacian(torch.ones(1, 12, 14, dtype=torch.float64)).abs().max() < 1e-9


def test_float32_products_are_close_to_float64():
    image = picture(40, 40)
    x = picture(40, 40, 1)
    exact = matting_laplacian(image, dtype=torch.float64)(x)
    assert (matting_laplacian(image)(x.float()) - exact).norm() / exact.norm() < 1e-5


def test_too_small_a_picture_has_no_matting_laplacian():
    with pytest.raises(ValueError, match="3x3"):
        matting_laplacian(torch.rand(3, 2, 9))


@pytest.mark.parametrize("weight", [5.0, 50.0])
def test_all_solvers_reach_the_direct_solution(weight):
    image, y = picture(32, 40), picture(32, 40, 1, torch.float32)[None]
    exact = Photo(image, solver="direct").prox(y, weight)
    error = lambda x: float((x - exact).norm() / exact.norm())  # noqa: E731
    matrix = dense(matting_laplacian(image, dtype=torch.float64), 32, 40)
    by_hand = torch.linalg.solve(torch.eye(len(matrix), dtype=torch.float64) + 2 * weight * matrix, y[0].double().reshape(3, -1).T).T
    assert float((exact[0].reshape(3, -1) - by_hand).norm() / by_hand.norm()) < 1e-5
    assert error(Photo(image).prox(y, weight)) < 1e-3
    assert error(Photo(image, solver="chebyshev").prox(y, weight)) < 2e-3


def test_the_chebyshev_series_has_the_known_error():
    """On the identity times a value, the filter is a number: 1 / (1 + 2 w x)."""
    root = (1 + 2 * 50 * 9) ** 0.5
    q = (1 + 50 * 9 - root) / (50 * 9)
    y = torch.ones(1, 1, 1, 1, dtype=torch.float64)
    for degree in (60, 100):
        for value in (0.0, 0.1, 3.0, 9.0):
            found = chebyshev_polynomial(lambda x, v=value: v * x, y, 50.0, largest=9.0, degree=degree)
            assert abs(float(found) - 1 / (1 + 100 * value)) < 4 * q ** (degree + 1) / ((1 - q) * root)


def test_constants_pass_the_photo_filter():
    image, y = picture(20, 20), torch.full((1, 3, 20, 20), 0.3)
    for solver in ("cg", "chebyshev", "direct"):
        torch.testing.assert_close(Photo(image, solver=solver).prox(y, 50.0), y, atol=1e-4, rtol=0)


def test_conjugate_gradients_tell_their_residual_and_stop():
    matrix = torch.diag(torch.linspace(1, 100, 30, dtype=torch.float64))
    right = torch.rand(1, 2, 1, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    solved = conjugate_gradients(lambda x: x @ matrix, right, torch.zeros_like(right), steps=100, tolerance=1e-8)
    assert solved.residual <= 1e-8
    assert solved.steps < 100
    torch.testing.assert_close(solved.x @ matrix, right, atol=1e-6, rtol=0)
    still = conjugate_gradients(lambda x: x @ matrix, right, solved.x, steps=100, tolerance=1e-6)
    assert still.steps == 0


def test_consistency_minimises_what_it_says():
    generator = torch.Generator().manual_seed(0)
    y, before = (torch.rand(1, 3, 8, 9, generator=generator, dtype=torch.float64) for _ in range(2))
    mask = (torch.rand(1, 1, 8, 9, generator=generator) > 0.5).double()
    x = Consistency(before, mask).prox(y, 0.37).requires_grad_(True)
    (0.5 * (x - y).square().sum() + 0.37 * (mask * (before - x)).square().sum()).backward()
    assert x.grad.abs().max() < 1e-12
    blend = 0.74 / 1.74
    torch.testing.assert_close(x[mask.expand_as(x) > 0], ((1 - blend) * y + blend * before)[mask.expand_as(y) > 0])


def test_photo_and_consistency_are_solved_together():
    generator = torch.Generator().manual_seed(0)
    image = picture(16, 18)
    y, before = (torch.rand(1, 3, 16, 18, generator=generator) for _ in range(2))
    mask = (torch.rand(1, 1, 16, 18, generator=generator) > 0.5).float()
    photo, steady = Photo(image), Consistency(before, mask)
    assert isinstance(photo, Quadratic)
    assert isinstance(steady, Quadratic)
    x = proximal_map([Term(photo, 50.0), Term(steady, 0.37)])(y)
    matrix = dense(matting_laplacian(image, dtype=torch.float64), 16, 18)
    trust = mask[0, 0].double().flatten()
    system = torch.eye(len(matrix), dtype=torch.float64) + 100 * matrix + 0.74 * torch.diag(trust)
    right = y[0].double().reshape(3, -1) + 0.74 * trust * before[0].double().reshape(3, -1)
    exact = torch.linalg.solve(system, right.T).T.reshape(1, 3, 16, 18)
    assert float((x - exact).norm() / exact.norm()) < 1e-3
    assert solve_together([Term(photo, 50.0), Term(steady, 0.37)], y).residual < 1e-2


class Quiet:
    """Pulls the picture towards its mean colour."""

    def prox(self, y, weight):
        mean = y.mean((2, 3), keepdim=True)
        return (y + 2 * weight * mean) / (1 + 2 * weight)


def test_five_lines_make_a_regulariser():
    y = torch.rand(1, 3, 8, 8)
    calm = proximal_map([Term(Quiet(), 1.0)])(y)
    torch.testing.assert_close(calm.std((2, 3)), y.std((2, 3)) / 3)
    torch.testing.assert_close(calm.mean((2, 3)), y.mean((2, 3)))


def test_the_example_of_the_docs_is_this_one():
    text = (Path(__file__).resolve().parents[3] / "docs/solver.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(class .*?)```", text, re.DOTALL)
    found: dict[str, type] = {}
    exec(block, found)
    y = torch.rand(1, 3, 8, 8)
    assert torch.equal(found["Quiet"]().prox(y, 0.3), Quiet().prox(y, 0.3))
    assert len(block.split('"""')[2].strip().splitlines()) + 2 <= 5


def test_the_order_of_other_regularisers_is_kept():
    class Double:
        def prox(self, y, weight):
            return 2 * y

    class Add:
        def prox(self, y, weight):
            return y + weight

    y = torch.ones(1, 3, 2, 2)
    assert torch.equal(proximal_map([Term(Double(), 1.0), Term(Add(), 1.0)])(y), 3 * y)
    assert torch.equal(proximal_map([Term(Add(), 1.0), Term(Double(), 1.0)])(y), 4 * y)


def test_a_weight_of_zero_is_no_regulariser():
    assert proximal_map([Term(Quiet(), 0.0)]) is None
    assert proximal_map([]) is None


def test_what_goes_wrong_in_a_regulariser_is_caught_and_named():
    class Broken:
        def prox(self, y, weight):
            return y * float("nan")

    class Cropped:
        def prox(self, y, weight):
            return y[..., 1:]

    class Nothing:
        pass

    y = torch.rand(1, 3, 8, 8)
    with pytest.raises(ImpastoError, match="Broken gave values that are not finite"):
        proximal_map([Term(Broken(), 1.0)])(y)
    with pytest.raises(ImpastoError, match="Cropped gave"):
        proximal_map([Term(Cropped(), 1.0)])(y)
    with pytest.raises(InputError, match="Nothing is no regulariser"):
        proximal_map([Term(Nothing(), 1.0)])
    with pytest.raises(InputError, match="weight of Quiet"):
        proximal_map([Term(Quiet(), -1.0)])
    with pytest.raises(InputError, match="solved by cg, chebyshev, direct"):
        Photo(picture(), solver="magic")
