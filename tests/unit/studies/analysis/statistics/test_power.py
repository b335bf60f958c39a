import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from studies.statistics.seeds_needed import seeds_needed


def differences(mean: float, spread: float) -> list[float]:
    """Ten values with exactly that mean and standard deviation."""
    values = np.arange(10.0)
    return list(mean + spread * (values - values.mean()) / values.std(ddof=1))


@pytest.mark.parametrize(("effect", "expected"), [(0.5, 34), (0.8, 15), (0.3, 90)])
def test_agrees_with_published_tables_of_the_paired_t_test(effect: float, expected: int) -> None:
    assert seeds_needed(differences(effect, 1.0), 0.05, 0.0) == expected


def test_reaches_the_power_it_promises_in_simulation() -> None:
    n = seeds_needed(differences(0.6, 1.0), 0.05, 0.0)
    assert n is not None
    draws = np.random.default_rng(0).normal(0.6, 1.0, (4000, n))
    found = float(np.mean(np.asarray(stats.ttest_1samp(draws, 0.0, axis=1))[1] <= 0.05))
    assert found == pytest.approx(0.8, abs=0.03)


def test_a_small_mean_is_soon_known_to_be_a_tie() -> None:
    n = seeds_needed(differences(0.001, 0.1), 0.05, 0.05)
    assert n is not None
    half = stats.t.ppf(0.95, n - 1) * 0.1 / n**0.5
    assert 0.001 + half <= 0.05
    assert n < 20


def test_a_clear_difference_still_needs_what_the_sign_flip_test_needs() -> None:
    assert seeds_needed([1.0, 1.0, 1.0], 0.05 / 8, 0.0) == 9  # 2 / 2^9 <= 0.05 / 8 < 2 / 2^8


def test_nothing_to_find_is_not_estimable() -> None:
    assert seeds_needed([1.0, -1.0], 0.05, 0.0) is None
    assert seeds_needed([0.5], 0.05, 0.1) is None


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-10, 10), min_size=2, max_size=12), st.sampled_from([0.05, 0.05 / 8, 0.05 / 2450]))
def test_more_than_are_there_and_more_for_a_stricter_level(values: list[float], level: float) -> None:
    n = seeds_needed(values, level, 0.0)
    stricter = seeds_needed(values, level / 10, 0.0)
    assert n is None or n > len(values)
    assert stricter is None or (n is not None and n <= stricter)
