import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from studies.statistics.probability_of_improvement import probability_of_improvement

RUNS = st.lists(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 3.0, math.inf]), min_size=1, max_size=12)


def published(mine: list[float], theirs: list[float]) -> float:
    """Agarwal et al. (2021), section 4.3: the mean over pairs of 1 where x is better, 1/2 where equal."""
    total = 0.0
    for x in mine:
        for y in theirs:
            total += 1.0 if x < y else 0.5 if x == y else 0.0
    return total / (len(mine) * len(theirs))


@given(RUNS, RUNS)
def test_agrees_with_the_published_definition(mine: list[float], theirs: list[float]) -> None:
    assert probability_of_improvement(mine, theirs) == pytest.approx(published(mine, theirs))


@given(RUNS, RUNS)
def test_is_the_mann_whitney_statistic(mine: list[float], theirs: list[float]) -> None:
    u = stats.mannwhitneyu(theirs, mine, method="asymptotic").statistic
    assert probability_of_improvement(mine, theirs) == pytest.approx(u / (len(mine) * len(theirs)))


@given(RUNS, RUNS)
def test_the_two_ways_add_up_to_one_in_any_order(mine: list[float], theirs: list[float]) -> None:
    found = probability_of_improvement(mine, theirs)
    assert found + probability_of_improvement(theirs, mine) == pytest.approx(1.0)
    assert probability_of_improvement(mine[::-1], sorted(theirs)) == pytest.approx(found)


def test_runs_that_all_diverged_are_alike_and_worse_than_any_other() -> None:
    assert probability_of_improvement([math.inf] * 3, [math.inf] * 3) == 0.5
    assert probability_of_improvement([1.0], [math.inf] * 3) == 1.0


def test_agrees_with_the_normal_distribution_in_simulation() -> None:
    generator = np.random.default_rng(0)
    mine, theirs = generator.normal(0.0, 1.0, 2000).tolist(), generator.normal(1.0, 1.0, 2000).tolist()
    assert probability_of_improvement(mine, theirs) == pytest.approx(stats.norm.cdf(1 / 2**0.5), abs=0.03)
