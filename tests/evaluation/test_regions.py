"""Figures of semantic transfer: the loss and the leak in cases whose answer is known, and the Rand index by its definition."""

from itertools import combinations

import pytest
import torch

from benchmarks.regions import RegionJudge, adjusted_rand_index
from tests.conftest import random_encoder


@pytest.fixture
def encoder():
    return random_encoder(6, 8, 8, 8)


def parts():
    """Two textures side by side, and their masks."""
    generator = torch.Generator().manual_seed(0)
    left, right = 0.3 * torch.rand(1, 3, 96, 96, generator=generator), 0.6 + 0.4 * torch.rand(1, 1, 96, 96, generator=generator)
    masks = torch.zeros(1, 2, 96, 192)
    masks[:, 0, :, :96], masks[:, 1, :, 96:] = 1, 1
    return torch.cat([left, right.expand(-1, 3, -1, -1)], 3), masks


def test_the_painting_itself_is_without_loss_and_leak(encoder):
    picture, masks = parts()
    figures = RegionJudge(encoder, picture, masks, masks)(picture)
    assert figures.matching < 1e-9
    assert figures.others > 0.1
    assert figures.leak == 0
    assert figures.regions == 2


def test_regions_in_each_others_style_leak_fully(encoder):
    picture, masks = parts()
    figures = RegionJudge(encoder, picture, masks, masks.flip(1))(picture)
    assert figures.leak == 1
    assert figures.others < figures.matching


def test_regions_too_small_to_judge_are_left_out(encoder):
    picture, masks = parts()
    masks = torch.cat([masks, torch.zeros(1, 1, 96, 192)], 1)
    masks[:, 2, :16, :16] = 1
    assert RegionJudge(encoder, picture, masks, masks)(picture).regions == 2


def test_the_rand_index_is_its_definition():
    first, second = torch.tensor([0, 0, 1, 1, 2, 2, 2, 0]), torch.tensor([5, 5, 5, 1, 1, 9, 9, 5])
    pairs = list(combinations(range(8), 2))
    same_a = [bool(first[i] == first[j]) for i, j in pairs]
    same_b = [bool(second[i] == second[j]) for i, j in pairs]
    both, a, b = sum(x and y for x, y in zip(same_a, same_b, strict=True)), sum(same_a), sum(same_b)
    expected = a * b / len(pairs)
    assert adjusted_rand_index(first, second) == pytest.approx((both - expected) / ((a + b) / 2 - expected))


def test_the_rand_index_at_its_ends():
    labels = torch.randint(4, (30, 40), generator=torch.Generator().manual_seed(0))
    assert adjusted_rand_index(labels, 3 - labels) == pytest.approx(1)
    other = torch.randint(4, (30, 40), generator=torch.Generator().manual_seed(1))
    assert abs(adjusted_rand_index(labels, other)) < 0.02
    assert adjusted_rand_index(torch.zeros(5, dtype=torch.long), torch.zeros(5, dtype=torch.long)) == 1
