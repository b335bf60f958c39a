"""Hypothesis tests, against published values, simulation and brute force."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from studies.analysis.statistics import significance
from studies.analysis.statistics.significance import (
    MAX_EXACT,
    RANDOM_FLIPS,
    holm_adjusted,
    paired_differences,
    probability_of_improvement,
    sign_test,
)

pytestmark = pytest.mark.heavy

P_VALUES = st.lists(st.floats(0, 1), max_size=12)


def test_holm_by_hand() -> None:
    assert holm_adjusted([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))


@given(P_VALUES)
def test_holm_never_milder_than_none_nor_stricter_than_bonferroni(p_values: list[float]) -> None:
    for p, adjusted in zip(p_values, holm_adjusted(p_values), strict=True):
        assert p <= adjusted <= min(1.0, len(p_values) * p)


@given(P_VALUES)
def test_holm_keeps_the_order(p_values: list[float]) -> None:
    pairs = sorted(zip(p_values, holm_adjusted(p_values), strict=True))
    adjusted = [value for _, value in pairs]
    assert adjusted == sorted(adjusted)


def test_holm_equal_p_values_are_adjusted_alike() -> None:
    assert holm_adjusted([0.01, 0.01, 0.01]) == pytest.approx((0.03, 0.03, 0.03))


VALUES = st.lists(st.sampled_from([-3.0, 0.0, 0.25, 8.0, math.inf, math.nan]), min_size=1, max_size=12)


@given(VALUES, VALUES)
def test_paired_differences_the_other_way_round_every_sign_is_turned(mine: list[float], theirs: list[float]) -> None:
    n = min(len(mine), len(theirs))
    x, y = np.array(mine[:n]), np.array(theirs[:n])
    assert paired_differences(x, y).tolist() == pytest.approx((-paired_differences(y, x)).tolist(), nan_ok=True)


def test_paired_differences_is_positive_where_mine_is_smaller() -> None:
    assert paired_differences(np.array([1.0, 5.0]), np.array([3.0, 4.0])).tolist() == [2.0, -1.0]


def test_paired_differences_two_diverged_runs_are_alike_and_one_is_infinitely_worse() -> None:
    found = paired_differences(np.array([math.inf, math.inf, 1.0]), np.array([math.inf, 1.0, math.inf]))
    assert found.tolist() == [0.0, -math.inf, math.inf]


def test_paired_differences_a_missing_run_has_no_difference() -> None:
    found = paired_differences(np.array([math.nan, 1.0, math.inf]), np.array([1.0, math.nan, math.nan]))
    assert np.isnan(found).all()


DIFFERENCES = st.lists(st.floats(-100, 100), min_size=1, max_size=10)


def sign_flip(values: list[float], seed: int = 0) -> float:
    return significance.sign_flip_test(values, np.random.default_rng(seed))


def scipy_p(values: list[float]) -> float:
    found = stats.permutation_test((np.array(values),), np.sum, permutation_type="samples", n_resamples=2**12)
    return float(found.pvalue)


@pytest.mark.parametrize("n", [2, 5, 8, 10])
def test_sign_flip_agrees_with_scipy(n: int) -> None:
    values = list(np.random.default_rng(n).normal(0.4, 1.0, n))
    assert sign_flip(values) == pytest.approx(scipy_p(values))


@pytest.mark.parametrize("n", range(1, MAX_EXACT + 1))
def test_sign_flip_one_sign_throughout_gives_the_smallest_p(n: int) -> None:
    assert sign_flip([1.0 + i / 10 for i in range(n)]) == 2 / 2**n


def test_sign_flip_ties_in_exact_arithmetic_are_counted() -> None:
    # 0.1 + 0.2 and 0.3 differ in floating point, so flips of equal sum must be matched with a tolerance
    assert sign_flip([0.1, 0.2, -0.3]) == 1.0
    assert sign_flip([0.1, 0.2, 0.3]) == 2 / 8


@given(DIFFERENCES)
def test_sign_flip_does_not_depend_on_direction_order_or_scale(values: list[float]) -> None:
    p = sign_flip(values)
    assert 0 < p <= 1
    assert sign_flip([-value for value in values]) == p
    assert sign_flip([4 * value for value in reversed(values)]) == p


@settings(max_examples=5)
@given(st.integers(0, 2**32))
def test_sign_flip_many_differences_are_sampled_near_the_t_test(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.3, 1.0, 40)
    expected = float(np.asarray(stats.ttest_1samp(values, 0.0))[1])
    assert sign_flip(values.tolist()) == pytest.approx(expected, abs=0.02)


def test_sign_flip_sampling_goes_by_its_generator_and_never_gives_zero() -> None:
    values = np.random.default_rng(1).normal(0.3, 1.0, MAX_EXACT + 1).tolist()
    assert sign_flip(values, seed=3) == sign_flip(values, seed=3)
    assert sign_flip(values, seed=3) != sign_flip(values, seed=4)
    assert sign_flip([1.0] * 60) == 1 / (RANDOM_FLIPS + 1)


def test_sign_flip_sampling_leaves_the_global_generator_alone() -> None:
    before = str(np.random.get_state())
    sign_flip([1.0] * (MAX_EXACT + 1))
    assert str(np.random.get_state()) == before


def test_sign_flip_the_exact_test_draws_nothing() -> None:
    generator = np.random.default_rng(0)
    significance.sign_flip_test([1.0] * MAX_EXACT, generator)
    assert generator.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("name", ["standard_normal", "standard_cauchy", "laplace"])
def test_sign_flip_at_5_percent_it_errs_in_5_percent_whatever_the_distribution(name: str) -> None:
    drawn = getattr(np.random.default_rng(0), name)(size=(5000, 10)).tolist()
    found = float(np.mean([sign_flip(each) <= 0.05 for each in drawn]))
    # p-values are multiples of 2 / 2^10, the largest of them below 0.05 is 50 / 1024
    assert found == pytest.approx(50 / 1024, abs=0.01)  # three standard errors


def test_sign_flip_sampled_at_5_percent_it_errs_in_5_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(significance, "RANDOM_FLIPS", 999)
    drawn = np.random.default_rng(0).normal(size=(5000, MAX_EXACT + 2)).tolist()
    found = float(np.mean([sign_flip(each, seed) <= 0.05 for seed, each in enumerate(drawn)]))
    assert found == pytest.approx(0.05, abs=0.01)


def test_sign_test_by_hand() -> None:
    # 9 of 10 positive: 2 (1 + 10) / 2^10
    assert sign_test([1.0] * 9 + [-1.0]) == pytest.approx(22 / 1024)


def test_sign_test_infinite_differences_count_by_their_sign_and_zeros_not_at_all() -> None:
    assert sign_test([math.inf, math.inf, 0.5, 2.0, 0.0, 0.0]) == pytest.approx(2 / 16)


@given(st.lists(st.sampled_from([-math.inf, -1.0, 0.0, 1.0, math.inf]), max_size=20))
def test_sign_test_is_a_probability_and_symmetric(values: list[float]) -> None:
    p = sign_test(values)
    assert 0 < p <= 1
    assert sign_test([-value for value in values]) == p


def test_sign_test_nothing_but_zeros_says_nothing() -> None:
    assert sign_test([0.0, 0.0]) == 1.0


RUNS = st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 3.0, math.inf]), min_size=1, max_size=12)


def published_probability_of_improvement(mine: list[float], theirs: list[float]) -> float:
    """Agarwal et al. (2021), section 4.3: the mean over pairs of 1 where x is better, 1/2 where equal."""
    total = 0.0
    for x in mine:
        for y in theirs:
            total += 1.0 if x < y else 0.5 if x == y else 0.0
    return total / (len(mine) * len(theirs))


@given(RUNS, RUNS)
def test_probability_of_improvement_agrees_with_the_published_definition(
    mine: list[float], theirs: list[float]
) -> None:
    assert probability_of_improvement(mine, theirs) == pytest.approx(published_probability_of_improvement(mine, theirs))


@given(RUNS, RUNS)
def test_probability_of_improvement_is_the_mann_whitney_statistic(mine: list[float], theirs: list[float]) -> None:
    u = stats.mannwhitneyu(theirs, mine, method="asymptotic").statistic
    assert probability_of_improvement(mine, theirs) == pytest.approx(u / (len(mine) * len(theirs)))


@given(RUNS, RUNS)
def test_probability_of_improvement_the_two_ways_add_up_to_one_in_any_order(
    mine: list[float], theirs: list[float]
) -> None:
    found = probability_of_improvement(mine, theirs)
    assert found + probability_of_improvement(theirs, mine) == pytest.approx(1.0)
    assert probability_of_improvement(mine[::-1], sorted(theirs)) == pytest.approx(found)


def test_probability_of_improvement_runs_that_all_diverged_are_alike_and_worse_than_any_other() -> None:
    assert probability_of_improvement([math.inf] * 3, [math.inf] * 3) == 0.5
    assert probability_of_improvement([1.0], [math.inf] * 3) == 1.0


def test_probability_of_improvement_agrees_with_the_normal_distribution_in_simulation() -> None:
    generator = np.random.default_rng(0)
    mine, theirs = generator.normal(0.0, 1.0, 2000).tolist(), generator.normal(1.0, 1.0, 2000).tolist()
    assert probability_of_improvement(mine, theirs) == pytest.approx(stats.norm.cdf(1 / 2**0.5), abs=0.03)
