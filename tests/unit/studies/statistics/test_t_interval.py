import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from studies.statistics.t_interval import t_interval


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), st.sampled_from([0.9, 0.95]))
def test_agrees_with_scipy(values: list[float], level: float) -> None:
    found = t_interval(values, level)
    assert found is not None
    if np.ptp(values) > 1e-6:
        expected = stats.ttest_1samp(values, 0.0).confidence_interval(level)
        assert found == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-9)


def test_by_hand() -> None:
    assert t_interval([1.0, 2.0, 3.0], 0.95) == pytest.approx((2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5), rel=1e-5)


def test_equal_values_have_an_interval_without_width() -> None:
    assert t_interval([2.0, 2.0, 2.0], 0.95) == (2.0, 2.0)


def test_one_value_has_none() -> None:
    assert t_interval([2.0], 0.95) is None


def test_covers_as_often_as_it_says_with_five_seeds() -> None:
    studies = np.random.default_rng(0).normal(2.0, 3.0, (10_000, 5)).tolist()
    covered = [found[0] <= 2.0 <= found[1] for each in studies if (found := t_interval(each, 0.95))]
    assert len(covered) == 10_000
    assert float(np.mean(covered)) == pytest.approx(0.95, abs=0.01)  # 4.6 standard errors


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12))
def test_does_not_depend_on_the_order(values: list[float]) -> None:
    assert t_interval(values[::-1], 0.95) == pytest.approx(t_interval(values, 0.95), abs=1e-9)
