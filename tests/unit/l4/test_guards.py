"""The guards: off by default, and what each does where the paper's rule fails."""

import math

import pytest
import torch
from torch.nn import Parameter

from l4 import L4Adam, L4Mom, NegativeLossError, NonFiniteError
from l4.optimizer import L4Optimizer
from tests.support.training.l4_problem import MAKERS, problem, train, values

pytestmark = pytest.mark.heavy

every = pytest.mark.parametrize("name", MAKERS)
named = pytest.mark.parametrize("name", ["L4Mom", "L4Adam"])


def descend(optimizer: L4Optimizer, x: Parameter, steps: int = 2000) -> list[float]:
    """Minimise x^2/2 + 1, and return where x was."""
    found: list[float] = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = x.square() / 2 + 1
        loss.backward()
        optimizer.step(loss=loss)
        found.append(x.item())
    return found


def start() -> Parameter:
    return Parameter(torch.tensor(5.0, dtype=torch.float64))


@every
def test_the_papers_rule_is_thrown_far_off_by_a_positive_floor(name: str) -> None:
    x = start()
    found = descend(MAKERS[name]([x]), x)
    assert max(abs(each) for each in found) > 50
    assert max(abs(each) for each in found[-200:]) > 0.1  # and does not settle


@every
def test_a_largest_step_size_keeps_it_near(name: str) -> None:
    x = start()
    optimizer = MAKERS[name]([x], max_eta=0.5)
    found = descend(optimizer, x)
    assert max(abs(each) for each in found) <= 5
    assert abs(found[-1]) < 1e-6
    assert optimizer.eta == 0.5


@every
def test_the_floor_that_is_given_makes_the_loss_reachable(name: str) -> None:
    x = start()
    optimizer = MAKERS[name]([x], loss_floor=1.0)
    found = descend(optimizer, x)
    assert max(abs(each) for each in found) <= 5
    assert abs(found[-1]) < 1e-4
    assert optimizer.floor == 1.0


@every
def test_the_floor_is_found_where_it_is_to_be_estimated(name: str) -> None:
    x = start()
    optimizer = MAKERS[name]([x], loss_floor="estimate")
    found = descend(optimizer, x)
    assert max(abs(each) for each in found) < 20
    assert abs(found[-1]) < 1e-6
    assert optimizer.floor.item() == pytest.approx(1.0, abs=1e-9)


@every
def test_an_estimate_leaves_a_loss_that_reaches_zero_alone(name: str) -> None:
    (expected, loss_1), (params, loss_2) = problem(), problem()
    plain, estimating = MAKERS[name](expected), MAKERS[name](params, loss_floor="estimate")
    # as long as the loss falls as it should
    assert train(plain, loss_1, 40) == train(estimating, loss_2, 40)
    assert estimating.floor == 0.0


@named
def test_an_estimate_is_never_above_a_loss(name: str) -> None:
    params, loss_of = problem()
    optimizer = MAKERS[name](params, loss_floor="estimate")
    train(optimizer, loss_of, 3)
    optimizer.step(loss=-2.0)
    assert optimizer.floor == -2.0
    assert optimizer.eta == 0.0  # it does not climb
    optimizer.step(loss=1.0)
    assert optimizer.eta > 0


@every
def test_without_guards_nothing_is_hidden(name: str) -> None:
    params, loss_of = problem()
    optimizer = MAKERS[name](params)
    loss_of().backward()
    optimizer.step(loss=math.nan)
    assert all(p.isnan().all() for p in params)
    assert optimizer.skipped == 0


@every
@pytest.mark.parametrize("fault", ["nan loss", "inf loss", "nan gradient", "inf gradient"])
def test_a_step_that_is_skipped_never_was(name: str, fault: str) -> None:
    (expected, loss_1), (params, loss_2) = problem(), problem()
    plain, guarded = MAKERS[name](expected), MAKERS[name](params, on_nonfinite="skip")
    train(plain, loss_1, 6)
    train(guarded, loss_2, 3)
    guarded.zero_grad()
    loss = loss_2()
    loss.backward()
    bad = float(fault.split()[0])
    if "gradient" in fault:
        assert params[0].grad is not None
        params[0].grad[1] = bad
        guarded.step(loss=loss)
    else:
        guarded.step(loss=bad)
    train(guarded, loss_2, 3)
    assert values(params) == values(expected)
    assert (guarded.l_min, guarded.eta) == (plain.l_min, plain.eta)
    assert guarded.skipped == 1
    with pytest.raises(NonFiniteError, match=r"^1 step.*max_eta"):
        guarded.check()


@every
def test_a_first_step_may_be_skipped(name: str) -> None:
    (expected, loss_1), (params, loss_2) = problem(), problem()
    guarded = MAKERS[name](params, on_nonfinite="skip")
    loss_2().backward()
    guarded.step(loss=math.inf)
    assert train(guarded, loss_2, 5) == train(MAKERS[name](expected), loss_1, 5)


@every
def test_raising_leaves_everything_as_it_was(name: str) -> None:
    params, loss_of = problem()
    optimizer = MAKERS[name](params, on_nonfinite="raise", on_negative="raise")
    train(optimizer, loss_of, 2)
    before, l_min = values(params), optimizer.l_min.clone()
    with pytest.raises(NonFiniteError, match="infinite or NaN"):
        optimizer.step(loss=math.nan)
    with pytest.raises(NegativeLossError, match="set loss_floor"):
        optimizer.step(loss=-0.5)
    assert values(params) == before
    assert optimizer.l_min == l_min
    train(optimizer, loss_of, 2)  # and it can go on
    assert values(params) != before


@every
def test_a_negative_loss_climbs_unless_it_is_skipped(name: str) -> None:
    for given, moves in (({}, True), ({"on_negative": "skip"}, False), ({"on_nonfinite": "skip"}, True)):
        params, loss_of = problem()
        loss_of().backward()
        optimizer = MAKERS[name](params, **given)
        optimizer.step(loss=-1.0)
        assert (values(params) != [[0.0] * 4, 0.0]) is moves
        if moves:
            assert optimizer.eta < 0
        else:
            with pytest.raises(NegativeLossError, match="1 step"):
                optimizer.check()


@pytest.mark.parametrize("cls", [L4Mom, L4Adam])
def test_guards_are_not_felt_where_nothing_is_wrong(cls: type[L4Mom] | type[L4Adam]) -> None:
    (expected, loss_1), (params, loss_2) = problem(), problem()
    guarded = cls(params, on_nonfinite="skip", on_negative="skip", max_eta=1e6)
    assert train(guarded, loss_2, 30) == train(cls(expected), loss_1, 30)
    assert values(params) == values(expected)
