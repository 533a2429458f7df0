import time

import torch

from impasto.evaluation.report import circumstances, spread
from impasto.evaluation.speed import median_seconds, time_encoders, time_engine
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


def test_the_engine_is_compared_with_the_plain_network():
    plain, engine = time_engine(random_encoder(8, 8, 8, 8, 8), [64], repeats=1, place=CPU)
    assert engine.times_faster == plain.seconds / engine.seconds
    assert "bfloat16, channels last" in engine.what


def test_figures_say_when_where_and_what():
    here = circumstances()
    assert {"date", "machine", "torch", "commit", "threads"} <= here.keys()
    assert "cores" in here["machine"]
    assert spread([1.0, 2.0, 3.0]) == "2.000 ± 1.000"
    assert spread([1.0]) == "1.000 ± 0.000"
