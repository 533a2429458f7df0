import copy
from dataclasses import asdict, replace

import pytest
import torch
from safetensors.torch import load_file

from impasto.errors import InputError, WeightsError
from impasto.perception.encoder import Encoder
from impasto.perception.loss import PerceptualLoss
from impasto.perception.statistics import gram
from impasto.perception.weights import read_encoder
from impasto.storage.registry import read_record
from impasto.storage.tensors import checksum, write_tensors
from impasto.training.checkpoint import load_checkpoint, save_checkpoint
from impasto.training.compression import TAUGHT, choose_channels, compress, least_squares, teacher_layer
from impasto.training.data import PictureFolder, jitter_color
from impasto.training.encoder import Readouts, answer, log_distance_error, paint, pair_distances, train_encoder
from impasto.training.encoder_settings import RECIPE, EncoderTraining
from impasto.training.recipe import Materials, train_to_file
from impasto.training.results import write_half
from tests.conftest import random_encoder, scene

SMALL = EncoderTraining(channels=(2, 3, 4, 4, 4), steps=4, batch=1, crop=64, pool=4, paint_every=2, paint_steps=2)


@pytest.fixture
def folders(tmp_path):
    for name, angle in (("photos", 0), ("paintings", 30)):
        (tmp_path / name).mkdir()
        for index in range(3):
            scene(100 + 20 * index, 90).rotate(angle + 10 * index).save(tmp_path / name / f"{index}.png")
    return [tmp_path / "photos"], [tmp_path / "paintings"]


@pytest.fixture
def teacher():
    return random_encoder(6, 8, 10, 12, 12)


def test_channels_that_explain_the_others_are_chosen():
    base = torch.rand(2, 3, 20, 20, generator=torch.Generator().manual_seed(0))
    features = torch.cat([base[:, :1], base[:, :1] * 0.5, base[:, 1:2], base[:, 1:2] + 1e-3, base[:, 2:]], 1)
    chosen = set(choose_channels(features, 3).tolist())
    assert len(chosen & {0, 1}) == len(chosen & {2, 3}) == len(chosen & {4}) == 1


def test_least_squares_finds_a_linear_map():
    inputs = torch.randn(500, 6)
    weight, bias = torch.randn(4, 6), torch.randn(4)
    found, offset = least_squares(inputs, inputs @ weight.T + bias, ridge=1e-9)
    assert torch.allclose(found, weight, atol=1e-4)
    assert torch.allclose(offset, bias, atol=1e-4)


def test_compressing_to_the_same_width_changes_nothing(teacher):
    pictures = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    same = random_encoder(6, 8, 10, 12, 12)
    for parameter in same.parameters():
        parameter.data.zero_()
    compress(teacher, same, pictures)
    wanted, found = teacher(pictures, ["relu2_1"])["relu2_1"], same(pictures, ["relu2_1"])["relu2_1"]
    assert (found - wanted).abs().mean() < 0.05 * wanted.abs().mean()


def test_a_compressed_encoder_beats_random_filters(teacher):
    pictures = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    narrow, random = random_encoder(3, 4, 5, 6, 6), random_encoder(3, 4, 5, 6, 6)
    compress(teacher, narrow, pictures)
    wide = teacher(pictures, TAUGHT)

    def missed(student):
        readouts, own = Readouts(student, teacher), student(pictures, TAUGHT)
        readouts.fit(own, wide)
        return sum((readouts[layer](own[layer]) - wide[layer]).square().mean() / wide[layer].var() for layer in TAUGHT[:4]).item()

    assert missed(narrow) < missed(random)


def test_the_read_out_gram_is_that_of_the_read_out_features(teacher):
    student = random_encoder(3, 4, 5, 6, 6)
    readouts, features = Readouts(student, teacher), student(torch.rand(2, 3, 48, 48), TAUGHT)
    for layer in ("relu1_1", "relu4_1"):
        direct = gram(readouts[layer](features[layer]))
        assert torch.allclose(readouts.gram(layer, features[layer], gram(features[layer])), direct, rtol=1e-3, atol=1e-4)


def test_pair_distances_are_relative_gram_distances():
    matrices = {"relu1_1": gram(torch.rand(3, 4, 8, 8))}
    distances = pair_distances(matrices)[0]
    a, b = matrices["relu1_1"][0], matrices["relu1_1"][2]
    assert distances[0, 2].item() == pytest.approx(((a - b).square().sum() / b.square().sum()).item(), rel=1e-3)
    assert distances.diagonal().abs().max() < 1e-5
    assert log_distance_error(pair_distances(matrices), pair_distances(matrices)).item() == 0


def test_painting_lowers_the_loss(teacher):
    loss = PerceptualLoss(teacher, "yardstick")
    content, style = torch.rand(2, 3, 48, 48), torch.rand(2, 3, 48, 48).round()
    before = loss(content, loss.content_target(content), loss.style_target([style])).total
    painted = paint(teacher, content, style, content, steps=10, content_weight=0.05)
    assert loss(painted, loss.content_target(content), loss.style_target([style])).total < before
    assert painted.min() >= 0
    assert painted.max() <= 1


def test_training_lowers_its_loss(folders, teacher):
    events = []
    settings = EncoderTraining(
        channels=(3, 4, 5, 6, 6), steps=64, batch=2, crop=64, pool=8, paint_every=12, paint_steps=2, learning_rate=3e-3, warmup=5
    )
    student, record = train_encoder(teacher, *folders, settings=settings, listener=events.append)
    losses = [event.values["loss"] for event in events]
    assert len(losses) == 64
    assert sum(losses[-8:]) < 0.93 * sum(losses[:8])
    assert not any(p.requires_grad for p in student.parameters())
    assert "3 photographs, 3 paintings" in record["trained_on"]


def test_the_teacher_is_asked_once_about_a_lesson(folders, teacher, monkeypatch):
    asked = []

    def counted(*pictures, **options):
        asked.append(checksum({"judged": pictures[1]}))
        return answer(*pictures, **options)

    monkeypatch.setattr("impasto.training.encoder.answer", counted)
    train_encoder(teacher, *folders, settings=replace(SMALL, steps=12, wide_batch=0, pool=64))
    assert 3 < len(asked) < 12 * 2
    assert len(set(asked)) == len(asked)


def test_a_shallow_encoder_stands_for_the_whole_of_each_block(teacher):
    shallow = Encoder((6, 8, 10, 12, 12), (1, 2, 2, 2, 1))
    stands_for = {name: teacher_layer(name, shallow, teacher) for name in shallow.names}
    assert stands_for == {name: name for name in shallow.names} | {"3_2": "3_4"}
    pictures = torch.rand(6, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    compress(teacher, shallow, pictures)
    wanted, found = teacher(pictures, ["relu4_2"])["relu4_2"], shallow(pictures, ["relu4_2"])["relu4_2"]
    random = Encoder((6, 8, 10, 12, 12), (1, 2, 2, 2, 1))(pictures, ["relu4_2"])["relu4_2"]
    assert (found - wanted).square().mean() < 0.5 * min(wanted.var(), (random - wanted).square().mean())


def test_a_shallow_encoder_is_trained_written_and_read(folders, teacher, tmp_path):
    depths = (2, 1, 2, 2, 1)
    small, _ = train_encoder(teacher, *folders, settings=replace(SMALL, depths=depths))
    write_half(small, tmp_path / "shallow.safetensors", "encoder")
    assert read_encoder(tmp_path / "shallow.safetensors").depths == depths
    with pytest.raises(InputError, match="convolutions per block, and the settings say"):
        train_encoder(teacher, *folders, settings=SMALL, start=small)
    with pytest.raises(InputError, match="too few for"):
        train_encoder(teacher, *folders, settings=replace(SMALL, depths=(3, 2, 2, 2, 1)))
    for wrong in ((2, 2, 4, 1, 1), (2, 2, 4, 4)):
        with pytest.raises(InputError, match="the fourth has at least two convolutions"):
            replace(SMALL, depths=wrong)


def test_an_encoder_is_trained_further(folders, teacher):
    start = Encoder(SMALL.channels, SMALL.depths).requires_grad_(False)
    again, _ = train_encoder(teacher, *folders, settings=replace(SMALL, steps=0), start=copy.deepcopy(start))
    assert all(torch.equal(own, other) for own, other in zip(again.parameters(), start.parameters(), strict=True))
    with pytest.raises(InputError, match=r"has channels \(2, 3, 4, 4, 4\), and the settings say"):
        train_encoder(teacher, *folders, settings=replace(SMALL, channels=(2, 3, 4, 4, 6)), start=start)


def test_a_stopped_training_goes_on_as_if_it_had_not_stopped(folders, tmp_path):
    def stop(event):
        if event.step == 3:
            raise KeyboardInterrupt

    whole, _ = train_encoder(random_encoder(6, 8, 10, 12, 12), *folders, settings=SMALL, checkpoint=tmp_path / "a.checkpoint")
    with pytest.raises(KeyboardInterrupt):
        train_encoder(random_encoder(6, 8, 10, 12, 12), *folders, settings=SMALL, checkpoint=tmp_path / "b.checkpoint", listener=stop)
    steps = []
    resumed, _ = train_encoder(
        random_encoder(6, 8, 10, 12, 12),
        *folders,
        settings=SMALL,
        checkpoint=tmp_path / "b.checkpoint",
        listener=lambda e: steps.append(e.step),
    )
    assert steps == [4]
    for own, other in zip(resumed.parameters(), whole.parameters(), strict=True):
        assert torch.equal(own, other)


def test_checkpoints_of_something_else_are_refused(folders, teacher, tmp_path):
    save_checkpoint(tmp_path / "c.checkpoint", {"step": 1, "channels": [9, 9, 9, 9, 9]})
    with pytest.raises(InputError, match="of another version"):
        train_encoder(teacher, *folders, settings=SMALL, checkpoint=tmp_path / "c.checkpoint")
    train_encoder(random_encoder(6, 8, 10, 12, 12), *folders, settings=replace(SMALL, steps=1), checkpoint=tmp_path / "e.checkpoint")
    for other in (replace(SMALL, batch=2), replace(SMALL, channels=(2, 3, 4, 4, 5))):
        with pytest.raises(InputError, match="other settings"):
            train_encoder(random_encoder(6, 8, 10, 12, 12), *folders, settings=other, checkpoint=tmp_path / "e.checkpoint")
    with pytest.raises(InputError, match=r"other data .*teacher"):
        train_encoder(random_encoder(6, 8, 10, 12, 14), *folders, settings=SMALL, checkpoint=tmp_path / "e.checkpoint")
    (tmp_path / "d.checkpoint").write_bytes(b"nothing")
    with pytest.raises(WeightsError, match="is not a checkpoint"):
        load_checkpoint(tmp_path / "d.checkpoint")


def test_the_file_is_in_half_precision_with_its_record(folders, teacher, tmp_path):
    write_tensors(tmp_path / "teacher.safetensors", teacher.state_dict(), "encoder")
    materials, changes = Materials(content=folders[0], style=folders[1], teacher=str(tmp_path / "teacher.safetensors")), asdict(SMALL)
    train_to_file(RECIPE, materials, tmp_path / "small.safetensors", changes=changes, device="cpu")
    record = read_record(tmp_path / "small.json")
    assert record.name == "small"
    assert record.size == (tmp_path / "small.safetensors").stat().st_size
    assert "distilled from teacher on 3 photographs" in record.source
    assert all(t.dtype == torch.float16 for t in load_file(tmp_path / "small.safetensors").values())
    assert read_encoder(tmp_path / "small.safetensors").channels == (2, 3, 4, 4, 4)
    blocked = folders[0][0] / "0.png" / "small.safetensors"
    with pytest.raises(InputError, match="not a folder that can be written to"):
        train_to_file(RECIPE, materials, blocked, changes=changes)
    with pytest.raises(InputError, match=r"ends in \.safetensors"):
        train_to_file(RECIPE, materials, tmp_path / "small.bin", changes=changes)


def test_crops_are_repeatable_and_within_range(folders):
    source = PictureFolder([*folders[0], *folders[1]])
    assert len(source) == 6
    draws = [source.draw(3, 48, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)]
    assert draws[0].shape == (3, 3, 48, 48)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])
    colored = jitter_color(draws[0], torch.Generator().manual_seed(0))
    assert colored.min() >= 0
    assert colored.max() <= 1
    assert not torch.equal(colored, draws[0])
    assert source.draw(2, 200, torch.Generator().manual_seed(0)).shape == (2, 3, 200, 200)


def test_folders_without_pictures(tmp_path):
    with pytest.raises(InputError, match="no pictures in"):
        PictureFolder([tmp_path])
