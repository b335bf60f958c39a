import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from studies.statistics.minimum_detectable_effect import minimum_detectable_effect
from studies.statistics.seeds_needed import seeds_needed

DIFFERENCES = st.lists(st.floats(-100, 100), min_size=6, max_size=30)


def by_search(differences: list[float], level: float, power: float) -> float:
    """The same, by trying effects until the noncentral t-distribution has the power."""
    n = len(differences)
    critical = stats.t.ppf(1 - level / 2, n - 1)

    def missing(effect: float) -> float:
        return float(stats.nct.sf(critical, n - 1, effect * n**0.5)) - power

    return optimize.root_scalar(missing, bracket=(0.0, 8.0)).root * float(np.std(differences, ddof=1))


@pytest.mark.parametrize("n", [6, 10, 25])
@pytest.mark.parametrize("level", [0.05, 0.04])
@pytest.mark.parametrize("power", [0.5, 0.8, 0.95])
def test_agrees_with_a_search_over_effects(n: int, level: float, power: float) -> None:
    differences = np.random.default_rng(n).normal(3.0, 0.2, n).tolist()
    expected = by_search(differences, level, power)
    assert minimum_detectable_effect(differences, level, power) == pytest.approx(expected, rel=1e-5)


def test_is_found_as_often_as_it_says() -> None:
    spread, n = 0.3, 10
    values = np.arange(n) - (n - 1) / 2
    found = minimum_detectable_effect((spread * values / values.std(ddof=1)).tolist(), 0.05)
    assert found is not None
    draws = np.random.default_rng(0).normal(found, spread, (40_000, n))
    assert float(np.mean(np.asarray(stats.ttest_1samp(draws, 0.0, axis=1))[1] <= 0.05)) == pytest.approx(0.8, abs=0.008)


def test_is_the_other_way_round_of_the_seeds_needed() -> None:
    values = np.arange(20.0)
    centred = (values - values.mean()) / values.std(ddof=1)
    found = minimum_detectable_effect(centred.tolist(), 0.05)
    assert found is not None
    # with a mean a little smaller than can be found in 20 seeds, 21 are needed
    assert seeds_needed((centred + 0.99 * found).tolist(), 0.05, 0.0) == 21


def test_too_few_seeds_find_nothing() -> None:
    assert minimum_detectable_effect([1.0], 0.05) is None
    assert minimum_detectable_effect([1.0, 2.0, 3.0, 4.0, 5.0], 0.05) is None  # 2 / 2^5 > 0.05
    assert minimum_detectable_effect([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0.05) is not None


def test_without_any_spread_everything_is_found() -> None:
    assert minimum_detectable_effect([2.0] * 8, 0.05) == 0.0


@settings(deadline=None, max_examples=50)
@given(DIFFERENCES)
def test_depends_on_the_spread_alone(differences: list[float]) -> None:
    found = minimum_detectable_effect(differences, 0.05)
    assert found is not None
    assert minimum_detectable_effect([-each for each in reversed(differences)], 0.05) == pytest.approx(found)
    assert minimum_detectable_effect([each + 7.0 for each in differences], 0.05) == pytest.approx(found, abs=1e-9)
    assert minimum_detectable_effect([4 * each for each in differences], 0.05) == pytest.approx(4 * found)
    stricter = minimum_detectable_effect(differences, 0.03)
    assert stricter is None or stricter >= found
