"""The decoder: the published sizes, the way down layer by layer, its file, and whom it belongs to."""

import pytest
import torch
from safetensors.torch import save_file

from impasto.errors import UnavailableError, WeightsError
from impasto.networks.decoder import Decoder, initialise
from impasto.networks.decoder_file import load_decoder, read_decoder, signature, write_decoder
from impasto.networks.layers import LAYERS
from impasto.perception.encoder import VGG19_CHANNELS
from impasto.runtime.encoders import load_encoder
from impasto.storage.registry import bundled
from tests.conftest import random_encoder


def test_it_has_the_published_number_of_parameters():
    decoder = Decoder(VGG19_CHANNELS, (2, 2, 4, 4, 1))
    counts = [sum(p.numel() for stage in decoder.stages[:block] for p in stage.parameters()) for block in (3, 4)]
    assert counts == [555_075, 3_505_219]


@pytest.mark.parametrize("layer", LAYERS)
def test_every_layer_gives_a_picture_of_the_size(encoder, decoder, layer):
    picture = decoder(encoder(torch.rand(2, 3, 48, 64), [layer])[layer], layer)
    assert picture.shape == (2, 3, 48, 64)


def test_what_it_passes_on_are_features_of_the_layers_below(encoder, decoder):
    found, seen = encoder(torch.rand(1, 3, 48, 64), LAYERS), {}

    def between(layer, features):
        seen[layer] = features
        return features.relu()

    picture = decoder(found["relu4_1"], "relu4_1", between)
    assert list(seen) == ["relu3_1", "relu2_1", "relu1_1"]
    assert all(seen[layer].shape == found[layer].shape for layer in seen)
    torch.testing.assert_close(picture, decoder(found["relu4_1"], "relu4_1"))
    torch.testing.assert_close(picture, decoder(seen["relu3_1"].relu(), "relu3_1"))


def test_what_is_put_in_between_is_what_is_gone_on_with(encoder, decoder):
    found = encoder(torch.rand(1, 3, 48, 64), LAYERS)
    replaced = decoder(found["relu4_1"], "relu4_1", lambda layer, own: found[layer] if layer == "relu2_1" else own.relu())
    torch.testing.assert_close(replaced, decoder(found["relu2_1"], "relu2_1"))


def test_it_begins_with_the_energies_that_it_has_to_give(encoder):
    """And all ReLUs open: an orthogonal start alone gives pictures a hundred times too strong."""
    decoder = Decoder(encoder.channels, encoder.depths)
    pictures = torch.rand(4, 3, 64, 64)
    found = encoder(pictures, LAYERS)
    initialise(decoder, found, pictures)
    for block in (2, 3, 4):
        given = decoder.stage(block, found[LAYERS[block - 1]]).relu()
        assert 0.99 < given.square().mean() / found[LAYERS[block - 2]].square().mean() < 1.01
    picture = decoder.stage(1, found["relu1_1"])
    assert 0.99 < (picture - 0.5).square().mean() / (pictures - 0.5).square().mean() < 1.01


def test_an_encoder_without_enough_layers_is_refused():
    with pytest.raises(ValueError, match="four blocks"):
        Decoder((4, 4, 4), (2, 2, 4))
    with pytest.raises(ValueError, match="three numbers"):
        Decoder((4, 4, 4, 4), (2, 2))
    with pytest.raises(ValueError, match="entered at"):
        Decoder((4, 4, 4, 4), (2, 2, 4, 4))(torch.zeros(1, 4, 2, 2), "relu5_1")


def test_a_file_gives_back_the_decoder(encoder, decoder, tmp_path):
    write_decoder(decoder, encoder, tmp_path / "d.safetensors")
    again, belongs = read_decoder(tmp_path / "d.safetensors")
    assert again.settings() == decoder.settings()
    assert belongs == signature(encoder)
    for name, value in decoder.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value.half().float())


def test_it_knows_its_encoder_in_any_precision(encoder, decoder, tmp_path):
    path = str(tmp_path / "d.safetensors")
    write_decoder(decoder, encoder, tmp_path / "d.safetensors")
    assert load_decoder(random_encoder(4, 6, 8, 8, 8, dtype=torch.bfloat16), path).encoder == "tiny"
    other = random_encoder(4, 6, 8, 8, 8)
    other.convolution("3_1").weight.data.mul_(1.5)
    with pytest.raises(WeightsError, match="the encoder 'tiny', not of this one"):
        load_decoder(other, path)
    with pytest.raises(UnavailableError, match="impasto train decoder makes one"):
        load_decoder(encoder)


def test_foreign_files_are_refused_in_a_sentence(encoder, decoder, tmp_path):
    path = tmp_path / "d.safetensors"
    with pytest.raises(WeightsError, match="does not exist"):
        read_decoder(path)
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="not of a decoder"):
        read_decoder(path)
    save_file({"a": torch.zeros(2)}, path, metadata={"impasto-decoder": '{"channels": [4]}'})
    with pytest.raises(WeightsError, match="does not say how its decoder is built"):
        read_decoder(path)
    save_file({"a": torch.zeros(2)}, path, metadata={"impasto-decoder": "{"})
    with pytest.raises(WeightsError, match="damaged record"):
        read_decoder(path)
    write_decoder(decoder, encoder, path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        read_decoder(path)


@pytest.mark.parametrize(
    ("layer", "most"),
    [
        ("relu2_1", 0.004),
        pytest.param("relu3_1", 0.008, marks=pytest.mark.xfail(strict=True, reason="0.0084: colours of smooth areas drift from relu3_1")),
        ("relu4_1", 0.016),
    ],
)
def test_the_bundled_decoder_gives_photos_back(cpu, layer, most):
    """From each layer of the compact encoder, on a picture made here; deeper layers keep less."""
    encoder = load_encoder("compact", cpu)
    decoder = load_decoder(encoder)
    assert "compact-decoder" in bundled("decoder")
    y, x = torch.meshgrid(torch.linspace(0, 1, 128), torch.linspace(0, 1, 128), indexing="ij")
    disc = (((x - 0.5) ** 2 + (y - 0.4) ** 2) < 0.06).float()
    photo = torch.stack([0.2 + 0.6 * x * (1 - disc), 0.3 + 0.4 * y, 0.3 + 0.5 * disc])[None]
    with torch.no_grad():
        assert (decoder(encoder(photo, [layer])[layer], layer) - photo).square().mean() < most
