"""Averages, against published values, simulation and brute force."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from studies.analysis.statistics.averages import geometric_mean, interquartile_mean

LOSSES = st.lists(st.floats(1e-20, 1e20), min_size=1, max_size=30)


@given(LOSSES)
def test_geometric_mean_agrees_with_scipy_above_the_floor(values: list[float]) -> None:
    assert geometric_mean(values, 1e-30) == pytest.approx(float(stats.gmean(values)), rel=1e-9)


@given(LOSSES)
def test_geometric_mean_lies_between_the_extremes(values: list[float]) -> None:
    assert min(values) * (1 - 1e-12) <= geometric_mean(values, 1e-30) <= max(values) * (1 + 1e-12)


def test_geometric_mean_a_loss_of_zero_counts_as_the_floor() -> None:
    assert geometric_mean([0.0, 1.0], 1e-30) == pytest.approx(1e-15)


def test_geometric_mean_a_diverged_loss_is_not_hidden() -> None:
    assert geometric_mean([1.0, math.inf], 1e-30) == math.inf


#: Four tasks, one a column, and five runs, with what rliable's definition gives by hand.
MATRIX = [
    [0.0, 1.0, 2.0, 30.0],
    [0.1, 1.1, 2.1, 31.0],
    [0.2, 1.2, 2.2, 32.0],
    [0.3, 1.3, 2.3, 33.0],
    [0.4, 1.4, 2.4, 34.0],
]


def published_iqm(values: list[float]) -> float:
    """Agarwal et al. (2021), section 4.3: discard the bottom and top 25 % of the runs, and average the rest."""
    cut = int(0.25 * len(values))
    kept = sorted(values)[cut : len(values) - cut]
    return math.fsum(kept) / len(kept)


def test_iqm_on_a_fixed_matrix() -> None:
    # of twenty runs the five of the first task and the five of the last are cut
    pooled = [value for row in MATRIX for value in row]
    assert float(interquartile_mean(pooled)) == pytest.approx((1.2 + 2.2) / 2)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=25))
def test_iqm_agrees_with_the_published_definition_in_any_order(values: list[float]) -> None:
    assert float(interquartile_mean(values)) == pytest.approx(published_iqm(values), abs=1e-9)
    assert float(interquartile_mean(values[::-1])) == pytest.approx(published_iqm(values), abs=1e-9)


def test_iqm_is_taken_over_the_last_axis() -> None:
    assert interquartile_mean(np.array(MATRIX)).tolist() == pytest.approx([published_iqm(row) for row in MATRIX])


def test_iqm_one_workload_that_diverged_of_four_is_cut_off_and_of_three_is_not() -> None:
    assert interquartile_mean([0.0, 1.0, 3.0, math.inf]) == 2.0
    assert interquartile_mean([0.0, 1.0, math.inf]) == math.inf
