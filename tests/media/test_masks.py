import numpy as np
import pytest
import torch
from PIL import Image

from impasto.errors import InputError
from impasto.media.masks import load_regions, load_shares, overview, read_labels, tinted
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


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("values", [[0, 1, 2, 3], [0, 1, 2, 255], [0, 7, 21, 63], [10, 40, 70, 100]], ids=str)
def test_index_masks_are_labels_and_not_near_greys(tmp_path, bits, values):
    """0, 1, 2, ... as segmentation tools write them: grey pictures that look black."""
    index = np.repeat(np.array(values, np.uint8 if bits == 8 else np.uint16) * (1 if bits == 8 else 300), 15)[None].repeat(40, 0)
    Image.fromarray(index).save(tmp_path / "m.png")
    found = read_labels(tmp_path / "m.png")
    assert found.exact
    assert sorted(found.colors[:, 0].tolist()) == sorted(set(index[0].tolist()))
    assert all(len(found.labels[:, 15 * k : 15 * k + 15].unique()) == 1 for k in range(4))


def test_labels_of_index_masks_meet_by_their_number_alone(tmp_path):
    for name, values in (("c.png", [0, 1, 2, 4]), ("s.png", [3, 1, 0, 9])):
        Image.fromarray(np.repeat(np.array(values, np.uint8), 15)[None].repeat(40, 0)).save(tmp_path / name)
    regions = load_regions(tmp_path / "c.png", [tmp_path / "s.png"], content_size=(40, 60), style_sizes=[(40, 60)])
    assert regions.content.shape[1] == 2
    said = " ".join(regions.report)
    assert "label 1: 25% of the photo, painted" in said
    assert "label 2: 25% of the photo, not in the style mask" in said
    assert "label 9: only in the style mask" in said


def test_grey_masks_with_soft_edges_are_still_two_labels(tmp_path):
    Image.fromarray(np.where(np.arange(240)[None] < 120, 0, 255).astype(np.uint8).repeat(160, 0)).resize((61, 41)).save(tmp_path / "m.png")
    assert len(read_labels(tmp_path / "m.png").colors) == 2


def test_transparency_of_a_mask_is_a_region_and_takes_no_style(tmp_path):
    mask = Image.new("RGBA", (60, 40), (255, 255, 255, 255))
    mask.paste((255, 255, 255, 0), (0, 0, 30, 40))
    mask.save(tmp_path / "m.png")
    found = read_labels(tmp_path / "m.png")
    assert len(found.colors) == 2
    assert (found.colors[found.labels[0, 5]] == -1).all()
    shares = load_shares([tmp_path / "m.png"], 1, (40, 60))
    assert shares[..., :28].max() == 0
    assert shares[..., 32:].min() == 1


def test_the_limit_of_pixels_holds_for_masks_too(tmp_path):
    halves(tmp_path / "m.png", "red", "blue", (300, 200))
    with pytest.raises(InputError, match="--max-megapixels"):
        read_labels(tmp_path / "m.png", max_pixels=10_000)
    with pytest.raises(InputError, match="--max-megapixels"):
        load_shares([tmp_path / "m.png"], 1, (200, 300), max_pixels=10_000)
    with pytest.raises(InputError, match="--max-megapixels"):
        load_regions(tmp_path / "m.png", [tmp_path / "m.png"], content_size=(9, 9), style_sizes=[(9, 9)], max_pixels=10_000)
