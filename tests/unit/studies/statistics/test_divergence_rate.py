import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from studies.statistics.divergence_rate import divergence_rate


def wilson(diverged: int, runs: int, level: float) -> tuple[float, float]:
    """Wilson (1927), as in every textbook: the rates p with |p' - p| <= z sqrt(p (1 - p) / n)."""
    z, rate = float(stats.norm.ppf((1 + level) / 2)), diverged / runs
    center = (rate + z**2 / (2 * runs)) / (1 + z**2 / runs)
    half = z / (1 + z**2 / runs) * (rate * (1 - rate) / runs + z**2 / (4 * runs**2)) ** 0.5
    return max(0.0, center - half), min(1.0, center + half)


@given(st.integers(1, 60).flatmap(lambda runs: st.tuples(st.integers(0, runs), st.just(runs))))
def test_agrees_with_the_formula(found: tuple[int, int]) -> None:
    rate, low, high = divergence_rate(*found, 0.95)
    assert rate == found[0] / found[1]
    assert (low, high) == pytest.approx(wilson(*found, 0.95), abs=1e-9)
    assert low <= rate <= high


def test_none_of_ten_is_no_proof_that_none_ever_will() -> None:
    assert divergence_rate(0, 10, 0.95) == pytest.approx((0.0, 0.0, 0.278), abs=1e-3)
    assert divergence_rate(10, 10, 0.95) == pytest.approx((1.0, 0.722, 1.0), abs=1e-3)
    assert divergence_rate(1, 1, 0.95)[1] == pytest.approx(0.207, abs=1e-3)


def test_covers_about_as_often_as_it_says() -> None:
    drawn = np.random.default_rng(0).binomial(20, 0.2, 1000)
    covered = [low <= 0.2 <= high for _, low, high in (divergence_rate(int(each), 20, 0.95) for each in drawn)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)
