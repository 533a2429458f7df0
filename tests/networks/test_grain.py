"""The grain: cubic interpolation as PyTorch's, and always the same for a size."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from impasto.networks import grain


@pytest.mark.parametrize(("cells", "size"), [((13, 9), (25, 17)), ((4, 4), (64, 50))])
def test_cells_run_into_one_another_by_cubic_interpolation(cells, size):
    given = np.random.default_rng(1).random((1, 1, *cells), dtype=np.float32)
    (_, rows), (_, columns) = (grain._brought_up(few, many, 0, many, smooth=True) for few, many in zip(cells, size, strict=True))
    wanted = F.interpolate(torch.from_numpy(given), size=size, mode="bicubic", align_corners=False)
    np.testing.assert_allclose(rows @ given @ columns.T, wanted.numpy(), atol=1e-5)


def test_a_size_is_painted_with_the_same_grain_each_time():
    first, second = (grain.painted((40, 61), smooth=True) for _ in range(2))
    assert first.shape == (1, 1, 40, 61)
    np.testing.assert_array_equal(first, second)
    assert 0.6 < first.std() < 1.2
    assert abs(first.mean()) < 0.2
