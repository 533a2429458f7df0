"""Finishing: what it promises of pictures, sizes, strength, masks and interrupts, with a small encoder."""

import pytest
import torch

from impasto.errors import StyleError
from impasto.events import Interrupted
from impasto.media.images import rescale
from impasto.perception.loss import PerceptualLoss
from impasto.perception.style_sizes import SIDES, StyleSizes, between, mixed_statistics, packed, unpacked
from impasto.runtime.finished import Effort, Finished
from tests.conftest import random_encoder


@pytest.fixture(scope="module")
def loss():
    torch.manual_seed(0)
    return PerceptualLoss(random_encoder(6, 8, 10, 12), "finishing")


def picture(height, width, seed=0):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(seed))


def blank(image, *, masks=None):
    """A draft: the photo, paler."""
    return 0.25 + image / 2


def finished(loss, styles, *, iterations=(6, 4), **more):
    return Finished(more.pop("draft", blank), StyleSizes(loss, styles, **more.pop("sizes", {})), loss, Effort(iterations), **more)


def style_loss(loss, painted, style):
    target = StyleSizes(loss, [style])(min(painted.shape[-2:]))
    return sum(float(value) for value in loss(painted, loss.content_target(painted), target).style.values())


def test_it_brings_the_style_nearer_and_keeps_size_and_range(loss):
    photo, style = picture(96, 80), picture(96, 96, 1)
    painted = finished(loss, [style])(photo)
    assert painted.shape == photo.shape
    assert 0 <= float(painted.min()) <= float(painted.max()) <= 1
    assert style_loss(loss, painted, style) < 0.5 * style_loss(loss, blank(photo), style)


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (32, 400), (200, 90)])
def test_small_and_long_pictures_are_finished_too(loss, size):
    assert finished(loss, [picture(20, 30, 1)], iterations=(1,))(picture(*size)).shape[-2:] == size


def test_flat_photos_and_flat_paintings_stay_finite(loss):
    flat = torch.full((1, 3, 64, 64), 0.4)
    for photo, style in ((flat, picture(64, 64)), (picture(64, 64), flat), (flat, flat)):
        assert bool(torch.isfinite(finished(loss, [style])(photo)).all())


def test_without_strength_it_is_the_draft_and_more_goes_further(loss):
    photo, style = picture(64, 64), 0.3 * picture(64, 64, 1)
    assert torch.equal(finished(loss, [style], strength=0.0)(photo), blank(photo))
    weak, strong = (style_loss(loss, finished(loss, [style], strength=strength)(photo), style) for strength in (0.02, 1.0))
    assert strong < weak


def test_reports_count_all_sizes_and_a_stop_keeps_the_picture(loss):
    seen, photo = [], picture(170, 160)
    shown = []

    def listen(event):
        seen.append((event.step, event.total))
        shown.append(event.preview)

    finished(loss, [picture(64, 64, 1)], listener=listen)(photo)
    assert any(preview is not None and preview.shape[0] == 3 for preview in shown)
    assert seen[-1] == (10, 10)
    assert seen == sorted(seen)

    def stop(event):
        if event.step == 7:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as stopped:
        finished(loss, [picture(64, 64, 1)], listener=stop)(photo)
    assert stopped.value.picture.shape[0] == 1
    assert bool(torch.isfinite(stopped.value.picture).all())


def test_pictures_too_large_to_be_optimised_get_the_photos_detail(loss, monkeypatch):
    monkeypatch.setattr("impasto.runtime.finished.LARGEST", 100 * 100)
    seen = []
    painted = finished(loss, [picture(64, 64, 1)], listener=lambda event: seen.append(event.total))(picture(190, 190))
    assert painted.shape[-2:] == (190, 190)
    assert set(seen) == {6}


def test_regions_take_their_styles_and_what_no_style_covers_stays_as_it_was_drafted(loss, monkeypatch):
    photo, styles = picture(64, 64), [torch.rand(1, 3, 64, 64) * torch.tensor([1.0, 0.1, 0.1]).view(1, 3, 1, 1), picture(64, 64, 2)]
    masks = torch.zeros(1, 2, 64, 64)
    masks[:, 0, :, :24], masks[:, 1, :, 24:48] = 1, 1
    painted = finished(loss, styles, shares=True, sizes={"apart": True})(photo, masks=masks)
    assert torch.equal(painted[..., 48:], blank(photo)[..., 48:])
    assert not torch.allclose(painted[..., :48], blank(photo)[..., :48], atol=0.02)
    large, wide = picture(160, 160), masks.repeat_interleave(3, 2).repeat_interleave(3, 3)[..., :160, :160]
    monkeypatch.setattr("impasto.runtime.finished.FIRST", 100)
    kept = finished(loss, styles, shares=True, sizes={"apart": True})(large, masks=wide)[..., 150:]
    assert float((kept - blank(large)[..., 150:]).abs().mean()) < 0.13  # sharp: the photo's detail on the draft
    halves = torch.zeros(1, 2, 64, 64)
    halves[:, 0, :, :32], halves[:, 1, :, 32:] = 1, 1
    assert finished(loss, styles[:1], sizes={"masks": [halves]})(photo, masks=halves).shape == photo.shape


def test_statistics_of_a_file_are_those_of_the_painting(loss):
    painting = picture(300, 280, 3)
    kept = packed(loss, [painting])
    assert {int(name.split("/")[0]) for name in kept} == {side for side in SIDES if side <= 280}
    stored, sizes = unpacked(kept, loss.encoder, "it"), StyleSizes(loss, [painting])
    for side in (128, 256):
        for layer, value in sizes(side).statistics.items():
            torch.testing.assert_close(StyleSizes(loss, [stored])(side).statistics[layer], value, rtol=2e-3, atol=1e-4)
    low, middle, high = (between(stored, side)["relu3_1"] for side in (128, 181, 256))
    torch.testing.assert_close(middle, (low + high) / 2, rtol=1e-2, atol=1e-4)
    assert torch.equal(between(stored, 20)["relu1_1"], between(stored, 128)["relu1_1"])
    assert torch.equal(between(stored, 9999)["relu1_1"], between(stored, 256)["relu1_1"])


def test_statistics_of_another_encoder_or_damaged_ones_are_refused(loss):
    kept = packed(loss, [picture(130, 130)])
    with pytest.raises(StyleError, match="damaged, or of another encoder"):
        unpacked(kept, random_encoder(6, 8, 10, 14), "it")
    for name in ("x/relu1_1", "128/conv1_1", "128/"):
        with pytest.raises(StyleError, match="damaged"):
            unpacked({**kept, name: next(iter(kept.values()))}, loss.encoder, "it")


def test_mixtures_mix_statistics(loss):
    first, second = (packed(loss, [picture(130, 130, seed)]) for seed in (0, 1))
    mixed = mixed_statistics([first, second], [3.0, 1.0])
    name = "128/relu2_1"
    torch.testing.assert_close(mixed[name].float(), 0.75 * first[name].float() + 0.25 * second[name].float(), rtol=2e-3, atol=1e-3)
    assert mixed_statistics([first, {}], [1.0, 1.0]) == {}
    larger = packed(loss, [picture(260, 260)])
    assert {key.split("/")[0] for key in mixed_statistics([first, larger], [1.0, 1.0])} == {"128", "256"}


def test_an_enlargement_looks_the_same_from_afar(loss, monkeypatch):
    """Above the first size only detail is added."""
    monkeypatch.setattr("impasto.runtime.finished.FIRST", 100)
    photo = picture(24, 24).repeat_interleave(8, 2).repeat_interleave(8, 3)
    large = finished(loss, [picture(64, 64, 1)])(photo)
    small = finished(loss, [picture(64, 64, 1)])(rescale(photo, (96, 96)))
    assert float((rescale(large, (96, 96)) - small).square().mean()) < 1e-3
