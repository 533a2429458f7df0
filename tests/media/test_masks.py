import pytest
import torch
from PIL import Image

from impasto.errors import InputError
from impasto.media.masks import load_regions, overview, read_labels, tinted
from tests.conftest import scene


def halves(path, left, right, size=(60, 40), quality=None):
    image = Image.new("RGB", size, left)
    image.paste(Image.new("RGB", (size[0] // 2, size[1]), right), (size[0] // 2, 0))
    image.save(path, **({"quality": quality} if quality else {}))
    return path


def test_colours_are_labels(tmp_path):
    labels = read_labels(halves(tmp_path / "m.png", "red", "blue"))
    assert labels.colors.tolist() in ([[255, 0, 0], [0, 0, 255]], [[0, 0, 255], [255, 0, 0]])
    assert (labels.labels[:, :30] == labels.labels[0, 0]).all()
    assert (labels.labels[:, 30:] != labels.labels[0, 0]).all()


def test_jpeg_noise_does_not_make_new_labels(tmp_path):
    clean = read_labels(halves(tmp_path / "m.png", "red", "blue"))
    noisy = read_labels(halves(tmp_path / "m.jpg", "red", "blue", quality=60))
    assert len(noisy.colors) == 2
    agreement = (noisy.colors[noisy.labels] - clean.colors[clean.labels]).abs().amax(-1) < 48
    assert agreement.float().mean() > 0.95


def test_a_picture_of_many_colours_is_not_a_mask(tmp_path):
    levels = torch.arange(5, dtype=torch.uint8) * 63
    Image.fromarray(torch.cartesian_prod(levels, levels, levels).view(5, 25, 3).numpy()).resize((250, 50), 0).save(tmp_path / "m.png")
    with pytest.raises(InputError, match="more than 64 different colours"):
        read_labels(tmp_path / "m.png")


def test_masks_of_any_size_are_brought_to_the_pictures(tmp_path):
    regions = load_regions(
        halves(tmp_path / "c.png", "red", "blue", (11, 7)), [halves(tmp_path / "s.png", "blue", "red")],
        content_size=(40, 60), style_sizes=[(30, 20)],
    )  # fmt: skip
    assert regions.content.shape == (1, 2, 40, 60)
    assert regions.styles[0].shape == (1, 2, 30, 20)
    assert torch.allclose(regions.content.sum(1), torch.ones(1, 40, 60))
    left = int(regions.content[0, :, 5, 5].argmax())
    assert regions.styles[0][0, left, :, 15:].min() == 1


def test_labels_without_partner_are_reported_and_left(tmp_path):
    regions = load_regions(
        halves(tmp_path / "c.png", "red", "blue"),
        [halves(tmp_path / "s.png", "red", "yellow")],
        content_size=(40, 60),
        style_sizes=[(40, 60)],
    )
    assert regions.content.shape[1] == 1
    assert any("#0000ff" in line and "kept as it is" in line for line in regions.report)
    assert any("#ffff00" in line and "only in the style mask" in line for line in regions.report)


def test_masks_that_share_nothing_are_refused(tmp_path):
    with pytest.raises(InputError, match="share no label"):
        load_regions(
            halves(tmp_path / "c.png", "red", "blue"), [halves(tmp_path / "s.png", "green", "yellow")],
            content_size=(40, 60), style_sizes=[(40, 60)],
        )  # fmt: skip


def test_one_mask_per_style_picture(tmp_path):
    mask = halves(tmp_path / "c.png", "red", "blue")
    with pytest.raises(InputError, match="2 style pictures need as many style masks"):
        load_regions(mask, [mask], content_size=(8, 8), style_sizes=[(8, 8), (8, 8)])


def test_a_scene_with_few_colours_groups_near_ones(tmp_path):
    scene(40, 40).quantize(4).convert("RGB").save(tmp_path / "m.png")
    labels = read_labels(tmp_path / "m.png")
    assert 1 <= len(labels.colors) <= 4
    assert labels.labels.max() < len(labels.colors)


def test_an_overview_shows_every_region_in_its_colour(tmp_path):
    regions = load_regions(
        halves(tmp_path / "c.png", "red", "blue"), [halves(tmp_path / "s.png", "blue", "red")],
        content_size=(40, 60), style_sizes=[(30, 20)],
    )  # fmt: skip
    shown = overview(torch.full((3, 40, 60), 0.5), [torch.full((1, 3, 30, 20), 0.5)], regions)
    assert shown.shape == (3, 40, 60 + 8 + 27)
    assert 0 <= shown.min() <= shown.max() <= 1
    left, right, other = shown[:, 20, 10], shown[:, 20, 50], shown[:, 20, 72]
    assert (left - right).abs().max() > 0.2
    torch.testing.assert_close(other, right, atol=0.05, rtol=0)
    nothing = tinted(torch.full((3, 4, 4), 0.5), torch.zeros(1, 1, 4, 4))
    assert torch.allclose(nothing[0], nothing[1])
