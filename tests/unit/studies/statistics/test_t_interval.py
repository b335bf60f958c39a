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
