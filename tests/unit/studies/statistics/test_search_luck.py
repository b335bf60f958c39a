import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from studies.statistics.search_luck import search_luck

SCORES = st.lists(st.floats(-5, 5) | st.just(math.inf), min_size=3, max_size=20)


@given(SCORES)
def test_is_never_negative_and_does_not_depend_on_the_order(scores: list[float]) -> None:
    assert search_luck(scores) == search_luck(scores[::-1]) >= 0


@given(SCORES, st.floats(-5, 5))
def test_another_trial_that_is_no_better_than_the_best_never_adds_to_it(scores: list[float], more: float) -> None:
    assert search_luck([*scores, max(more, min(scores))]) <= search_luck(scores)


def test_equally_good_trials_leave_nothing_to_luck() -> None:
    assert search_luck([0.0, -2.0, -2.0, -2.0, math.inf]) == 0.0


def test_too_few_trials_that_ended_say_nothing() -> None:
    assert search_luck([]) == search_luck([1.0, 2.0]) == search_luck([1.0, 2.0, math.inf]) == math.inf


def test_two_random_searches_seldom_differ_by_more_than_both_lucks() -> None:
    generator = np.random.default_rng(0)
    # a loss with its best at one learning rate, as log-uniform searches of 12 trials find it
    first, second = ((generator.uniform(-3, 1, (4000, 12)) ** 2) for _ in range(2))
    beyond = [
        abs(min(a) - min(b)) > search_luck(a) + search_luck(b)
        for a, b in zip(first.tolist(), second.tolist(), strict=True)
    ]
    assert 0.0 < float(np.mean(beyond)) < 0.05
