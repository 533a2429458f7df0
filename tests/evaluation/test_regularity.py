"""How regular a texture is: cases whose answer is known, and the independent tool's figures."""

import importlib.util
from pathlib import Path

import pytest
import torch

from impasto.evaluation.regularity import regularity
from impasto.media.images import Picture, read_picture, write_picture

TOOL = Path(__file__).parents[3] / "shared/tools/weave.py"


def noise(size=192, seed=0):
    return 0.5 + 0.05 * torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(seed)).expand(-1, 3, -1, -1)


def woven(size=192, period=9):
    x = torch.arange(size) * (2 * torch.pi / period)
    return (0.5 + 0.1 * torch.sin(x)[:, None] * torch.sin(x)[None]).expand(1, 3, -1, -1)


def test_a_weave_is_regular_and_noise_is_not():
    assert regularity(woven()) > 0.7
    assert regularity(noise()) < 0.05
    assert regularity(noise()) < regularity((noise() + woven()) / 2) < regularity(woven())


def test_only_places_count_that_are_flat_in_the_photo_and_textured_in_the_picture():
    assert regularity(torch.full((1, 3, 96, 96), 0.5)) is None
    assert regularity(woven(), woven()) is None
    assert regularity(woven(), torch.full((1, 3, 192, 192), 0.5)) == regularity(woven())
    assert regularity(woven(40)) is None


@pytest.mark.skipif(not TOOL.exists(), reason="the independent tool is not here")
def test_agrees_with_the_independent_tool(tmp_path):
    loaded = importlib.util.spec_from_file_location("weave", TOOL)
    tool = importlib.util.module_from_spec(loaded)
    loaded.loader.exec_module(tool)
    for number, picture in enumerate((woven(), noise(), (noise(seed=1) + woven(period=13)) / 2)):
        path = write_picture(Picture(picture[0].clamp(0, 1)), tmp_path / f"{number}.png")
        assert regularity(read_picture(path).pixels[None]) == pytest.approx(tool.regularity(tool.luma(path))[0], abs=1e-3)
