import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.statistics.paired_differences import paired_differences

VALUES = st.lists(st.sampled_from([-3.0, 0.0, 0.25, 8.0, math.inf, math.nan]), min_size=1, max_size=12)


@given(VALUES, VALUES)
def test_the_other_way_round_every_sign_is_turned(mine: list[float], theirs: list[float]) -> None:
    n = min(len(mine), len(theirs))
    x, y = np.array(mine[:n]), np.array(theirs[:n])
    assert paired_differences(x, y).tolist() == pytest.approx((-paired_differences(y, x)).tolist(), nan_ok=True)


def test_is_positive_where_mine_is_smaller() -> None:
    assert paired_differences(np.array([1.0, 5.0]), np.array([3.0, 4.0])).tolist() == [2.0, -1.0]


def test_two_diverged_runs_are_alike_and_one_is_infinitely_worse() -> None:
    found = paired_differences(np.array([math.inf, math.inf, 1.0]), np.array([math.inf, 1.0, math.inf]))
    assert found.tolist() == [0.0, -math.inf, math.inf]


def test_a_missing_run_has_no_difference() -> None:
    found = paired_differences(np.array([math.nan, 1.0, math.inf]), np.array([1.0, math.nan, math.nan]))
    assert np.isnan(found).all()
