import pickle

import pytest
import torch
from safetensors.torch import save_file

from impasto.errors import WeightsError
from impasto.perception.weights import IMAGENET_MEAN, IMAGENET_STD, convert_torchvision, encoder_from_tensors, read_encoder
from tests.conftest import random_encoder


def test_widths_and_depths_are_read_from_the_file(tmp_path, encoder):
    save_file({k: v.half() for k, v in encoder.state_dict().items()}, tmp_path / "e.safetensors")
    loaded = read_encoder(tmp_path / "e.safetensors", pool="avg")
    assert loaded.channels == encoder.channels
    assert loaded.depths == (2, 2, 4, 4, 1)
    assert loaded.pool == "avg"
    assert not any(p.requires_grad for p in loaded.parameters())
    assert next(loaded.parameters()).dtype == torch.float32


def test_pickles_are_refused_and_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    (tmp_path / "raw.safetensors").write_bytes(pickle.dumps(Trap()))
    torch.save({"conv1_1.weight": torch.rand(4, 3, 3, 3)}, tmp_path / "zip.pth")
    for name in ("raw.safetensors", "zip.pth"):
        with pytest.raises(WeightsError, match="is a pickle"):
            read_encoder(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


def test_foreign_truncated_and_missing_files(tmp_path, encoder):
    with pytest.raises(WeightsError, match="does not exist"):
        read_encoder(tmp_path / "none.safetensors")
    whole = tmp_path / "whole.safetensors"
    save_file(encoder.state_dict(), whole)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(whole.read_bytes()[:-100])
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        read_encoder(cut)
    cut.write_bytes(b"")
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        read_encoder(cut)
    save_file({"linear.weight": torch.rand(2, 2)}, cut)
    with pytest.raises(WeightsError, match=r"holds 'linear\.weight'; conv1_1"):
        read_encoder(cut)
    save_file({"linear\n.weight": torch.rand(2, 2)}, cut)
    with pytest.raises(WeightsError, match=r"holds 'linear\\n\.weight'; conv1_1"):
        read_encoder(cut)


def test_incomplete_and_broken_encoders_are_named(encoder):
    state = encoder.state_dict()
    with pytest.raises(WeightsError, match="whole"):
        encoder_from_tensors({k: v for k, v in state.items() if not k.startswith("conv2")})
    with pytest.raises(WeightsError, match="whole"):
        encoder_from_tensors({k: v for k, v in state.items() if k != "conv3_2.bias"})
    with pytest.raises(WeightsError, match="whole"):
        encoder_from_tensors({**state, "conv3_2.weight": torch.rand(9, 9, 3, 3)})
    with pytest.raises(WeightsError, match="not finite"):
        encoder_from_tensors({**state, "conv1_1.bias": torch.full((4,), float("nan"))})


def published(depths, *, scale=0.05):
    """Tensors named and ordered as torchvision's: features.N, with ReLU and pooling taking numbers of their own."""
    generator, tensors, index, width = torch.Generator().manual_seed(0), {}, 0, 3
    for depth, channels in zip(depths, (64, 128, 256, 512, 512), strict=True):
        for _ in range(depth):
            tensors[f"features.{index}.weight"] = torch.randn(channels, width, 3, 3, generator=generator) * scale
            tensors[f"features.{index}.bias"] = torch.randn(channels, generator=generator) * scale
            index, width = index + 2, channels
        index += 1
    return tensors | {"head.fc.weight": torch.rand(10, 512)}


@pytest.mark.parametrize(("depths", "index"), [((2, 2, 4, 4, 4), 28), ((2, 2, 3, 3, 3), 24)])
def test_torchvisions_networks_are_converted(depths, index):
    tensors = published(depths)
    converted = convert_torchvision(tensors)
    encoder = encoder_from_tensors(converted)
    assert encoder.depths == depths
    assert torch.equal(encoder.conv5_1.weight, tensors[f"features.{index}.weight"])
    image = torch.rand(1, 3, 5, 5)
    normalised = (image - torch.tensor(IMAGENET_MEAN).view(3, 1, 1)) / torch.tensor(IMAGENET_STD).view(3, 1, 1)
    expected = torch.nn.functional.conv2d(normalised, tensors["features.0.weight"], tensors["features.0.bias"]).relu()
    assert torch.allclose(encoder(image, ["relu1_1"])["relu1_1"][..., 1:-1, 1:-1], expected, atol=1e-5)


def test_other_networks_are_not_converted():
    with pytest.raises(WeightsError, match="8 convolutions"):
        convert_torchvision(published((1, 1, 2, 2, 2)))


def test_narrow_random_encoder_has_less_of_everything():
    assert random_encoder(16, 32, 64, 128, 128).width == 0.25
