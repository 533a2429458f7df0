import time

import pytest
import torch

from impasto.evaluation.report import circumstances, spread
from impasto.evaluation.speed import PLAIN, Painter, interleaved, median_seconds, multiply_adds, peaks, time_encoders, time_painters
from impasto.methods.metastyle.live import LIVE
from impasto.networks.style_network import StyleNetwork
from impasto.runtime.device import Place
from tests.conftest import random_encoder

CPU = Place(torch.device("cpu"), torch.bfloat16)


def test_the_median_leaves_the_first_run_and_outliers_out():
    waits = iter([0.2, 0.001, 0.3, 0.001])
    assert median_seconds(lambda: time.sleep(next(waits)), repeats=3, device=torch.device("cpu")) < 0.1


def test_a_wide_encoder_is_slower_than_a_narrow_one():
    narrow, wide = random_encoder(4, 4, 4, 4, 4), random_encoder(64, 64, 64, 64, 64)
    timings = time_encoders({"narrow": narrow, "wide": wide}, [64], repeats=3, place=CPU)
    ratios = {t.what: t.times_faster for t in timings}
    assert ratios["narrow, there and back, float32"] > 1
    assert ratios["wide, there and back, float32"] == 1
    assert all(t.seconds > 0 for t in timings)


def test_runs_of_several_things_are_taken_in_turn():
    order = []
    interleaved({name: lambda name=name: order.append(name) for name in "ab"}, repeats=2, device=CPU.device)
    assert order == list("ababab")


def test_networks_are_compared_with_plain_pytorch_and_with_the_peak_of_their_precision():
    network = StyleNetwork(4, 1).requires_grad_(False)
    slow = Painter("float32", lambda photo: (time.sleep(0.2), network(photo))[1])
    plain, ours = time_painters("small", network, {"slow": slow}, [64], peak={"float32": 1e9}, repeats=1, place=CPU)
    assert plain.what == f"small, {PLAIN}"
    assert ours.times_faster == plain.seconds / ours.seconds < 1
    assert ours.rate == multiply_adds(network) * 64**2 / ours.seconds
    assert ours.share == ours.rate / 1e9


def test_multiply_adds_are_those_of_the_convolutions():
    # 9x9 of 3 to 4 channels and back, 3x3 at a half and a quarter of the size, residual blocks at a quarter, and up again.
    expected = 2 * 81 * 12 + 9 * (4 * 8 / 4 + 8 * 16 / 16 + 2 * 16 * 16 / 16 + 16 * 8 / 4 + 8 * 4)
    assert multiply_adds(StyleNetwork(4, 1)) == expected
    assert multiply_adds(StyleNetwork()) == multiply_adds(StyleNetwork().requires_grad_(False)) == 153_792
    assert multiply_adds(StyleNetwork(**LIVE)) <= 28_000


def test_peaks_are_measured_in_the_precisions_that_the_machine_has():
    found = peaks(Place(torch.device("cpu"), torch.float32), side=512, repeats=3)
    assert found.keys() - {"int8"} == {"float32"}
    assert all(rate > 1e8 for rate in found.values())


@pytest.mark.parametrize(("seconds", "measured"), [(0.0, {"float32", "int8"}), (0.1, {"float32"})])
def test_eight_bits_are_left_out_where_they_are_slow(seconds, measured, monkeypatch):
    monkeypatch.setattr("impasto.evaluation.speed._product_of_bytes", lambda side: lambda: time.sleep(seconds))
    assert peaks(Place(torch.device("cpu"), torch.float32), side=512, repeats=1).keys() == measured


def test_figures_say_when_where_and_what():
    here = circumstances()
    assert {"date", "machine", "versions", "commit", "threads"} <= here.keys()
    assert here["versions"]["torch"] == torch.__version__
    assert "cores" in here["machine"]
    assert spread([1.0, 2.0, 3.0]) == "2.000 ± 1.000"
    assert spread([1.0]) == "1.000 ± 0.000"
