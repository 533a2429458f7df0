"""The wiring of the trained updates: what the paper says of it, and what the run-time controls rely on."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.errors import WeightsError
from impasto.methods.solver.network import SolverNetwork, Update, alpha, unroll
from impasto.methods.solver.solver_file import read_solver, write_solver

CHANNELS = (4, 6, 8, 8, 8)


def grams(count=1, seed=0, regions=1):
    generator = torch.Generator().manual_seed(seed)
    features = [torch.randn(count, regions, c, 50, generator=generator) for c in CHANNELS]
    return [f @ f.transpose(-1, -2) / 50 for f in features]


def picture(height=48, width=64, seed=1, dtype=torch.float64):
    return torch.rand(2, 3, height, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@pytest.fixture(params=[True, False], ids=["shared", "separate"])
def update(request):
    torch.manual_seed(0)
    return Update(4, CHANNELS, shared=request.param).double()


@pytest.mark.parametrize(
    ("width", "shared", "count"),
    [
        (64, True, 9_040_704),
        (64, False, 11_038_272),
        (32, True, 2_566_560),
        (32, False, 3_067_680),
        (16, True, 794_832),
        (16, False, 920_976),
    ],
)
def test_parameters_are_those_of_the_paper(width, shared, count):
    assert sum(parameter.numel() for parameter in Update(width, shared=shared).parameters()) == count


def test_no_weights_of_the_style_no_update(update):
    q = [0.0 * part for part in update.filters([g.double() for g in grams()])]
    assert update(picture(), q).abs().max() == 0


def test_scales_add_and_strength_is_linear(update):
    q, x = update.filters([g.double() for g in grams()]), picture()
    alone = [update(x, [part * (level == one) for level, part in enumerate(q)]) for one in range(5)]
    everything = update(x, q)
    torch.testing.assert_close(sum(alone), everything)
    torch.testing.assert_close(update(x, [0.3 * part for part in q]), 0.3 * everything)
    assert everything.abs().max() > 1e-6


def test_with_relus_instead_of_gates_scales_do_not_add():
    torch.manual_seed(0)
    update = Update(4, CHANNELS, gated=False).double()
    q, x = update.filters([g.double() for g in grams()]), picture()
    alone = [update(x, [part * (level == one) for level, part in enumerate(q)]) for one in range(5)]
    assert (sum(alone) - update(x, q)).abs().max() > 1e-3 * update(x, q).abs().max()


def test_one_region_everywhere_is_no_mask(update):
    q, x = update.filters([g.double() for g in grams()]), picture()
    ones = [torch.ones(1, 1, 48 >> level, 64 >> level, dtype=torch.float64) for level in range(5)]
    torch.testing.assert_close(update(x, q, ones), update(x, q))


def test_two_equal_styles_in_soft_halves_are_that_style(update):
    one = [g.double() for g in grams()]
    q, twice = update.filters(one), update.filters([g.expand(-1, 2, -1, -1) for g in one])
    left = [torch.linspace(0, 1, 64 >> level, dtype=torch.float64).expand(1, 1, 48 >> level, -1) for level in range(5)]
    x = picture()
    torch.testing.assert_close(update(x, twice, [torch.cat([part, 1 - part], 1) for part in left]), update(x, q))


def test_gates_are_constants_of_the_gradient():
    update = Update(4, CHANNELS).double()
    q = [torch.zeros_like(part) for part in update.filters([g.double() for g in grams()])]
    x = picture().requires_grad_(True)
    update(x, q).sum().backward()
    assert x.grad.abs().max() == 0


@settings(max_examples=12, deadline=None)
@given(st.integers(32, 75), st.integers(32, 75))
def test_any_size_keeps_its_size(height, width):
    torch.manual_seed(0)
    update = Update(2, CHANNELS)
    x = torch.rand(1, 3, height, width)
    assert update(x, update.filters(grams())).shape == x.shape


def test_zero_updates_leave_the_content():
    network = SolverNetwork(3, 4, CHANNELS)
    x = picture(dtype=torch.float32)
    q = [torch.zeros(1, 1, k, k) for k in network.of_step(0).widths]
    *_, last = unroll(network, x, lambda step, now: (q, None), grain=torch.rand(2, 1, 48, 64))
    assert torch.equal(last, x)


def test_alpha_makes_the_loss_of_a_picture_without_energy_one():
    style = grams(3)
    loss = sum(g.square().mean((-2, -1)) for g in style) / alpha(style)
    torch.testing.assert_close(loss, torch.ones(3, 1))


def test_the_metric_makes_the_mean_style_a_multiple_of_the_identity():
    network = SolverNetwork(1, 4, CHANNELS)
    seen = [g[:, 0] for g in grams(40)]
    network.set_metric(seen, shrink=0.0)
    for mean in network.measured([g.mean(0)[None, None] for g in seen]):
        count = mean.shape[-1]
        torch.testing.assert_close(mean[0, 0], torch.eye(count) / count**0.5, atol=1e-4, rtol=0)


def test_a_file_gives_back_the_network(network, tmp_path):
    write_solver(network, tmp_path / "s.safetensors")
    again = read_solver(tmp_path / "s.safetensors")
    assert again.settings() == network.settings()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value.half().float())


def test_foreign_files_are_refused_in_a_sentence(network, tmp_path):
    from safetensors.torch import save_file

    path = tmp_path / "s.safetensors"
    with pytest.raises(WeightsError, match="does not exist"):
        read_solver(path)
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(WeightsError, match="not of a solver"):
        read_solver(path)
    path.write_bytes(b"PK\x03\x04 and so on")
    with pytest.raises(WeightsError, match="pickle"):
        read_solver(path)
    write_solver(network, path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(WeightsError, match="not a whole safetensors file"):
        read_solver(path)
    network.of_step(0).left[0].fill_(float("nan"))
    write_solver(network, path)
    with pytest.raises(WeightsError, match="not finite"):
        read_solver(path)
