import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from studies.statistics.geometric_mean import geometric_mean
from studies.statistics.log_smoothing import log_smoothing
from studies.statistics.minmax_band import minmax_band

CURVES = st.integers(1, 5).flatmap(
    lambda points: st.lists(st.lists(st.floats(1e-12, 1e12), min_size=points, max_size=points), min_size=1, max_size=6)
)


@given(CURVES)
def test_means_agree_with_scipy_and_lie_within_the_band(curves: list[list[float]]) -> None:
    values = np.array(curves)
    geometric, plain = minmax_band(values, geometric=True), minmax_band(values, geometric=False)
    assert geometric.center == pytest.approx(stats.gmean(values, axis=0))
    assert plain.center == pytest.approx(values.mean(axis=0))
    for band in (geometric, plain):
        assert (band.low == values.min(axis=0)).all()
        assert (band.high == values.max(axis=0)).all()
        assert (band.low <= band.center * (1 + 1e-9)).all()
        assert (band.center <= band.high * (1 + 1e-9)).all()


@given(CURVES)
def test_does_not_depend_on_the_order_of_the_curves(curves: list[list[float]]) -> None:
    band, other = minmax_band(np.array(curves), geometric=True), minmax_band(np.array(curves[::-1]), geometric=True)
    assert band.center == pytest.approx(other.center)
    assert (band.low == other.low).all()


def test_at_each_point_it_is_over_the_curves_that_have_a_value_there() -> None:
    values = np.array([[1.0, 2.0, math.nan], [100.0, math.inf, math.nan], [10.0, math.nan, math.inf]])
    band = minmax_band(values, geometric=True)
    assert band.center.tolist() == pytest.approx([10.0, 2.0, math.nan], nan_ok=True)
    assert band.low.tolist() == pytest.approx([1.0, 2.0, math.nan], nan_ok=True)
    assert band.high.tolist() == pytest.approx([100.0, 2.0, math.nan], nan_ok=True)


def test_what_is_not_positive_is_in_a_plain_mean_alone() -> None:
    values = np.array([[-1.0, 0.0], [3.0, 4.0]])
    assert minmax_band(values, geometric=False).center.tolist() == [1.0, 2.0]
    assert minmax_band(values, geometric=True).center == pytest.approx([3.0, 4.0])


def test_with_the_smoothing_it_is_the_geometric_mean_of_the_paper_with_zeros_at_the_floor() -> None:
    values = np.array([[0.0, 0.0], [1.0, 1e-4]])
    band = minmax_band(log_smoothing(values, 1e-10, 0.0), geometric=True)
    expected = [geometric_mean([0.0, 1.0], 1e-10), geometric_mean([0.0, 1e-4], 1e-10)]
    assert band.center == pytest.approx(expected)
    assert band.low == pytest.approx(1e-10)


def test_smoothing_and_averaging_can_be_exchanged() -> None:
    values = 10.0 ** np.random.default_rng(0).normal(size=(5, 40))
    first = minmax_band(log_smoothing(values, 1e-30), geometric=True).center
    last = log_smoothing(minmax_band(values, geometric=True).center, 1e-30)
    assert first == pytest.approx(last)
