import pytest
import torch

from impasto.media.color import KEEP_COLOR, keep_color, luma


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(1)
    painted = torch.rand(3, 40, 50, generator=generator) * 0.5 + 0.2
    mixing = torch.tensor([[0.3, 0.1, 0.0], [0.1, 0.25, 0.05], [0.0, 0.1, 0.2]])
    photo = (mixing @ (torch.rand(3, 2000, generator=generator) - 0.5) + torch.tensor([[0.5], [0.45], [0.4]])).view(3, 40, 50)
    return painted, photo


def test_coral_gives_the_photos_mean_and_covariance(pictures):
    painted, photo = pictures
    moved = keep_color("coral", painted, photo)
    assert torch.allclose(moved.flatten(1).mean(1), photo.flatten(1).mean(1), atol=2e-3)
    assert torch.allclose(torch.cov(moved.flatten(1)), torch.cov(photo.flatten(1)), atol=2e-3)


def test_coral_of_a_picture_with_its_own_colours_changes_nothing(pictures):
    _, photo = pictures
    assert torch.allclose(keep_color("coral", photo, photo), photo.clamp(0, 1), atol=1e-4)


def test_luma_only_keeps_chroma_and_takes_the_painted_structure(pictures):
    painted, photo = pictures
    kept = keep_color("luma", painted * 0.2, photo * 0.5 + 0.25)
    reference = photo * 0.5 + 0.25
    assert torch.allclose(kept - luma(kept), reference - luma(reference), atol=1e-4)
    assert torch.corrcoef(torch.stack([luma(kept).flatten(), luma(painted).flatten()]))[0, 1] > 0.99
    assert torch.allclose(luma(kept).mean(), luma(reference).mean(), atol=1e-3)


@pytest.mark.parametrize("how", KEEP_COLOR)
def test_flat_and_grey_pictures_give_finite_colours(how):
    flat, grey = torch.full((3, 8, 8), 0.5), torch.rand(1, 8, 8).expand(3, -1, -1)
    for painted, photo in ((flat, grey), (grey, flat), (flat, flat)):
        result = keep_color(how, painted, photo)
        assert torch.isfinite(result).all()
        assert result.shape == (3, 8, 8)


def test_batches_are_treated_picture_by_picture(pictures):
    painted, photo = pictures
    batch = keep_color("coral", torch.stack([painted, photo]), torch.stack([photo, painted]))
    assert torch.allclose(batch[0], keep_color("coral", painted, photo), atol=1e-5)
