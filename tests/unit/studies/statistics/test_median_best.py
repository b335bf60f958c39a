import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.statistics.median_best import median_best

SCORES = st.lists(st.sampled_from([-4.0, -1.5, 0.0, 2.0, 7.0, math.inf]), min_size=1, max_size=9)


@given(SCORES, st.data())
def test_agrees_with_the_lower_median_over_all_choices(scores: list[float], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(scores)))
    best = sorted(min(chosen) for chosen in combinations(scores, k))
    assert median_best(scores, k) == best[(len(best) - 1) // 2]


@given(SCORES)
def test_all_trials_find_the_best_and_order_does_not_matter(scores: list[float]) -> None:
    assert median_best(scores, len(scores)) == min(scores)
    assert median_best(scores[::-1], 1) == median_best(scores, 1)


def test_is_finite_where_half_of_the_choices_find_a_trial_that_did_not_diverge() -> None:
    scores = [0.1, 0.2, 0.3, math.inf, math.inf, math.inf, math.inf]
    assert median_best(scores, 1) == math.inf
    assert median_best(scores, 2) == 0.2  # 15 of 21 choices miss the first, 10 the first two
    assert median_best([math.inf] * 4, 2) == math.inf


@pytest.mark.parametrize("k", [1, 5000, 10_000])
def test_ten_thousand_trials_overflow_nothing(k: int) -> None:
    expected = {1: 4999, 5000: 0, 10_000: 0}
    assert median_best([float(i) for i in range(10_000)], k) == expected[k]
