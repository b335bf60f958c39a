"""Statistics of a search, against published values, simulation and brute force."""

import math
from itertools import combinations, pairwise
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.analysis.statistics.search import break_even, expected_best, median_best, search_luck, usable_range

pytestmark = pytest.mark.heavy

BREAK_EVEN_SCORES = st.lists(st.floats(-5, 5) | st.just(math.inf), min_size=1, max_size=15)


@given(BREAK_EVEN_SCORES, st.floats(-6, 6) | st.just(math.inf))
def test_break_even_is_the_first_number_of_trials_that_is_enough(scores: list[float], fixed: float) -> None:
    enough = [k for k in range(1, len(scores) + 1) if expected_best(scores, k) <= fixed]
    assert break_even(scores, fixed) == (enough[0] if enough else None)


def test_break_even_is_none_within_the_budget_where_not_even_the_best_trial_is_as_good() -> None:
    assert break_even([0.3, 0.2, 0.4], 0.1) is None
    assert break_even([math.inf] * 3, 0.1) is None
    assert break_even([0.3, 0.2, 0.4], 0.2) == 3


def test_break_even_one_trial_is_enough_against_an_arm_that_diverged() -> None:
    assert break_even([0.3, 0.2, 0.4], math.inf) == 1


def test_break_even_ten_thousand_trials_take_no_time() -> None:
    scores = np.random.default_rng(0).permutation(10_000).astype(float).tolist()
    # the mean of the smallest of k of 0 ... n - 1 is (n - k) / (k + 1)
    assert break_even(scores, 99.0) == 100


EXPECTED_BEST_SCORES = st.lists(st.sampled_from([-4.0, -1.5, -1.5, 0.0, 2.0, math.inf]), min_size=1, max_size=9)


@given(EXPECTED_BEST_SCORES, st.data())
def test_expected_best_agrees_with_the_mean_over_all_choices(scores: list[float], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(scores)))
    assert expected_best(scores, k) == pytest.approx(fmean(min(chosen) for chosen in combinations(scores, k)))


def formula(scores: list[float], k: int) -> float:
    """As published, with exact binomial coefficients."""
    v, n = sorted(scores), len(scores)
    ways = [v[i - 1] * math.comb(n - i, k - 1) for i in range(1, n - k + 2)]
    return math.fsum(way / math.comb(n, k) for way in ways)


@pytest.mark.parametrize("k", [1, 2, 7, 24, 25])
def test_expected_best_agrees_with_the_formula(k: int) -> None:
    scores = np.random.default_rng(k).normal(size=25).tolist()
    assert expected_best(scores, k) == pytest.approx(formula(scores, k))


@pytest.mark.parametrize("k", [1, 5, 20])
def test_expected_best_is_unbiased_in_simulation(k: int) -> None:
    """What 20 trials say of a search of k is right on average: the truth is taken from fresh searches of k."""
    generator = np.random.default_rng(k)
    estimates = [expected_best(trials, k) for trials in generator.exponential(size=(4000, 20)).tolist()]
    # the smallest of k exponential variables has the mean 1 / k
    assert fmean(estimates) == pytest.approx(1 / k, abs=5 * np.std(estimates) / 4000**0.5)
    fresh = generator.exponential(size=(40_000, k)).min(axis=1)
    assert float(fresh.mean()) == pytest.approx(1 / k, abs=5 * float(fresh.std()) / 200)


def test_expected_best_is_infinite_while_all_that_are_chosen_can_have_diverged() -> None:
    scores = [0.3, 0.1, math.inf, math.inf, 0.2]
    assert [math.isinf(expected_best(scores, k)) for k in range(1, 6)] == [True, True, False, False, False]
    assert expected_best([math.inf] * 3, 3) == math.inf


@given(st.lists(st.floats(-10, 10) | st.just(math.inf), min_size=2, max_size=15))
def test_expected_best_more_trials_never_expect_worse_and_all_of_them_find_the_best(scores: list[float]) -> None:
    found = [expected_best(scores, k) for k in range(1, len(scores) + 1)]
    assert all(math.isinf(a) or b <= a + 1e-9 for a, b in pairwise(found))
    assert found[-1] == pytest.approx(min(scores))
    assert found == pytest.approx([expected_best(scores[::-1], k) for k in range(1, len(scores) + 1)])


def test_expected_best_ten_thousand_trials_overflow_nothing() -> None:
    scores = np.linspace(0.0, 1.0, 10_000).tolist()
    # the mean of the smallest of k of 0 ... n - 1 is (n - k) / (k + 1)
    for k in (1, 10, 5000, 10_000):
        assert expected_best(scores, k) == pytest.approx((10_000 - k) / (k + 1) / 9_999, abs=1e-12)
    assert expected_best([*scores[:9_000], *[math.inf] * 1000], 5000) == pytest.approx(5000 / 5001 / 9_999)


MEDIAN_BEST_SCORES = st.lists(st.sampled_from([-4.0, -1.5, 0.0, 2.0, 7.0, math.inf]), min_size=1, max_size=9)


@given(MEDIAN_BEST_SCORES, st.data())
def test_median_best_agrees_with_the_lower_median_over_all_choices(scores: list[float], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(scores)))
    best = sorted(min(chosen) for chosen in combinations(scores, k))
    assert median_best(scores, k) == best[(len(best) - 1) // 2]


@given(MEDIAN_BEST_SCORES)
def test_median_best_all_trials_find_the_best_and_order_does_not_matter(scores: list[float]) -> None:
    assert median_best(scores, len(scores)) == min(scores)
    assert median_best(scores[::-1], 1) == median_best(scores, 1)


def test_median_best_is_finite_where_half_of_the_choices_find_a_trial_that_did_not_diverge() -> None:
    scores = [0.1, 0.2, 0.3, math.inf, math.inf, math.inf, math.inf]
    assert median_best(scores, 1) == math.inf
    assert median_best(scores, 2) == 0.2  # 15 of 21 choices miss the first, 10 the first two
    assert median_best([math.inf] * 4, 2) == math.inf


@pytest.mark.parametrize("k", [1, 5000, 10_000])
def test_median_best_ten_thousand_trials_overflow_nothing(k: int) -> None:
    expected = {1: 4999, 5000: 0, 10_000: 0}
    assert median_best([float(i) for i in range(10_000)], k) == expected[k]


SEARCH_LUCK_SCORES = st.lists(st.floats(-5, 5) | st.just(math.inf), min_size=3, max_size=20)


@given(SEARCH_LUCK_SCORES)
def test_search_luck_is_never_negative_and_does_not_depend_on_the_order(scores: list[float]) -> None:
    assert search_luck(scores) == search_luck(scores[::-1]) >= 0


@given(SEARCH_LUCK_SCORES, st.floats(-5, 5))
def test_search_luck_another_trial_that_is_no_better_than_the_best_never_adds_to_it(
    scores: list[float], more: float
) -> None:
    assert search_luck([*scores, max(more, min(scores))]) <= search_luck(scores)


def test_search_luck_equally_good_trials_leave_nothing_to_luck() -> None:
    assert search_luck([0.0, -2.0, -2.0, -2.0, math.inf]) == 0.0


def test_search_luck_too_few_trials_that_ended_say_nothing() -> None:
    assert search_luck([]) == search_luck([1.0, 2.0]) == search_luck([1.0, 2.0, math.inf]) == math.inf


def test_search_luck_two_random_searches_seldom_differ_by_more_than_both_lucks() -> None:
    generator = np.random.default_rng(0)
    # a loss with its best at one learning rate, as log-uniform searches of 12 trials find it
    first, second = ((generator.uniform(-3, 1, (4000, 12)) ** 2) for _ in range(2))
    beyond = [
        abs(min(a) - min(b)) > search_luck(a) + search_luck(b)
        for a, b in zip(first.tolist(), second.tolist(), strict=True)
    ]
    assert 0.0 < float(np.mean(beyond)) < 0.05


RATES = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]


def test_usable_range_is_the_stretch_around_the_best_within_the_tolerance() -> None:
    found = usable_range(RATES, [-1.0, -2.8, -3.0, -2.6, math.inf], 0.5)
    assert found is not None
    assert (found.low, found.high, found.open_below, found.open_above) == (1e-3, 1e-1, False, False)
    assert found.decades == pytest.approx(2.0)


def test_usable_range_a_stretch_that_is_cut_off_from_the_best_does_not_count() -> None:
    found = usable_range(RATES, [-2.9, math.inf, -3.0, -2.9, -1.0], 0.5)
    assert found is not None
    assert (found.low, found.high) == (1e-2, 1e-1)


def test_usable_range_is_open_where_nothing_further_out_was_tried() -> None:
    found = usable_range(RATES[:3], [-3.0, -3.0, -3.0], 0.1)
    assert found is not None
    assert (found.open_below, found.open_above, found.decades) == (True, True, pytest.approx(2.0))


def test_usable_range_one_trial_has_no_width_and_none_that_ended_no_range() -> None:
    found = usable_range([0.1], [-3.0], 0.5)
    assert found is not None
    assert (found.decades, found.open_below, found.open_above) == (0.0, True, True)
    assert usable_range(RATES, [math.inf] * 5, 0.5) is None
    assert usable_range([], [], 0.5) is None


def test_usable_range_a_value_tried_twice_counts_with_its_worse_score() -> None:
    found = usable_range([0.01, 0.1, 0.1, 1.0], [-3.0, -3.0, math.inf, -3.0], 0.5)
    assert found is not None
    assert (found.low, found.high) == (0.01, 0.01)


@given(
    st.lists(st.tuples(st.sampled_from(RATES), st.floats(-5, 5) | st.just(math.inf)), min_size=1, max_size=12),
    st.floats(0, 3),
)
def test_usable_range_order_does_not_matter_and_more_tolerance_never_narrows(
    trials: list[tuple[float, float]], more: float
) -> None:
    values, scores = [value for value, _ in trials], [score for _, score in trials]
    found = usable_range(values, scores, 0.5)
    if found is None:
        assert all(map(math.isinf, scores))
        return
    best = min(scores)
    if scores.count(best) == 1:  # of several equally good ones the first is taken
        assert usable_range(values[::-1], scores[::-1], 0.5) == found
    assert any(found.low <= value <= found.high for value, score in trials if score == best)
    wider = usable_range(values, scores, 0.5 + more)
    assert wider is not None
    assert wider.low <= found.low <= found.high <= wider.high
