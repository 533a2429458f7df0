import pytest
import torch

from impasto.errors import InputError
from impasto.runtime.device import Place, choose_place, has_native_bfloat16, settle
from tests.conftest import random_encoder


def test_the_cpu_uses_bfloat16_only_where_it_has_it():
    place = choose_place("cpu")
    assert place.device.type == "cpu"
    assert place.dtype == (torch.bfloat16 if has_native_bfloat16() else torch.float32)


def test_choices_are_followed():
    assert choose_place("cpu", "float16") == Place(torch.device("cpu"), torch.float16)
    assert str(choose_place("cpu", "float32")) == "cpu, float32"


@pytest.mark.parametrize(("device", "precision"), [("warp", "auto"), ("cuda:77", "auto"), ("cpu", "float8")])
def test_impossible_choices_are_named(device, precision):
    with pytest.raises(InputError):
        choose_place(device, precision)


def test_settled_networks_run_with_channels_last_and_agree():
    image = torch.rand(1, 3, 40, 40)
    exact = random_encoder(8, 16)(image, ["relu2_1"])["relu2_1"]
    network = settle(random_encoder(8, 16), Place(torch.device("cpu"), torch.bfloat16))
    assert network.conv1_2.weight.is_contiguous(memory_format=torch.channels_last)
    fast = network(image, ["relu2_1"])["relu2_1"]
    assert fast.dtype == torch.bfloat16
    assert (fast.float() - exact).abs().max() < 0.03 * exact.abs().max()
