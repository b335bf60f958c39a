import math
from itertools import combinations, pairwise
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.statistics.expected_best import expected_best

SCORES = st.lists(st.sampled_from([-4.0, -1.5, -1.5, 0.0, 2.0, math.inf]), min_size=1, max_size=9)


@given(SCORES, st.data())
def test_agrees_with_the_mean_over_all_choices(scores: list[float], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(scores)))
    assert expected_best(scores, k) == pytest.approx(fmean(min(chosen) for chosen in combinations(scores, k)))


def formula(scores: list[float], k: int) -> float:
    """As published, with exact binomial coefficients."""
    v, n = sorted(scores), len(scores)
    ways = [v[i - 1] * math.comb(n - i, k - 1) for i in range(1, n - k + 2)]
    return math.fsum(way / math.comb(n, k) for way in ways)


@pytest.mark.parametrize("k", [1, 2, 7, 24, 25])
def test_agrees_with_the_formula(k: int) -> None:
    scores = np.random.default_rng(k).normal(size=25).tolist()
    assert expected_best(scores, k) == pytest.approx(formula(scores, k))


@pytest.mark.parametrize("k", [1, 5, 20])
def test_is_unbiased_in_simulation(k: int) -> None:
    """What 20 trials say of a search of k is right on average: the truth is taken from fresh searches of k."""
    generator = np.random.default_rng(k)
    estimates = [expected_best(trials, k) for trials in generator.exponential(size=(4000, 20)).tolist()]
    # the smallest of k exponential variables has the mean 1 / k
    assert fmean(estimates) == pytest.approx(1 / k, abs=5 * np.std(estimates) / 4000**0.5)
    fresh = generator.exponential(size=(40_000, k)).min(axis=1)
    assert float(fresh.mean()) == pytest.approx(1 / k, abs=5 * float(fresh.std()) / 200)


def test_is_infinite_while_all_that_are_chosen_can_have_diverged() -> None:
    scores = [0.3, 0.1, math.inf, math.inf, 0.2]
    assert [math.isinf(expected_best(scores, k)) for k in range(1, 6)] == [True, True, False, False, False]
    assert expected_best([math.inf] * 3, 3) == math.inf


@given(st.lists(st.floats(-10, 10) | st.just(math.inf), min_size=2, max_size=15))
def test_more_trials_never_expect_worse_and_all_of_them_find_the_best(scores: list[float]) -> None:
    found = [expected_best(scores, k) for k in range(1, len(scores) + 1)]
    assert all(math.isinf(a) or b <= a + 1e-9 for a, b in pairwise(found))
    assert found[-1] == pytest.approx(min(scores))
    assert found == pytest.approx([expected_best(scores[::-1], k) for k in range(1, len(scores) + 1)])


def test_ten_thousand_trials_overflow_nothing() -> None:
    scores = np.linspace(0.0, 1.0, 10_000).tolist()
    # the mean of the smallest of k of 0 ... n - 1 is (n - k) / (k + 1)
    for k in (1, 10, 5000, 10_000):
        assert expected_best(scores, k) == pytest.approx((10_000 - k) / (k + 1) / 9_999, abs=1e-12)
    assert expected_best([*scores[:9_000], *[math.inf] * 1000], 5000) == pytest.approx(5000 / 5001 / 9_999)
