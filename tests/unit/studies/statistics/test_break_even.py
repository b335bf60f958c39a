import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from studies.statistics.break_even import break_even
from studies.statistics.expected_best import expected_best

SCORES = st.lists(st.floats(-5, 5) | st.just(math.inf), min_size=1, max_size=15)


@given(SCORES, st.floats(-6, 6) | st.just(math.inf))
def test_is_the_first_number_of_trials_that_is_enough(scores: list[float], fixed: float) -> None:
    enough = [k for k in range(1, len(scores) + 1) if expected_best(scores, k) <= fixed]
    assert break_even(scores, fixed) == (enough[0] if enough else None)


def test_is_none_within_the_budget_where_not_even_the_best_trial_is_as_good() -> None:
    assert break_even([0.3, 0.2, 0.4], 0.1) is None
    assert break_even([math.inf] * 3, 0.1) is None
    assert break_even([0.3, 0.2, 0.4], 0.2) == 3


def test_one_trial_is_enough_against_an_arm_that_diverged() -> None:
    assert break_even([0.3, 0.2, 0.4], math.inf) == 1


def test_ten_thousand_trials_take_no_time() -> None:
    scores = np.random.default_rng(0).permutation(10_000).astype(float).tolist()
    # the mean of the smallest of k of 0 ... n - 1 is (n - k) / (k + 1)
    assert break_even(scores, 99.0) == 100
