"""Collections that are streamed: in one order whatever reads it, each picture once, resumed where it was, in bounded memory."""

import contextlib
import io
import itertools
import json
import tarfile

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from impasto.errors import InputError
from impasto.media.images import picture_of, read_picture
from impasto.training import collection
from impasto.training.collection import AHEAD, StreamedPictures, pictures_of, shards_of
from impasto.training.data import PictureFolder
from impasto.training.loop import own_generator, train
from impasto.training.settings import FittingSettings
from tests.conftest import scene


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("IMPASTO_CACHE", str(tmp_path / "cache"))


def numbered(number, *, suffix="png"):
    """A flat picture that says its number in its colour, as a file's bytes."""
    stream = io.BytesIO()
    Image.new("RGB", (40, 40), (number % 256, number // 256, 7)).save(stream, {"jpg": "jpeg"}.get(suffix, suffix))
    return stream.getvalue()


def number_of(crop):
    red, green = (int(value) for value in crop.mul(255).round()[:2, 0, 0])
    return red + 256 * green


def write_shards(folder, counts, *, broken=()):
    folder.mkdir(exist_ok=True)
    numbers = itertools.count()
    for index, count in enumerate(counts):
        with tarfile.open(folder / f"{index:04d}.tar", "w") as archive:
            for number in itertools.islice(numbers, count):
                key = f"{number:05d}"
                data = b"no picture" if number in broken else numbered(number)
                for name, content in ((f"{key}.png", data), (f"{key}.json", json.dumps({"n": number}).encode()), (f"{key}.mask.png", b"x")):
                    member = tarfile.TarInfo(f"train/{name}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
    return folder


def drawn(pictures, count):
    return [number_of(crop) for crop in pictures.draw(count, 32, torch.Generator().manual_seed(0))]


def test_an_epoch_holds_every_picture_once_in_another_order_each(tmp_path):
    shards = shards_of([write_shards(tmp_path / "shards", [7, 11, 3] * 7)])
    pictures = StreamedPictures(shards, 0)
    assert len(pictures) == 147
    first, second = drawn(pictures, 147), drawn(pictures, 147)
    assert sorted(first) == sorted(second) == list(range(147))
    assert first != second
    assert first != sorted(first)
    assert first != drawn(StreamedPictures(shards, 1), 147)


def test_the_order_does_not_depend_on_threads(tmp_path):
    shards = shards_of([write_shards(tmp_path / "shards", [30, 40])])
    one, many = (StreamedPictures(shards, 5, threads=threads) for threads in (1, 7))
    assert drawn(one, 100) == drawn(many, 100)
    assert len(one._coming) <= AHEAD


def test_near_pictures_come_from_few_shards(tmp_path, monkeypatch):
    monkeypatch.setattr(collection, "TOGETHER", 2)
    pictures = StreamedPictures(shards_of([write_shards(tmp_path / "shards", [10] * 10)]), 0)
    found = drawn(pictures, 100)
    assert all(len({number // 10 for number in found[start : start + 20]}) == 2 for start in range(0, 100, 20))


def test_it_is_resumed_where_it_was(tmp_path):
    shards = shards_of([write_shards(tmp_path / "shards", [13, 8, 21], broken={3, 17})])
    whole = StreamedPictures(shards, 0)
    expected = drawn(whole, 130)
    begun = StreamedPictures(shards, 0)
    assert drawn(begun, 55) == expected[:55]
    again = StreamedPictures(shards, 0)
    again.load(begun.state())
    assert drawn(again, 75) == expected[55:]
    assert whole.broken == 6
    assert "of them left out" in whole.described("photos")


@pytest.mark.parametrize("processes", [2, 3])
def test_several_processes_share_an_epoch(tmp_path, monkeypatch, processes):
    shards = shards_of([write_shards(tmp_path / "shards", [25, 35])])
    found = []
    for own in range(processes):
        monkeypatch.setattr(collection, "workers", lambda: processes)
        monkeypatch.setattr(collection, "rank", lambda own=own: own)
        found.append(drawn(StreamedPictures(shards, 0), 60 // processes))
    assert sorted(itertools.chain.from_iterable(found)) == list(range(60))


def test_parts_of_a_stream_are_streams(tmp_path):
    pictures = StreamedPictures(shards_of([write_shards(tmp_path / "shards", [20, 20])]), 0)
    one, other = pictures.halves(3)
    assert sorted(drawn(one, 20) + drawn(other, 20)) == list(range(40))
    few = pictures.part(6, 3)
    assert set(drawn(few, 12)) == set(drawn(few, 6))
    assert len({pictures.digest, one.digest, other.digest, few.digest}) == 4
    assert number_of(pictures.picture(23).float() / 255) == 23


def test_folders_are_kept_or_streamed_by_their_number(tmp_path, monkeypatch):
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.png").write_bytes(numbered(number))
    assert isinstance(pictures_of([folder], 0), PictureFolder)
    monkeypatch.setattr(collection, "STREAM_FROM", 10)
    streamed = pictures_of([folder], 0)
    assert isinstance(streamed, StreamedPictures)
    assert sorted(drawn(streamed, 12)) == list(range(12))
    shards = write_shards(tmp_path / "shards", [3])
    assert isinstance(pictures_of([shards / "0000.tar"], 0), StreamedPictures)
    assert len(pictures_of([folder, shards], 0)) == 15


def test_where_pictures_lie_is_looked_up_once(tmp_path, monkeypatch):
    shards = write_shards(tmp_path / "shards", [5])
    before = pictures_of([shards], 0).digest
    monkeypatch.setattr(collection, "_places_of", lambda path: pytest.fail("it is known"))
    assert pictures_of([shards], 0).digest == before


def test_what_is_no_collection_is_said(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"there are no pictures in .*empty"):
        shards_of([tmp_path / "empty"])
    with pytest.raises(InputError, match=r"missing.* is not a folder"):
        shards_of([tmp_path / "missing"])
    with tarfile.open(tmp_path / "zipped.tar", "w:gz") as archive:
        archive.add(tmp_path / "empty", "empty")
    with pytest.raises(InputError, match=r"zipped.tar is not a tar file that can be read by places .*unpacked"):
        shards_of([tmp_path / "zipped.tar"])
    with pytest.raises(InputError, match="none of the 4 pictures"):
        drawn(StreamedPictures(shards_of([write_shards(tmp_path / "bad", [4], broken=range(4))]), 0), 1)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif"])
def test_bytes_are_read_as_the_file_is(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    scene(50, 40).save(path)
    assert torch.equal(picture_of(path.read_bytes(), path.name).pixels, read_picture(path).pixels)


def test_deep_pictures_are_read_from_bytes_too(tmp_path):
    path = tmp_path / "deep.png"
    Image.fromarray((np.arange(1600).reshape(40, 40) * 40).astype(np.uint16)).save(path)
    assert torch.equal(picture_of(path.read_bytes(), path.name).pixels, read_picture(path).pixels)


def test_a_training_on_shards_is_resumed_to_the_same_weights(tmp_path):
    shards = write_shards(tmp_path / "shards", [30, 30])

    def fit(checkpoint, stop_at=None):
        torch.manual_seed(0)
        network, settings = nn.Conv2d(3, 1, 1), FittingSettings(steps=12)
        pictures, generator = pictures_of([shards], 0), own_generator(0)

        def gradient(step):
            loss = network(pictures.draw(4, 16, generator)).square().mean()
            loss.backward()
            return {"loss": loss.detach()}

        def listen(event):
            if event.step == stop_at:
                raise KeyboardInterrupt

        sgd = torch.optim.SGD(network.parameters(), 0.1)
        known = {"data": {"contents": pictures.digest}, "reads": [pictures], "checkpoint": checkpoint}
        with contextlib.suppress(KeyboardInterrupt):
            train(
                settings,
                gradient,
                rate=lambda step: 1.0,
                networks={"network": network},
                optimiser=sgd,
                generator=generator,
                listener=listen,
                **known,
            )
        return [value.clone() for value in network.state_dict().values()]

    whole = fit(tmp_path / "one.checkpoint")
    fit(tmp_path / "other.checkpoint", stop_at=5)
    assert all(torch.equal(one, other) for one, other in zip(whole, fit(tmp_path / "other.checkpoint"), strict=True))
