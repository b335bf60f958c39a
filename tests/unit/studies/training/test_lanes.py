"""One step of all lanes: each its own loss, setting and fate."""

import math

import pytest
import torch
from torch import Tensor
from torch.func import vmap

from studies import registry
from studies.optimizers._base import Moments, Optimizer, Tensors
from studies.training.lanes import Inputs, Lanes, stacked_step
from tests.support.training.stateless_losses import stateless_loss

INPUTS = torch.tensor([1.0, 2.0, 3.0])


def bowl(params: Tensors, inputs: Tensor, targets: Tensor) -> Tensor:
    (w,) = params
    return (w * inputs - targets).square().sum()


def stepped(
    params: list[float], lr: list[float], *, alive: list[bool] | None = None, targets: list[float] | None = None
) -> tuple[list[float], list[bool], list[float], list[float]]:
    """Take one step of sgd; return parameters, who is alive, losses and rates."""
    lanes = len(params)
    after, losses, rates = stacked_step(stateless_loss(bowl), registry.load_optimizer("sgd"))(
        Lanes((torch.tensor(params),), (), (), torch.tensor(alive or [True] * lanes)),
        (INPUTS[:lanes],),
        torch.tensor(targets or [0.0] * lanes),
        {"lr": torch.tensor(lr, dtype=torch.float64), "clip_norm": torch.zeros(lanes, dtype=torch.float64)},
    )
    assert losses.dtype == rates.dtype == torch.float64
    assert after.params[0].dtype == torch.float32  # though a setting is float64, and neither has axes
    return after.params[0].tolist(), after.alive.tolist(), losses.tolist(), rates.tolist()


def test_every_lane_has_its_own_loss_gradient_and_rate() -> None:
    params, alive, losses, rates = stepped([1.0, 1.0, -1.0], [0.25, 0.125, 0.0])
    assert losses == [1.0, 4.0, 9.0]
    assert params == [1 - 0.25 * 2, 1 - 0.125 * 8, -1.0]
    assert alive == [True] * 3
    assert rates == [0.25, 0.125, 0.0]


@pytest.mark.parametrize("spoiled", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_freezes_its_lane_alone(spoiled: float) -> None:
    params, alive, losses, _ = stepped([1.0, 1.0, 1.0], [0.25] * 3, targets=[0.0, spoiled, 0.0])
    assert alive == [True, False, True]
    assert params == [0.5, 1.0, 1 - 0.25 * 18]
    assert not math.isfinite(losses[1])


def test_a_frozen_lane_stays_frozen_when_its_loss_is_finite_again() -> None:
    params, alive, losses, _ = stepped([1.0, 1.0], [0.25, 0.25], alive=[True, False])
    assert (params[1], alive[1], losses[1]) == (1.0, False, 4.0)


def test_the_loss_is_finite_where_only_the_move_overflows() -> None:
    # the next step's loss shows it; nothing is judged by the move itself
    params, alive, losses, _ = stepped([1e19], [1e30])
    assert (alive, math.isfinite(losses[0])) == ([True], True)
    assert params == [-math.inf]


def test_the_state_is_frozen_with_the_parameters() -> None:
    def init(params: Tensors) -> Moments:
        return Moments(t=torch.zeros((), dtype=torch.float64), m=params, s=())

    def step(
        params: Tensors, grads: Tensors, loss: Tensor, state: Moments, setting: object
    ) -> tuple[Tensors, Moments, Tensor]:
        return params, Moments(t=state.t + 1, m=grads, s=()), loss

    counting = Optimizer(summary="Counts.", hyperparameters=(), init=init, step=step)
    params = (torch.ones(2),)
    state = torch.vmap(init)(params)
    targets = torch.tensor([0.0, math.nan])
    before = Lanes(params, (), state, torch.tensor([True, True]))
    after, _, _ = stacked_step(stateless_loss(bowl), counting)(before, (INPUTS[:2],), targets, {})
    following = after.state
    assert isinstance(following, Moments)
    assert following.t.tolist() == [1.0, 0.0]
    assert following.m[0].tolist() == [2.0, 1.0]


def test_a_lane_that_diverges_keeps_its_buffers() -> None:
    def counted(params: Tensors, buffers: Tensors, inputs: Inputs, targets: Tensor) -> tuple[Tensor, Tensors]:
        return bowl(params, inputs[0], targets), tuple(each + 1 for each in buffers)

    before = Lanes((torch.ones(2),), (torch.tensor([5, 7]),), (), torch.tensor([True, True]))
    setting = {name: torch.full((2,), 0.1, dtype=torch.float64) for name in ("lr", "clip_norm")}
    step = stacked_step(counted, registry.load_optimizer("sgd"))
    after, _, _ = step(before, (INPUTS[:2],), torch.tensor([0.0, math.inf]), setting)
    assert after.buffers[0].tolist() == [6, 7]
    assert after.buffers[0].dtype == torch.int64


@pytest.mark.parametrize("alive", [True, False])
@pytest.mark.parametrize("name", registry.list_names("optimizers"))
def test_a_lane_alone_steps_as_one_among_others(name: str, alive: bool) -> None:
    optimizer = registry.load_optimizer(name)
    step = stacked_step(stateless_loss(bowl), optimizer)
    params = (torch.tensor([1.5]),)
    setting = {each.name: torch.full((1,), each.default, dtype=torch.float64) for each in optimizer.hyperparameters}
    alone = among = Lanes(params, (), vmap(optimizer.init)(params), torch.tensor([alive]))
    for _ in range(3):
        alone, *told = step.call_single_lane(alone, (INPUTS[:1],), torch.tensor([0.5]), setting)
        among, *expected = step(among, (INPUTS[:1],), torch.tensor([0.5]), setting)
        torch.testing.assert_close((told, alone), (expected, among))
    assert (alone.params[0].item() != params[0].item()) == alive
