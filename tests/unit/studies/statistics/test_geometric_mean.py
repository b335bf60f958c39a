import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from studies.statistics.geometric_mean import geometric_mean

LOSSES = st.lists(st.floats(1e-20, 1e20), min_size=1, max_size=30)


@given(LOSSES)
def test_agrees_with_scipy_above_the_floor(values: list[float]) -> None:
    assert geometric_mean(values, 1e-30) == pytest.approx(float(stats.gmean(values)), rel=1e-9)


@given(LOSSES)
def test_lies_between_the_extremes(values: list[float]) -> None:
    assert min(values) * (1 - 1e-12) <= geometric_mean(values, 1e-30) <= max(values) * (1 + 1e-12)


def test_a_loss_of_zero_counts_as_the_floor() -> None:
    assert geometric_mean([0.0, 1.0], 1e-30) == pytest.approx(1e-15)


def test_a_diverged_loss_is_not_hidden() -> None:
    assert geometric_mean([1.0, math.inf], 1e-30) == math.inf
