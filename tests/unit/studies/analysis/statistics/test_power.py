"""Power of a comparison, against published values, simulation and brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from studies.analysis.statistics.power import minimum_detectable_effect, paired_t_power, seeds_needed

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
def test_minimum_detectable_effect_agrees_with_a_search_over_effects(n: int, level: float, power: float) -> None:
    differences = np.random.default_rng(n).normal(3.0, 0.2, n).tolist()
    expected = by_search(differences, level, power)
    assert minimum_detectable_effect(differences, level, power) == pytest.approx(expected, rel=1e-5)


def test_minimum_detectable_effect_is_found_as_often_as_it_says() -> None:
    spread, n = 0.3, 10
    values = np.arange(n) - (n - 1) / 2
    found = minimum_detectable_effect((spread * values / values.std(ddof=1)).tolist(), 0.05)
    assert found is not None
    draws = np.random.default_rng(0).normal(found, spread, (40_000, n))
    assert float(np.mean(np.asarray(stats.ttest_1samp(draws, 0.0, axis=1))[1] <= 0.05)) == pytest.approx(0.8, abs=0.008)


def test_minimum_detectable_effect_is_the_other_way_round_of_the_seeds_needed() -> None:
    values = np.arange(20.0)
    centred = (values - values.mean()) / values.std(ddof=1)
    found = minimum_detectable_effect(centred.tolist(), 0.05)
    assert found is not None
    # with a mean a little smaller than can be found in 20 seeds, 21 are needed
    assert seeds_needed((centred + 0.99 * found).tolist(), 0.05, 0.0) == 21


def test_minimum_detectable_effect_too_few_seeds_find_nothing() -> None:
    assert minimum_detectable_effect([1.0], 0.05) is None
    assert minimum_detectable_effect([1.0, 2.0, 3.0, 4.0, 5.0], 0.05) is None  # 2 / 2^5 > 0.05
    assert minimum_detectable_effect([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0.05) is not None


def test_minimum_detectable_effect_without_any_spread_everything_is_found() -> None:
    assert minimum_detectable_effect([2.0] * 8, 0.05) == 0.0


@settings(max_examples=50)
@given(DIFFERENCES)
def test_minimum_detectable_effect_depends_on_the_spread_alone(differences: list[float]) -> None:
    found = minimum_detectable_effect(differences, 0.05)
    assert found is not None
    assert minimum_detectable_effect([-each for each in reversed(differences)], 0.05) == pytest.approx(found)
    assert minimum_detectable_effect([each + 7.0 for each in differences], 0.05) == pytest.approx(found, abs=1e-9)
    assert minimum_detectable_effect([4 * each for each in differences], 0.05) == pytest.approx(4 * found)
    stricter = minimum_detectable_effect(differences, 0.03)
    assert stricter is None or stricter >= found


@pytest.mark.parametrize(("effect", "n", "power"), [(0.5, 34, 0.808), (0.8, 15, 0.821), (0.2, 199, 0.803)])
def test_paired_t_power_agrees_with_published_tables(effect: float, n: int, power: float) -> None:
    # G*Power 3.1, t-tests, difference between two dependent means, two tails, alpha 0.05
    assert paired_t_power(effect, n, 0.05) == pytest.approx(power, abs=0.002)


@pytest.mark.parametrize(("effect", "n", "level"), [(0.3, 20, 0.05), (1.0, 8, 0.05 / 3), (1.5, 10, 0.05 / 8)])
def test_paired_t_power_agrees_with_simulation(effect: float, n: int, level: float) -> None:
    draws = np.random.default_rng(n).normal(effect, 1.0, (40_000, n))
    t, p = np.asarray(stats.ttest_1samp(draws, 0.0, axis=1))
    found = float(np.mean((p <= level) & (t > 0)))
    assert paired_t_power(effect, n, level) == pytest.approx(found, abs=4 * (0.25 / 40_000) ** 0.5)


def test_paired_t_power_nothing_to_find_is_found_by_chance_on_either_side() -> None:
    assert paired_t_power(0.0, 10, 0.05) == pytest.approx(0.025)


@settings(max_examples=50)
@given(st.floats(0, 1e6), st.integers(2, 500), st.sampled_from([0.05, 0.05 / 8, 0.05 / 2450]))
def test_paired_t_power_grows_with_the_effect_and_with_the_seeds(effect: float, n: int, level: float) -> None:
    found = paired_t_power(effect, n, level)
    assert 0 <= found <= 1
    assert paired_t_power(2 * effect, n, level) >= found - 1e-9
    assert paired_t_power(effect, n + 1, level) >= found - 1e-9


def differences(mean: float, spread: float) -> list[float]:
    """Ten values with exactly that mean and standard deviation."""
    values = np.arange(10.0)
    return list(mean + spread * (values - values.mean()) / values.std(ddof=1))


@pytest.mark.parametrize(("effect", "expected"), [(0.5, 34), (0.8, 15), (0.3, 90)])
def test_seeds_needed_agrees_with_published_tables_of_the_paired_t_test(effect: float, expected: int) -> None:
    assert seeds_needed(differences(effect, 1.0), 0.05, 0.0) == expected


def test_seeds_needed_reaches_the_power_it_promises_in_simulation() -> None:
    n = seeds_needed(differences(0.6, 1.0), 0.05, 0.0)
    assert n is not None
    draws = np.random.default_rng(0).normal(0.6, 1.0, (4000, n))
    found = float(np.mean(np.asarray(stats.ttest_1samp(draws, 0.0, axis=1))[1] <= 0.05))
    assert found == pytest.approx(0.8, abs=0.03)


def test_seeds_needed_a_small_mean_is_soon_known_to_be_a_tie() -> None:
    n = seeds_needed(differences(0.001, 0.1), 0.05, 0.05)
    assert n is not None
    half = stats.t.ppf(0.95, n - 1) * 0.1 / n**0.5
    assert 0.001 + half <= 0.05
    assert n < 20


def test_seeds_needed_a_clear_difference_still_needs_what_the_sign_flip_test_needs() -> None:
    assert seeds_needed([1.0, 1.0, 1.0], 0.05 / 8, 0.0) == 9  # 2 / 2^9 <= 0.05 / 8 < 2 / 2^8


def test_seeds_needed_nothing_to_find_is_not_estimable() -> None:
    assert seeds_needed([1.0, -1.0], 0.05, 0.0) is None
    assert seeds_needed([0.5], 0.05, 0.1) is None


@settings(max_examples=50)
@given(st.lists(st.floats(-10, 10), min_size=2, max_size=12), st.sampled_from([0.05, 0.05 / 8, 0.05 / 2450]))
def test_seeds_needed_more_than_are_there_and_more_for_a_stricter_level(values: list[float], level: float) -> None:
    n = seeds_needed(values, level, 0.0)
    stricter = seeds_needed(values, level / 10, 0.0)
    assert n is None or n > len(values)
    assert stricter is None or (n is not None and n <= stricter)
