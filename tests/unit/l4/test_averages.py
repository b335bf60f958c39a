"""Exponential moving averages and their correction."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from l4.averages import correction, ema

TAUS = [1.0, 2.5, 10.0, 1000.0]


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def averaged(values: list[float], tau: float) -> float:
    average = number(0.0)
    for value in values:
        average = ema(average, number(value), tau)
    return float(average / correction(tau, number(len(values))))


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("steps", [1, 2, 300])
def test_a_corrected_average_of_a_constant_is_that_constant(tau: float, steps: int) -> None:
    assert averaged([-3.25] * steps, tau) == pytest.approx(-3.25, rel=1e-12)


@given(
    values=st.lists(st.floats(min_value=-1e6, max_value=1e6), min_size=1, max_size=30),
    tau=st.floats(min_value=1.0, max_value=1e4),
)
def test_a_corrected_average_is_the_weighted_mean_of_the_values(values: list[float], tau: float) -> None:
    weights = [(1 - 1 / tau) ** (len(values) - 1 - i) for i in range(len(values))]
    mean = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    assert averaged(values, tau) == pytest.approx(mean, rel=1e-9, abs=1e-3)
    assert min(values) - 1e-3 <= averaged(values, tau) <= max(values) + 1e-3


def test_a_timescale_of_one_keeps_the_last_value_alone() -> None:
    assert averaged([5.0, -7.0, 2.0], 1.0) == 2.0


def test_the_correction_is_the_share_of_values_seen() -> None:
    found = [float(correction(10.0, number(t))) for t in (1, 2, 1000)]
    assert found == pytest.approx([0.1, 0.19, 1.0])


def test_lanes_may_have_timescales_of_their_own() -> None:
    taus = torch.tensor(TAUS, dtype=torch.float64)
    average, t = torch.zeros(4, dtype=torch.float64), number(3)
    for value in (1.0, 2.0, 4.0):
        average = ema(average, torch.full_like(average, value), taus)
    found = average / correction(taus, t)
    assert found.tolist() == pytest.approx([averaged([1.0, 2.0, 4.0], tau) for tau in TAUS])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_an_average_keeps_its_type(dtype: torch.dtype) -> None:
    ones = torch.ones(2, 3, dtype=dtype)
    found = ema(ones, 2 * ones, number(10.0))
    assert (found.dtype, found.shape) == (dtype, ones.shape)
