"""A network as a style file: small, faithful, and refused when it is anything else."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from impasto.errors import StyleError, UnavailableError
from impasto.networks.style_network import StyleNetwork
from impasto.networks.style_network_file import from_style_file, load_network, network_of, pack, read_network, to_style_file, unpack
from impasto.storage.style_file import StyleFile, StyleRecord, read_style, write_style

RECORD = StyleRecord("mine", "metastyle")


@pytest.fixture
def network():
    torch.manual_seed(0)
    return StyleNetwork(8, 2).requires_grad_(False)


def test_eight_bits_paint_the_same_picture(network):
    torch.manual_seed(1)
    picture, again = torch.rand(1, 3, 40, 40), unpack(pack(network), lambda: StyleNetwork(8, 2), "mine")
    difference = (network(picture) - again(picture)).square().mean().sqrt()
    assert 0 < difference < 0.01


def test_a_full_network_takes_less_than_two_megabytes(tmp_path):
    path = write_style(tmp_path / "style.safetensors", to_style_file(StyleNetwork(), RECORD))
    assert path.stat().st_size < 1.75e6


def test_there_and_back_through_the_file(network, tmp_path):
    path = write_style(tmp_path / "mine.safetensors", to_style_file(network, RECORD))
    style = read_style(path)
    assert (style.record.network, style.record.width, style.record.settings["blocks"]) == ("transformer", 8.0, 2)
    again = from_style_file(style)
    assert (again.width, again.blocks) == (8, 2)
    torch.testing.assert_close(again.affine(), network.affine())
    torch.testing.assert_close(again.last.weight, network.last.weight, atol=2e-3, rtol=0)


def test_affine_styles_hold_their_vector_alone_and_know_their_network(network, tmp_path):
    changed = StyleNetwork(8, 2)
    changed.load_state_dict(network.state_dict())
    changed.load_affine(network.affine() + 0.25)
    path = write_style(tmp_path / "mine.safetensors", to_style_file(changed, RECORD, start=network))
    style = read_style(path)
    assert set(style.tensors) == {"affine"}
    again = from_style_file(style, network)
    torch.testing.assert_close(again.affine(), changed.affine(), atol=1e-3, rtol=0)
    assert torch.equal(again.last.weight, network.last.weight)
    with pytest.raises(StyleError, match="does not bundle"):
        from_style_file(style, StyleNetwork(8, 2))
    with pytest.raises(StyleError, match="does not bundle"):
        from_style_file(style)
    short = StyleFile(style.record, {"affine": torch.zeros(3).half()})
    with pytest.raises(StyleError, match="scales and shifts"):
        from_style_file(short, network)


def test_files_for_other_networks_are_refused(network):
    style = to_style_file(network, RECORD)
    wide = StyleFile(replace(style.record, width=16.0), style.tensors)
    with pytest.raises(StyleError, match=r"does not hold the weights of the network that it names .down\.0"):
        from_style_file(wide)
    for changes, sentence in (
        ({"width": 0.5}, "there cannot be"),
        ({"width": -3.0}, "there cannot be"),
        ({"width": 3000.0}, "there cannot be"),
        ({"width": float("nan")}, "there cannot be"),
        ({"width": "abc"}, "there cannot be"),
        ({"settings": {"blocks": True}}, "there cannot be"),
        ({"width": 512.0, "settings": {"blocks": 64}}, "does not hold the weights"),
        ({"network": "unet"}, "not for the network"),
        ({"settings": {"blocks": 2, "inputs": "grey"}}, "does not know"),
    ):
        with pytest.raises(StyleError, match=sentence):
            from_style_file(StyleFile(replace(style.record, **changes), style.tensors))


def test_damaged_weights_are_refused(network):
    style = to_style_file(network, RECORD)
    missing = {name: value for name, value in style.tensors.items() if name != "last.bias"}
    with pytest.raises(StyleError, match=r"last\.bias"):
        from_style_file(StyleFile(style.record, missing))
    unscaled = {name: value for name, value in style.tensors.items() if name != "last.weight.scale"}
    with pytest.raises(StyleError, match="without their scale"):
        from_style_file(StyleFile(style.record, unscaled))
    broken = style.tensors | {"last.bias": torch.full((3,), float("nan")).half()}
    with pytest.raises(StyleError, match="finite"):
        from_style_file(StyleFile(style.record, broken))
    with pytest.raises(StyleError, match="extra"):
        from_style_file(StyleFile(style.record, style.tensors | {"extra": torch.zeros(1)}))


def test_weights_of_a_network_are_read_at_any_width_and_nothing_else_is(tmp_path):
    network = StyleNetwork(6)
    path = tmp_path / "network.safetensors"
    save_file({name: value.half().contiguous() for name, value in network.state_dict().items()}, path)
    assert read_network(path).width == 6
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StyleError, match="not a whole safetensors file"):
        read_network(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(StyleError, match="does not hold the weights"):
        read_network(path)
    with pytest.raises(StyleError, match="does not exist"):
        load_network(str(tmp_path / "none.safetensors"))
    with pytest.raises(UnavailableError, match="there is no network 'unknown'"):
        load_network("unknown")


def test_patches_are_kept_and_their_last_filters_are_not_rounded_to_eight_bits(tmp_path):
    torch.manual_seed(0)
    network = StyleNetwork(8, 1, patch=2)
    network.level()
    file = to_style_file(network, StyleRecord("live", "metastyle"))
    assert file.tensors["last.weight"].dtype == torch.float16
    assert file.tensors["down.0.convolution.weight"].dtype == torch.int8
    again = network_of(read_style(write_style(tmp_path / "live.safetensors", file)))
    assert again.shape == network.shape
    sums = again.last.weight.detach().unflatten(0, (3, -1)).sum((-2, -1))
    assert (sums - sums.mean(1, keepdim=True)).abs().max() < 1e-3
    for patch in (3, True, "2"):
        settings = file.record.settings | {"patch": patch}
        with pytest.raises(StyleError, match="patches of side"):
            network_of(replace(file, record=replace(file.record, settings=settings)))


def test_how_the_grain_is_made_is_kept(tmp_path):
    for smooth in (False, True):
        path = write_style(tmp_path / f"{smooth}.safetensors", to_style_file(StyleNetwork(4, smooth=smooth), RECORD))
        network = from_style_file(read_style(path))
        assert network.smooth is smooth
        grain = network.grained(torch.zeros(1, 1, 64, 64), torch.Generator().manual_seed(0))
        assert torch.equal(grain, StyleNetwork(4, smooth=smooth).grained(torch.zeros(1, 1, 64, 64), torch.Generator().manual_seed(0)))
    record = StyleRecord("old", "metastyle", network="transformer", width=4.0)
    old = StyleFile(record, pack(StyleNetwork(4)))
    assert not from_style_file(old).smooth
