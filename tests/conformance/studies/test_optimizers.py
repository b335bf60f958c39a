"""What every registered optimizer must do in a pack, whatever its step is."""

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from studies import registry
from studies.optimizers._base import AnyOptimizer, Setting, Tensors
from studies.training.lanes import Lanes, stacked_step
from tests.support.paths import ROOT
from tests.support.training.stateless_losses import stateless_loss

STEPS = 40
NAMES = registry.list_names("optimizers")
pytestmark = pytest.mark.parametrize("name", NAMES)


def loss(params: Tensors, inputs: Tensor, targets: Tensor) -> Tensor:
    w, b = params
    return ((inputs @ w + b) - targets).square().mean()


def initial(lanes: int, dtype: torch.dtype) -> Tensors:
    drawn = [torch.Generator().manual_seed(lane) for lane in range(lanes)]
    return tuple(
        torch.stack([torch.randn(shape, generator=each, dtype=dtype) for each in drawn]) for shape in ((3, 2), (2,))
    )


def defaults(optimizer: AnyOptimizer, lanes: int) -> Setting:
    return {each.name: torch.full((lanes,), each.default, dtype=torch.float64) for each in optimizer.hyperparameters}


def batch(step: int, lanes: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    inputs = torch.randn(8, 3, generator=torch.Generator().manual_seed(100 + step), dtype=dtype)
    targets = inputs.sin().sum(1, keepdim=True).expand(8, 2)
    return inputs.expand(lanes, 8, 3).clone(), targets.expand(lanes, 8, 2).clone()


def trained(
    optimizer: AnyOptimizer, lanes: slice, *, spoiled: int | None = None, dtype: torch.dtype = torch.float32
) -> tuple[list[list[Tensor]], Tensor]:
    """Train some of five lanes, one of them met by a NaN target half way; return their tensors by step, and alive."""
    step = stacked_step(stateless_loss(loss), optimizer)
    params = tuple(each[lanes] for each in initial(5, dtype))
    count = len(params[0])
    setting = defaults(optimizer, count)
    after = Lanes(params, (), torch.vmap(optimizer.init)(params), torch.ones(count, dtype=torch.bool))
    history: list[list[Tensor]] = []
    for t in range(STEPS):
        inputs, targets = batch(t, count, dtype)
        if spoiled is not None and t == STEPS // 2:
            targets[spoiled] = torch.nan
        after, _, _ = step(after, (inputs,), targets, setting)
        history.append(tree_leaves((after.params, after.state)))
    return history, after.alive


def test_has_its_own_test(name: str) -> None:
    assert (ROOT / "tests" / "unit" / "studies" / "optimizers" / f"test_{name}.py").is_file()


def test_declares_usable_hyperparameters(name: str) -> None:
    optimizer = registry.load_optimizer(name)
    declared = [each.name for each in optimizer.hyperparameters]
    assert len(set(declared)) == len(declared)
    assert optimizer.summary.endswith(".")
    for each in optimizer.hyperparameters:
        assert each.fault(each.default) is None
        assert each.fault(each.search_low) is None
        assert each.fault(each.search_high) is None
        assert each.search_low < each.search_high
        assert not each.log or each.search_low > 0
        assert each.summary.endswith(".")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_keeps_the_parameters_dtype_and_descends(name: str, dtype: torch.dtype) -> None:
    optimizer = registry.load_optimizer(name)
    step = stacked_step(stateless_loss(loss), optimizer)
    params, setting = initial(2, dtype), defaults(optimizer, 2)
    lanes = Lanes(params, (), torch.vmap(optimizer.init)(params), torch.ones(2, dtype=torch.bool))
    values: list[Tensor] = []
    for _ in range(STEPS):
        inputs, targets = batch(0, 2, dtype)
        lanes, value, rate = step(lanes, (inputs,), targets, setting)
        values.append(value)
        assert (rate.dtype, rate.shape) == (torch.float64, (2,))
        assert (rate > 0).all()
    assert all(each.dtype == dtype for each in lanes.params)
    assert (values[-1] < values[0]).all()


def test_does_not_write_into_what_it_is_given(name: str) -> None:
    optimizer = registry.load_optimizer(name)
    params, setting = initial(2, torch.float32), defaults(optimizer, 2)
    given = (params, torch.vmap(optimizer.init)(params), setting)
    before = [each.clone() for each in tree_leaves(given)]
    alive = torch.ones(2, dtype=torch.bool)
    inputs, targets = batch(0, 2, torch.float32)
    stacked_step(stateless_loss(loss), optimizer)(Lanes(params, (), given[1], alive), (inputs,), targets, setting)
    assert all(torch.equal(a, b) for a, b in zip(before, tree_leaves(given), strict=True))


@pytest.mark.parametrize("lane", range(5))
def test_a_lane_is_bitwise_the_same_alone(name: str, lane: int) -> None:
    optimizer = registry.load_optimizer(name)
    together, _ = trained(optimizer, slice(0, 5))
    alone, _ = trained(optimizer, slice(lane, lane + 1))
    for a, b in zip(together, alone, strict=True):
        assert all(torch.equal(x[lane], y[0]) for x, y in zip(a, b, strict=True))


def test_a_diverged_lane_is_frozen_and_the_others_go_on_untouched(name: str) -> None:
    optimizer = registry.load_optimizer(name)
    whole, _ = trained(optimizer, slice(0, 5))
    spoiled, alive = trained(optimizer, slice(0, 5), spoiled=2)
    assert alive.tolist() == [True, True, False, True, True]
    for a, b in zip(whole[-1], spoiled[-1], strict=True):
        assert torch.equal(a[alive], b[alive])
    frozen = spoiled[STEPS // 2 - 1]
    for a, b in zip(frozen, spoiled[-1], strict=True):
        assert torch.equal(a[2], b[2])
        assert b[2].isfinite().all()
