"""Patch swap against its definition, position by position, and its limit cases."""

import pytest
import torch

from impasto.perception.patch_swap import patch_swap


def by_definition(content, style, size=3):
    """Chen and Schmidt 2016, section 3.1: the best normalised correlation, pasted, and averaged where patches overlap."""
    c, s = content[0], style[0]
    total, count = torch.zeros_like(c), torch.zeros_like(c)
    patches = [s[:, i : i + size, j : j + size] for i in range(s.shape[1] - size + 1) for j in range(s.shape[2] - size + 1)]
    for i in range(c.shape[1] - size + 1):
        for j in range(c.shape[2] - size + 1):
            own = c[:, i : i + size, j : j + size]
            scores = [(own * p).sum() / (own.norm() * p.norm()) for p in patches]
            total[:, i : i + size, j : j + size] += patches[int(torch.stack(scores).argmax())]
            count[:, i : i + size, j : j + size] += 1
    return (total / count)[None]


@pytest.mark.parametrize("size", [1, 2, 3])
def test_it_is_its_definition(size):
    content, style = torch.rand(1, 4, 6, 7, dtype=torch.float64), torch.rand(1, 4, 5, 8, dtype=torch.float64)
    torch.testing.assert_close(patch_swap(content, style, size=size), by_definition(content, style, size))


def test_a_picture_made_of_its_own_patches_stays():
    content = torch.rand(1, 4, 8, 9)
    torch.testing.assert_close(patch_swap(content, content), content)


def test_each_picture_of_a_batch_takes_its_own_style():
    content, style = torch.rand(2, 4, 6, 6), torch.rand(2, 4, 6, 6)
    both = patch_swap(content, style)
    torch.testing.assert_close(both[1:], patch_swap(content[1:], style[1:]))
    torch.testing.assert_close(patch_swap(content, style[:1])[1:], patch_swap(content[1:], style[:1]))


def test_patches_come_from_the_matching_region():
    """Left takes only what the right of the style holds, although the left of the style is the same as itself."""
    content = torch.rand(1, 3, 8, 12)
    style = content.clone()
    style[:, :, :, 6:] = 5 + torch.rand(1, 3, 8, 6)
    own, other = torch.zeros(1, 2, 8, 12), torch.zeros(1, 2, 8, 12)
    own[:, 0, :, :6], own[:, 1, :, 6:] = 1, 1
    # No patch of a region of the style reaches over its middle, whatever was drawn.
    other[:, 0, :, 7:], other[:, 1, :, :5] = 1, 1
    swapped = patch_swap(content, style, content_regions=own, style_regions=other)
    assert swapped[..., :4].min() >= 5
    assert swapped[..., 8:].max() <= 1


def test_a_region_that_the_style_lacks_takes_any_patch():
    content, style = torch.rand(1, 3, 6, 6), torch.rand(1, 3, 6, 6)
    none = torch.zeros(1, 1, 6, 6)
    swapped = patch_swap(content, style, content_regions=torch.ones(1, 1, 6, 6), style_regions=none)
    torch.testing.assert_close(swapped, patch_swap(content, style))


def test_too_small_for_a_patch_is_said():
    with pytest.raises(ValueError, match="do not fit"):
        patch_swap(torch.rand(1, 3, 2, 6), torch.rand(1, 3, 6, 6))
