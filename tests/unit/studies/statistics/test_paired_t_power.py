import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from studies.statistics.paired_t_power import paired_t_power


@pytest.mark.parametrize(("effect", "n", "power"), [(0.5, 34, 0.808), (0.8, 15, 0.821), (0.2, 199, 0.803)])
def test_agrees_with_published_tables(effect: float, n: int, power: float) -> None:
    # G*Power 3.1, t-tests, difference between two dependent means, two tails, alpha 0.05
    assert paired_t_power(effect, n, 0.05) == pytest.approx(power, abs=0.002)


@pytest.mark.parametrize(("effect", "n", "level"), [(0.3, 20, 0.05), (1.0, 8, 0.05 / 3), (1.5, 10, 0.05 / 8)])
def test_agrees_with_simulation(effect: float, n: int, level: float) -> None:
    draws = np.random.default_rng(n).normal(effect, 1.0, (40_000, n))
    t, p = np.asarray(stats.ttest_1samp(draws, 0.0, axis=1))
    found = float(np.mean((p <= level) & (t > 0)))
    assert paired_t_power(effect, n, level) == pytest.approx(found, abs=4 * (0.25 / 40_000) ** 0.5)


def test_nothing_to_find_is_found_by_chance_on_either_side() -> None:
    assert paired_t_power(0.0, 10, 0.05) == pytest.approx(0.025)


@settings(deadline=None, max_examples=50)
@given(st.floats(0, 1e6), st.integers(2, 500), st.sampled_from([0.05, 0.05 / 8, 0.05 / 2450]))
def test_grows_with_the_effect_and_with_the_seeds(effect: float, n: int, level: float) -> None:
    found = paired_t_power(effect, n, level)
    assert 0 <= found <= 1
    assert paired_t_power(2 * effect, n, level) >= found - 1e-9
    assert paired_t_power(effect, n + 1, level) >= found - 1e-9
