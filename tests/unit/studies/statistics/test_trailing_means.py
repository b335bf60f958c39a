import math
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.statistics.trailing_means import trailing_means

VALUES = st.lists(st.floats(min_value=0.0, max_value=1e6), min_size=1, max_size=30)


@given(VALUES, st.integers(min_value=1, max_value=8), st.integers(min_value=1, max_value=5))
def test_is_the_mean_of_the_points_of_the_last_window(values: list[float], window: int, stride: int) -> None:
    steps = range(stride, stride * len(values) + 1, stride)
    points = dict(zip(steps, values, strict=True))
    found = dict(zip(*trailing_means(steps, values, window), strict=True))
    assert list(found) == [step for step in steps if step >= window]
    for step, mean in found.items():
        own = [points[each] for each in range(step - window + 1, step + 1) if each in points]
        assert mean == pytest.approx(fmean(own))


def test_what_has_no_value_has_no_mean() -> None:
    assert [math.isnan(each) for each in trailing_means([1, 2, 3], [1.0, math.nan, 1.0], 1)[1]] == [False, True, False]
