"""The L4 step size: equation 4, what becomes of L_min, and what is not clamped."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.func import vmap

from l4.step_size import ALPHA, GAMMA, GAMMA0, TAU, StepSize, inner_product, step_size

positive = st.floats(min_value=1e-6, max_value=1e6)


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def size(loss: float, l_min: float = math.nan, inner: float = 1.0, t: int = 2, **settings: float) -> StepSize:
    return step_size(number(loss), number(l_min), number(inner), torch.tensor(t == 1), **settings)


def test_defaults_are_the_papers() -> None:
    assert (ALPHA, GAMMA, GAMMA0, TAU) == (0.15, 0.9, 0.75, 1000.0)


@given(loss=positive, inner=positive)
def test_the_first_step_takes_l_min_from_the_loss_whatever_was_there(loss: float, inner: float) -> None:
    found = size(loss, math.nan, inner, t=1)
    assert float(found.eta) == pytest.approx(0.15 * (1 - 0.9 * 0.75) * loss / inner, rel=1e-5)
    assert float(found.l_min) == pytest.approx(1.001 * 0.75 * loss)


@given(loss=positive, l_min=positive)
def test_later_l_min_is_the_smallest_loss_relaxed(loss: float, l_min: float) -> None:
    assert float(size(loss, l_min).l_min) == pytest.approx(1.001 * min(loss, l_min))


@given(loss=positive, l_min=positive, inner=positive, alpha=st.floats(min_value=0.01, max_value=1.0))
def test_the_linearised_loss_goes_alpha_of_the_way_to_its_goal(
    loss: float, l_min: float, inner: float, alpha: float
) -> None:
    predicted = loss - float(size(loss, l_min, inner, alpha=alpha, eps=0.0).eta) * inner
    goal = 0.9 * min(loss, l_min)
    assert predicted == pytest.approx(loss + alpha * (goal - loss), rel=1e-9)


@given(loss=positive, l_min=positive, scale=positive)
def test_scaling_the_loss_does_not_change_the_step(loss: float, l_min: float, scale: float) -> None:
    # eta v, with v scaling as the loss and g.v as its square
    plain = float(size(loss, l_min, 1.0, eps=0.0).eta)
    scaled = float(size(scale * loss, scale * l_min, scale**2, eps=0.0).eta) * scale
    assert scaled == pytest.approx(plain, rel=1e-9)


def test_a_negative_loss_ascends() -> None:
    assert float(size(-2.0, -5.0).eta) > 0  # above the goal
    assert float(size(-1.0, math.nan, t=1).eta) < 0


def test_a_loss_with_a_floor_has_ever_longer_steps() -> None:
    etas = [float(size(1.0, 1.0, inner).eta) for inner in (1.0, 1e-6, 0.0)]
    assert etas == pytest.approx([0.015, 0.015e6, 0.015e12], rel=1e-5)


def test_a_loss_of_zero_takes_no_step() -> None:
    assert float(size(0.0, 0.0).eta) == 0.0
    assert float(size(0.0, math.nan, 0.0, t=1).eta) == 0.0


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_shows(loss: float) -> None:
    assert not math.isfinite(float(size(loss, 1.0).eta))


def test_lanes_have_steps_of_their_own() -> None:
    losses, l_mins, alphas = (
        torch.tensor(each, dtype=torch.float64) for each in ([1.0, 2.0], [0.5, 3.0], [0.15, 0.25])
    )

    def one(loss: Tensor, l_min: Tensor, alpha: Tensor) -> StepSize:
        return step_size(loss, l_min, number(1.0), torch.tensor(False), alpha=alpha)

    both = vmap(one)(losses, l_mins, alphas)
    alone = [size(1.0, 0.5), size(2.0, 3.0, alpha=0.25)]
    assert both.eta.tolist() == [float(each.eta) for each in alone]
    assert both.l_min.tolist() == [float(each.l_min) for each in alone]


def test_the_inner_product_runs_over_all_tensors() -> None:
    left = (torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([5.0]), torch.tensor(6.0))
    right = (torch.tensor([[1.0, -1.0], [0.5, 0.0]]), torch.tensor([2.0]), torch.tensor(-1.0))
    assert float(inner_product(left, right)) == 1 - 2 + 1.5 + 0 + 10 - 6


def test_an_inner_product_needs_as_many_on_both_sides() -> None:
    one = torch.ones(())
    with pytest.raises(ValueError, match="shorter"):
        inner_product((one, one), (one,))
