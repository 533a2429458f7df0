"""Training a decoder: it learns to invert, it goes on where it stopped, every kind of features is shown, wrong settings are refused."""

from dataclasses import replace

import pytest
import torch

from impasto.errors import InputError
from impasto.methods.semantic.method import TRAINING
from impasto.methods.semantic.training import DecoderLearner, rectified_distance, train_decoder
from impasto.methods.semantic.training_settings import PUBLISHED, DecoderTraining
from impasto.networks.decoder import Decoder
from impasto.networks.decoder_file import read_decoder
from impasto.networks.layers import LAYERS
from impasto.perception.loss import PerceptualLoss
from impasto.storage.registry import read_record
from impasto.training.data import Pictures
from impasto.training.recipe import Materials, train_to_file
from tests.conftest import random_encoder, scene

TINY = DecoderTraining(steps=5, batch=1, crop=64, zoom=(1.0, 1.1), warmup=1)


@pytest.fixture
def pictures():
    generator = torch.Generator().manual_seed(0)
    return Pictures([0.3 * torch.rand(3, 80, 90, generator=generator) + 0.7 * torch.rand(3, 1, 1, generator=generator) for _ in range(6)])


@pytest.fixture
def loss(encoder):
    return PerceptualLoss(encoder, "solver")


def error_of_photos(encoder, decoder, pictures, layer):
    photos = pictures.draw(4, 64, torch.Generator().manual_seed(9))
    with torch.no_grad():
        return float((decoder(encoder(photos, [layer])[layer], layer) - photos).square().mean())


def test_it_learns_to_invert(encoder, loss, pictures, cpu):
    settings = replace(TINY, steps=120, batch=2, painting=0.0, swapped=0.0, transformed=0.0, learning_rate=3e-3)
    before = train_decoder(loss, encoder, pictures, pictures, replace(settings, steps=0), place=cpu)
    errors = [error_of_photos(encoder, before, pictures, layer) for layer in LAYERS[1:]]
    after = train_decoder(loss, encoder, pictures, pictures, settings, place=cpu)
    reached = [error_of_photos(encoder, after, pictures, layer) for layer in LAYERS[1:]]
    assert all(now < 0.8 * was for now, was in zip(reached, errors, strict=True)), (errors, reached)


def test_smooth_colours_take_the_place_of_a_share_of_the_photos(encoder, loss, pictures, cpu, monkeypatch):
    shown, usual = [], DecoderLearner.gradient

    def seen(learner, contents, styles, generator):
        shown.append(contents)
        return usual(learner, contents, styles, generator)

    monkeypatch.setattr(DecoderLearner, "gradient", seen)
    shares = {}
    for share in (0.0, 0.5, 1.0):
        shown.clear()
        settings = replace(TINY, steps=10, batch=4, painting=0.0, swapped=0.0, transformed=0.0, gradients=share)
        train_decoder(loss, encoder, pictures, pictures, settings, place=cpu)
        grainy = torch.cat(shown).diff(dim=-1).abs().flatten(1).median(1).values > 0.02
        shares[share] = float((~grainy).float().mean())
    assert (shares[0.0], shares[1.0]) == (0, 1)
    assert 0.25 < shares[0.5] < 0.75


def test_interrupted_it_goes_on_as_if_it_had_not(encoder, loss, pictures, cpu, tmp_path):
    whole = train_decoder(loss, encoder, pictures, pictures, TINY, place=cpu)

    def stop(event):
        if event.step == 3:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "c.checkpoint"
    with pytest.raises(KeyboardInterrupt):
        train_decoder(loss, encoder, pictures, pictures, TINY, place=cpu, checkpoint=checkpoint, listener=stop)
    again = train_decoder(loss, encoder, pictures, pictures, TINY, place=cpu, checkpoint=checkpoint)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value)
    with pytest.raises(InputError, match="other settings"):
        train_decoder(loss, encoder, pictures, pictures, replace(TINY, pixels=9.0), place=cpu, checkpoint=checkpoint)


def test_all_kinds_of_features_are_shown_and_told(encoder, loss, pictures, cpu):
    told = []

    def listen(event):
        told.append(set(event.values))

    train_decoder(loss, encoder, pictures, pictures, replace(TINY, steps=12), place=cpu, listener=listen)
    seen = set().union(*told)
    assert {f"{kind} {layer}" for kind in ("known", "swapped", "transformed") for layer in LAYERS[1:]} <= seen
    assert {"style", "content", "loss"} <= seen
    told.clear()
    published = replace(PUBLISHED, steps=6, batch=1, crop=64)
    train_decoder(loss, encoder, pictures, pictures, published, place=cpu, listener=listen)
    seen = set().union(*told)
    assert {f"{kind} {layer}" for kind in ("known", "swapped") for layer in ("relu3_1", "relu4_1")} <= seen
    assert not any(name.startswith(("transformed", "style")) or "relu2_1" in name for name in seen)


def test_the_loss_of_painting_reaches_every_stage(encoder, loss, pictures, cpu):
    settings = replace(TINY, pixels=0.0, inner=0.0, swapped=0.0, transformed=0.0, tv_weight=0.0)
    decoder = train_decoder(loss, encoder, pictures, pictures, replace(settings, steps=0), place=cpu)
    learner = DecoderLearner(decoder, encoder, loss, settings, torch.float32)
    photos = pictures.draw(2, 64, torch.Generator().manual_seed(1))
    found = encoder(photos, LAYERS)
    weights = dict(decoder.named_parameters())
    total, values = learner._painting(weights, photos[:1], photos[1:], found, torch.Generator().manual_seed(0))
    total.backward()
    assert values["style"] > 0
    for stage in decoder.stages:
        assert all(float(parameter.grad.abs().max()) > 0 for parameter in stage.parameters())


def test_the_colours_of_whole_areas_have_a_weight_of_their_own(encoder, loss, pictures, cpu):
    settings = replace(TINY, painting=0.0, swapped=0.0, transformed=0.0)
    decoder = train_decoder(loss, encoder, pictures, pictures, replace(settings, steps=0), place=cpu)
    photos = pictures.draw(2, 64, torch.Generator().manual_seed(1))
    without, with_them = (
        DecoderLearner(decoder, encoder, loss, replace(settings, colours=weight), torch.float32).gradient(
            photos[:1], photos[1:], torch.Generator().manual_seed(0)
        )
        for weight in (0.0, 20.0)
    )
    (name,) = (name for name in with_them if name.startswith("colours"))
    assert 0 < with_them[name] < with_them[name.replace("colours", "pixels")]
    torch.testing.assert_close(with_them["loss"] - without["loss"], 20 * with_them[name], rtol=1e-4, atol=1e-5)


def test_a_relu_that_never_opens_still_learns():
    given = torch.full((1, 1, 4, 4), -0.5, requires_grad=True)
    rectified_distance(given, torch.ones(1, 1, 4, 4)).backward()
    assert given.grad.max() < 0
    shut = torch.full((1, 1, 4, 4), -0.5, requires_grad=True)
    target = torch.zeros(1, 1, 4, 4)
    target[..., 0, 0] = 1.0
    rectified_distance(shut, target).backward()
    assert (shut.grad != 0).sum() == 1


def test_from_folders_to_a_file(tmp_path, encoder):
    from safetensors.torch import save_file

    (tmp_path / "photos").mkdir()
    scene(96, 80).save(tmp_path / "photos" / "a.png")
    save_file({k: v.contiguous() for k, v in encoder.state_dict().items()}, tmp_path / "tiny.safetensors")
    train_to_file(
        TRAINING,
        Materials(content=[tmp_path / "photos"], style=[tmp_path / "photos"], encoder=str(tmp_path / "tiny.safetensors")),
        tmp_path / "out" / "d.safetensors",
        changes={"steps": 2, "batch": 1, "crop": 64, "hidden": (5, 6, 7), "depths": (1, 2, 3)},
        device="cpu",
        precision="float32",
    )
    record = read_record(tmp_path / "out" / "d.json")
    assert record.kind == "decoder"
    assert record.size == (tmp_path / "out" / "d.safetensors").stat().st_size
    assert not list((tmp_path / "out").glob("*.checkpoint"))
    decoder, _ = read_decoder(tmp_path / "out" / "d.safetensors")
    assert isinstance(decoder, Decoder)
    assert decoder.hidden == (5, 6, 7)
    assert [len(stage) for stage in decoder.stages] == [1, 1, 2, 3]
    assert decoder.encoder == "tiny"


def test_wrong_settings_are_refused(tmp_path, encoder):
    from safetensors.torch import save_file

    with pytest.raises(InputError, match="layers cannot be"):
        DecoderTraining(layers=("relu5_1",))
    with pytest.raises(InputError, match="multiple of 8"):
        DecoderTraining(crop=100)
    with pytest.raises(InputError, match="hidden has three numbers"):
        DecoderTraining(hidden=(8, 8))
    with pytest.raises(InputError, match="depths has three numbers"):
        DecoderTraining(depths=(2, 2, 4, 4))
    with pytest.raises(InputError, match="no loss"):
        DecoderTraining(loss="taste")
    (tmp_path / "photos").mkdir()
    scene(96, 80).save(tmp_path / "photos" / "a.png")
    materials = Materials(content=[tmp_path / "photos"], style=[tmp_path / "photos"])
    with pytest.raises(InputError, match="no preset"):
        train_to_file(TRAINING, materials, tmp_path / "d.safetensors", preset="best")
    with pytest.raises(InputError, match=r"ends in \.safetensors"):
        train_to_file(TRAINING, materials, tmp_path / "d.pt")
    shallow = random_encoder(4, 6, 8)
    save_file({k: v.contiguous() for k, v in shallow.state_dict().items()}, tmp_path / "shallow.safetensors")
    shallow_materials = replace(materials, encoder=str(tmp_path / "shallow.safetensors"))
    with pytest.raises(InputError, match="has no relu4_1"):
        train_to_file(TRAINING, shallow_materials, tmp_path / "d.safetensors", device="cpu")
