"""Regions that are found by themselves: they are the parts of pictures made of parts, they match, and every one has a partner."""

import pytest
import torch

from benchmarks.regions import adjusted_rand_index
from impasto.errors import InputError
from impasto.methods.semantic.matching import LEAST_SHARE, joint_regions
from impasto.runtime.encoders import load_encoder


def landscape(height, width, horizon, *, seed=0, sky=(0.5, 0.65, 0.9), ground=(0.35, 0.4, 0.15)):
    """Smooth sky over rough ground, and the labels."""
    generator = torch.Generator().manual_seed(seed)
    line = int(horizon * height)
    rough = torch.rand(1, 3, height - line, width, generator=generator) - 0.5
    top = torch.tensor(sky)[None, :, None, None].expand(1, 3, line, width) + torch.linspace(0.1, 0, line)[:, None]
    bottom = (torch.tensor(ground)[None, :, None, None] + 0.5 * rough).clamp(0, 1)
    labels = torch.zeros(height, width, dtype=torch.long)
    labels[line:] = 1
    return torch.cat([top, bottom], 2).clamp(0, 1), labels


def test_parts_of_a_picture_are_found_and_matched(cpu):
    """Sky to sky and ground to ground, of other sizes, colours and horizons."""
    encoder = load_encoder("compact", cpu)
    photo, own = landscape(160, 224, 0.4)
    style, other = landscape(192, 176, 0.6, seed=1, sky=(0.8, 0.6, 0.3), ground=(0.3, 0.15, 0.3))
    content, styles = joint_regions(encoder, photo, [style], 2)
    assert content.shape == (1, 2, 160, 224)
    assert styles[0].shape == (1, 2, 192, 176)
    assert torch.equal(content.sum(1), torch.ones(1, 160, 224))
    found = torch.cat([content.argmax(1).flatten(), styles[0].argmax(1).flatten()])
    assert adjusted_rand_index(found, torch.cat([own.flatten(), other.flatten()])) > 0.8


def test_every_region_has_a_partner(cpu):
    """Where the style has only ground, sixteen clusters leave no region of the photo alone."""
    encoder = load_encoder("compact", cpu)
    photo, _ = landscape(160, 224, 0.5)
    style = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    content, styles = joint_regions(encoder, photo, [style, photo], 16)
    shares = [mask.mean((0, 2, 3)) for mask in (content, *styles)]
    assert len(shares[0]) <= 16
    assert shares[0].min() > 0.5 * LEAST_SHARE
    assert torch.maximum(shares[1], shares[2]).min() > 0.5 * LEAST_SHARE


def test_a_seed_repeats_them(cpu):
    encoder = load_encoder("compact", cpu)
    photo, _ = landscape(96, 128, 0.5)
    style, _ = landscape(96, 128, 0.3, seed=1)
    first, again = (joint_regions(encoder, photo, [style], 3, seed=7)[0] for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize("count", [0, 1, 17])
def test_too_few_or_too_many_are_refused(encoder, count):
    with pytest.raises(InputError, match="2 to 16 regions"):
        joint_regions(encoder, torch.rand(1, 3, 64, 64), [torch.rand(1, 3, 64, 64)], count)


def test_a_very_long_picture_has_regions_too(cpu):
    encoder = load_encoder("compact", cpu)
    content, _ = joint_regions(encoder, torch.rand(1, 3, 32, 3000), [torch.rand(1, 3, 64, 64)], 2)
    assert content.shape[-2:] == (32, 3000)


def test_a_picture_of_one_colour_is_one_region_or_more_but_never_fails(cpu):
    encoder = load_encoder("compact", cpu)
    content, styles = joint_regions(encoder, torch.full((1, 3, 64, 64), 0.5), [torch.full((1, 3, 64, 64), 0.2)], 4)
    assert torch.equal(content.sum(1), torch.ones(1, 64, 64))
    assert content.shape[1] == styles[0].shape[1] >= 1
