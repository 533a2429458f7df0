from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from impasto.evaluation.fidelity import Judge, load_at
from impasto.methods.gatys.gatys import Gatys
from impasto.methods.gatys.settings import GatysSettings
from impasto.perception.loss import PerceptualLoss, content_distance, range_excess, style_distance, total_variation
from impasto.perception.presets import PRESETS, LossSettings
from impasto.perception.statistics import gram
from impasto.perception.weights import read_encoder
from impasto.runtime.device import Place
from impasto.runtime.encoders import load_encoder
from tests.conftest import random_encoder

LAYERS = {"relu1_1": 0.5, "relu2_1": 0.5}


def pictures(*shape, count=3, dtype=torch.float32):
    generator = torch.Generator().manual_seed(0)
    return [torch.rand(1, 3, *shape, generator=generator, dtype=dtype) for _ in range(count)]


def test_content_distance_is_a_mean_of_squares():
    a, b = torch.rand(2, 4, 3, 5), torch.rand(2, 4, 3, 5)
    plain = (a - b).square().flatten(1).mean(1)
    assert torch.allclose(content_distance(a, b), plain)
    assert torch.allclose(content_distance(a, b, normaliser="energy"), plain / b.square().flatten(1).mean(1))
    a, b = a - 0.5, b - 0.5
    variance = (b - b.mean((2, 3), keepdim=True)).square().flatten(1).mean(1)
    assert torch.allclose(content_distance(a, b, normaliser="variance"), plain / variance)
    assert torch.allclose(content_distance(3 * a, 3 * b, normaliser="variance"), plain / variance, rtol=1e-4)


def test_a_photo_without_texture_counts_half_of_its_energy_as_variance():
    flat = torch.full((1, 4, 6, 6), 0.5)
    other = torch.rand(1, 4, 6, 6)
    plain = (flat - other).square().mean()
    torch.testing.assert_close(content_distance(other, flat, normaliser="variance"), (plain / (0.5 * 0.25))[None])


def test_the_energy_of_fog_counts_as_that_of_a_white_page():
    fog, other = torch.full((1, 4, 6, 6), 0.1), torch.rand(1, 4, 6, 6)
    plain = (fog - other).square().mean()
    torch.testing.assert_close(content_distance(other, fog, normaliser="energy", least=0.5), (plain / 0.5)[None])
    torch.testing.assert_close(content_distance(other, fog, normaliser="variance", least=0.5), (plain / 0.25)[None])
    torch.testing.assert_close(content_distance(fog, other, normaliser="energy", least=1e-3), (plain / other.square().mean())[None])


def test_grey_fog_does_not_outweigh_the_style(cpu):
    loss = PerceptualLoss(load_encoder("compact", cpu), "impasto")
    (noise, *_) = pictures(64, 64)
    fog, page = torch.full((1, 3, 64, 64), 0.47), torch.ones(1, 3, 64, 64)
    far = [loss(noise, loss.content_target(photo), loss.style_target([noise])).content for photo in (fog, page)]
    assert far[0] < 2 * far[1]


def test_style_distance_conventions():
    a, b = torch.rand(2, 6, 6), torch.rand(2, 6, 6)
    total = (a - b).square().sum((1, 2))
    assert torch.allclose(style_distance(a, b, reduction="sum"), total)
    assert torch.allclose(style_distance(a, b, reduction="mean"), total / 36)
    assert torch.allclose(style_distance(a, b, reduction="gatys"), total / 144)
    assert torch.allclose(style_distance(a, b, reduction="relative"), total / b.square().sum((1, 2)))


def test_the_chw_convention_weights_layers_by_the_square_of_their_channels():
    features, other = torch.rand(1, 7, 5, 5), torch.rand(1, 7, 5, 5)
    by_n = style_distance(gram(features), gram(other))
    by_chw = style_distance(gram(features, norm="chw"), gram(other, norm="chw"))
    assert torch.allclose(by_chw, by_n / 49)


def test_total_variation_by_hand():
    image = torch.zeros(1, 1, 2, 3)
    image[0, 0, :, 2] = 1.0
    assert total_variation(image, kind="l1mean").item() == pytest.approx(0.5)
    assert total_variation(image, kind="l2sum").item() == pytest.approx(1.0)
    assert total_variation(image, kind="iso_mean").item() == pytest.approx(0.5, abs=1e-4)
    assert total_variation(torch.full((1, 3, 4, 4), 0.7), kind="l1mean").item() == 0


def test_range_excess_counts_only_what_lies_outside():
    assert range_excess(torch.rand(1, 3, 4, 4)).item() == 0
    assert range_excess(torch.full((1, 3, 4, 4), 1.5)).item() == pytest.approx(0.25)


@pytest.mark.parametrize("normaliser", ["none", "variance", "energy"])
def test_content_gradients(normaliser):
    features = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    target = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda f: content_distance(f, target, normaliser=normaliser), features)


@pytest.mark.parametrize("kind", ["l1mean", "l2sum", "iso_mean"])
def test_variation_gradients(kind):
    image = torch.randn(1, 2, 4, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: total_variation(x, kind=kind), image)
    assert torch.autograd.gradcheck(lambda x: range_excess(3 * x), image)


@pytest.mark.parametrize("reduction", ["sum", "mean", "gatys", "relative"])
def test_style_gradients(reduction):
    statistic = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    target = torch.randn(2, 3, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda s: style_distance(s, target, reduction=reduction), statistic)


def test_the_whole_loss_has_the_right_gradient_in_float64():
    settings = LossSettings({"relu2_1": 1.0}, LAYERS, 0.02, 1.0, 0.01, 10.0, content_normaliser="variance", style_reduction="relative")
    loss = PerceptualLoss(random_encoder(3, 4, dtype=torch.float64), settings)
    photo, painting, start = pictures(8, 8, dtype=torch.float64)
    content, style = loss.content_target(photo), loss.style_target([painting])
    assert torch.autograd.gradcheck(lambda x: loss(x, content, style).total, (start * 1.4 - 0.2).requires_grad_(True))


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_runs_and_is_smallest_at_its_own_target(name):
    settings = PRESETS[name]
    depths = (2, 2, 3, 3, 3) if settings.backbone == "vgg16" else (2, 2, 4, 4, 1)
    loss = PerceptualLoss(random_encoder(3, 4, 5, 6, 6, depths=depths), settings)
    photo, other, _ = pictures(48, 32)
    content, style = loss.content_target(photo), loss.style_target([photo])
    same, different = loss(photo, content, style), loss(other, content, style)
    assert same.content.item() == pytest.approx(0, abs=1e-10)
    assert all(value.item() == pytest.approx(0, abs=1e-8) for value in same.style.values())
    assert different.content > 0
    assert all(value > 0 for value in different.style.values())
    assert torch.isfinite(different.total)


def test_content_at_several_layers_of_the_compact_encoder_keeps_more_of_what_vgg19_sees(vgg19_file, shared_data):
    photo, painting = (load_at(shared_data / name, 128) for name in ("content/val/bsds_106024.jpg", "style/val/the_scream.jpg"))
    judge, found = Judge(read_encoder(vgg19_file), photo, painting), []
    ours = PRESETS["impasto"]
    for settings in (ours, replace(ours, content_layers={"relu4_1": 1.0})):
        loss = PerceptualLoss(load_encoder("compact", Place(torch.device("cpu"), torch.float32)), settings)
        found.append(judge(Gatys(loss, [painting], GatysSettings(iterations=150, levels=1))(photo)))
    assert found[0].content < 0.985 * found[1].content
    assert found[0].total < 0.98 * found[1].total


def test_terms_add_up_to_the_total():
    settings = LossSettings({"relu2_1": 2.0}, {"relu1_1": 0.3, "relu2_1": 0.7}, 0.5, 3.0, 0.1, 10.0)
    loss = PerceptualLoss(random_encoder(3, 4), settings)
    photo, painting, start = pictures(16, 16)
    start = start * 1.5 - 0.25
    terms = loss(start, loss.content_target(photo), loss.style_target([painting]))
    style = 0.3 * terms.style["relu1_1"] + 0.7 * terms.style["relu2_1"]
    expected = 0.5 * terms.content + 3.0 * style + 0.1 * terms.tv + 10.0 * terms.excess
    assert torch.allclose(terms.total, expected)
    features = loss.encoder(start, ["relu2_1"])["relu2_1"]
    truth = (features - loss.encoder(photo, ["relu2_1"])["relu2_1"]).square().mean()
    assert torch.allclose(terms.content, 2.0 * truth)


def test_a_flex_target_makes_the_loss_of_an_empty_picture_one():
    settings = LossSettings({"relu2_1": 1.0}, {"relu1_1": 1.0, "relu2_1": 1.0}, 0.0, 1.0, style_target_norm="alpha")
    loss = PerceptualLoss(random_encoder(3, 4), settings)
    photo, painting, _ = pictures(16, 16)
    style = loss.style_target([painting])
    alpha = sum(t.square().mean((-2, -1)) for t in style.statistics.values())
    empty = sum(style_distance(torch.zeros_like(t), t) for t in style.statistics.values()) / alpha
    assert empty.item() == pytest.approx(1)
    assert torch.isfinite(loss(photo, loss.content_target(photo), style).total)


def test_the_loss_of_a_batch_is_the_mean_of_its_pictures():
    loss = PerceptualLoss(random_encoder(3, 4, 5, 6), "impasto")
    a, b, painting = pictures(32, 32)
    style, both = loss.style_target([painting]), torch.cat([a, b])
    start = both.flip(-1)
    together = loss(start, loss.content_target(both), style).total
    single = [loss(start[i : i + 1], loss.content_target(both[i : i + 1]), style).total for i in range(2)]
    assert torch.allclose(together, torch.stack(single).mean(), rtol=1e-4)


def test_one_full_region_is_the_unmasked_loss():
    loss = PerceptualLoss(random_encoder(3, 4, 5, 6), "impasto")
    photo, painting, start = pictures(32, 40)
    mask = torch.ones(1, 1, 32, 40)
    plain = loss(start, loss.content_target(photo), loss.style_target([painting])).total
    masked = loss(start, loss.content_target(photo, masks=mask), loss.style_target([painting], masks=[mask])).total
    assert torch.allclose(plain, masked, rtol=1e-4)


def test_regions_are_compared_with_their_own_region_only():
    loss = PerceptualLoss(random_encoder(3), LossSettings({"relu1_1": 1.0}, {"relu1_1": 1.0}, 0.0, 1.0))
    left = torch.zeros(1, 1, 16, 32)
    left[..., :16] = 1
    masks = torch.cat([left, 1 - left], 1)
    painting = torch.cat([torch.full((1, 3, 16, 16), 0.2), torch.full((1, 3, 16, 16), 0.9)], -1)
    style = loss.style_target([painting], masks=[masks])
    matched = loss(painting, loss.content_target(painting, masks=masks), style).style["relu1_1"]
    swapped = loss(painting.flip(-1), loss.content_target(painting, masks=masks), style).style["relu1_1"]
    assert swapped > 100 * matched


def test_a_label_that_one_side_lacks_is_left_out():
    loss = PerceptualLoss(random_encoder(3), LossSettings({"relu1_1": 1.0}, {"relu1_1": 1.0}, 0.0, 1.0))
    photo, painting, start = pictures(16, 16)
    whole, none = torch.ones(1, 1, 16, 16), torch.zeros(1, 1, 16, 16)
    style = loss.style_target([painting], masks=[torch.cat([whole, none], 1)])
    terms = loss(start, loss.content_target(photo, masks=torch.cat([whole, whole], 1)), style)
    alone = loss(start, loss.content_target(photo), loss.style_target([painting])).total
    assert torch.allclose(terms.total, alone, rtol=1e-4)
    with pytest.raises(ValueError, match="regions"):
        loss(start, loss.content_target(photo), style)


def test_several_styles_mix_linearly_in_their_statistics():
    loss = PerceptualLoss(random_encoder(3, 4, 5, 6), "impasto")
    a, b, _ = pictures(32, 32)
    first, second = loss.style_target([a]), loss.style_target([b])
    mixed = loss.style_target([a, b], weights=[3, 1])
    for layer in mixed.statistics:
        assert torch.allclose(
            mixed.statistics[layer], 0.75 * first.statistics[layer] + 0.25 * second.statistics[layer], rtol=1e-4, atol=1e-6
        )
    single = loss.style_target([a, b], weights=[1, 0])
    assert all(torch.allclose(single.statistics[k], first.statistics[k], rtol=1e-5) for k in single.statistics)
    for weights in ([1], [-1, 2], [0, 0]):
        with pytest.raises(ValueError, match="non-negative weight"):
            loss.style_target([a, b], weights=weights)


def test_wrong_names_are_refused(encoder):
    with pytest.raises(ValueError, match="no preset"):
        PerceptualLoss(encoder, "nonsense")
    with pytest.raises(ValueError, match="needs layer relu2_1"):
        PerceptualLoss(random_encoder(3), "impasto")
    for call in (
        lambda: content_distance(torch.rand(1, 1, 2, 2), torch.rand(1, 1, 2, 2), normaliser="x"),
        lambda: style_distance(torch.rand(1, 2, 2), torch.rand(1, 2, 2), reduction="x"),
        lambda: total_variation(torch.rand(1, 1, 3, 3), kind="x"),
    ):
        with pytest.raises(ValueError, match="not 'x'"):
            call()


def test_a_pyramid_compares_the_style_at_several_sizes():
    """The sum over the sizes, each taken by itself."""
    encoder_of_four = random_encoder(4, 6, 8, 8)
    one, three = (PerceptualLoss(encoder_of_four, replace(PRESETS["strokes"], pyramid=pyramid)) for pyramid in (1, 3))
    generator = torch.Generator().manual_seed(0)
    picture, photo, style = (torch.rand(1, 3, 64, 64, generator=generator) for _ in range(3))
    terms = three(picture, three.content_target(photo), three.style_target([style]))
    parts = []
    for level in range(3):
        small, painting = (F.avg_pool2d(each, 2**level) for each in (picture, style))
        parts.append(one(small, one.content_target(small), one.style_target([painting])).style)
    for level, part in enumerate(parts):
        for layer, value in part.items():
            torch.testing.assert_close(terms.style[layer + (f"/{2**level}" if level else "")], value)
    plain = one(picture, one.content_target(photo), one.style_target([style]))
    style_part = sum(float(value) * 0.25 for part in parts for value in part.values()) / 3
    rest = float(plain.total) - sum(float(value) * 0.25 for value in plain.style.values())
    assert float(terms.total) == pytest.approx(rest + style_part, rel=1e-5)
    halves = torch.zeros(1, 2, 64, 64)
    halves[:, 0, :32], halves[:, 1, 32:] = 1, 1
    both = three(picture, three.content_target(photo, masks=halves), three.style_target([style], masks=[halves]))
    assert bool(torch.isfinite(both.total))
