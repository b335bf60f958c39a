"""Intervals, against published values, simulation and brute force."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from studies.analysis.statistics.averages import interquartile_mean
from studies.analysis.statistics.intervals import (
    MIN_BOOTSTRAP_VALUES,
    divergence_rate,
    stratified_bootstrap,
    t_interval,
)

pytestmark = pytest.mark.heavy


def wilson(diverged: int, runs: int, level: float) -> tuple[float, float]:
    """Wilson (1927), as in every textbook: the rates p with |p' - p| <= z sqrt(p (1 - p) / n)."""
    z, rate = float(stats.norm.ppf((1 + level) / 2)), diverged / runs
    center = (rate + z**2 / (2 * runs)) / (1 + z**2 / runs)
    half = z / (1 + z**2 / runs) * (rate * (1 - rate) / runs + z**2 / (4 * runs**2)) ** 0.5
    return max(0.0, center - half), min(1.0, center + half)


@given(st.integers(1, 60).flatmap(lambda runs: st.tuples(st.integers(0, runs), st.just(runs))))
def test_divergence_rate_agrees_with_the_formula(found: tuple[int, int]) -> None:
    rate, low, high = divergence_rate(*found, 0.95)
    assert rate == found[0] / found[1]
    assert (low, high) == pytest.approx(wilson(*found, 0.95), abs=1e-9)
    assert low <= rate <= high


def test_divergence_rate_none_of_ten_is_no_proof_that_none_ever_will() -> None:
    assert divergence_rate(0, 10, 0.95) == pytest.approx((0.0, 0.0, 0.278), abs=1e-3)
    assert divergence_rate(10, 10, 0.95) == pytest.approx((1.0, 0.722, 1.0), abs=1e-3)
    assert divergence_rate(1, 1, 0.95)[1] == pytest.approx(0.207, abs=1e-3)


def test_divergence_rate_covers_about_as_often_as_it_says() -> None:
    drawn = np.random.default_rng(0).binomial(20, 0.2, 1000)
    covered = [low <= 0.2 <= high for _, low, high in (divergence_rate(int(each), 20, 0.95) for each in drawn)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.03)


Strata = Sequence[NDArray[np.floating]]


def mean(strata: Strata) -> NDArray[np.floating]:
    return np.mean([each.mean(axis=-1) for each in strata], axis=0)


def interval(strata: Sequence[Sequence[float]], seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    found = stratified_bootstrap(strata, mean, level, np.random.default_rng(seed))
    assert found is not None
    return found


def test_stratified_bootstrap_one_stratum_agrees_with_scipy() -> None:
    values = np.random.default_rng(1).normal(size=40)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert interval([values.tolist()]) == pytest.approx((expected.low, expected.high), abs=0.04)


def test_stratified_bootstrap_agrees_with_the_published_definition() -> None:
    """Agarwal et al. (2021), section 4.1: runs are sampled with replacement for each task by itself."""
    generator = np.random.default_rng(3)
    matrix = np.array([0.0, 5.0, 9.0]) + generator.normal(size=(20, 3)) * np.array([1.0, 0.1, 3.0])
    samples: list[float] = []
    for _ in range(4000):
        sample = np.empty_like(matrix)
        for task in range(3):
            for run in range(20):
                sample[run, task] = matrix[generator.integers(20), task]
        samples.append(float(sample.mean()))
    expected = np.percentile(samples, [2.5, 97.5])
    found = interval(matrix.T.tolist())
    assert found == pytest.approx(expected, abs=0.05)
    # runs of all tasks thrown together would give an interval several times as wide
    assert found[1] - found[0] < 1.2


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "coverage"), [(MIN_BOOTSTRAP_VALUES, 0.90), (40, 0.94)])
def test_stratified_bootstrap_covers_about_as_often_as_it_says_from_the_fewest_seeds_on(
    seeds: int, coverage: float
) -> None:
    generator = np.random.default_rng(4)
    studies = [generator.normal(size=(1, seeds)).tolist() for _ in range(2000)]
    covered = [low <= 0 <= high for low, high in (interval(each, seed) for seed, each in enumerate(studies))]
    assert np.mean(covered) == pytest.approx(coverage, abs=0.02)  # three standard errors


def test_stratified_bootstrap_goes_by_its_generator_alone() -> None:
    values = [np.random.default_rng(5).normal(size=12).tolist()]
    assert interval(values, 1) == interval(values, 1) != interval(values, 2)


def test_stratified_bootstrap_fewer_seeds_than_can_be_trusted_have_no_interval() -> None:
    enough, few = [1.0] * MIN_BOOTSTRAP_VALUES, [1.0] * (MIN_BOOTSTRAP_VALUES - 1)
    for strata in ([enough, few], [few], []):
        assert stratified_bootstrap(strata, mean, 0.95, np.random.default_rng(0)) is None
    assert interval([enough, enough]) == (1.0, 1.0)


def iqm_of_means(strata: Strata) -> NDArray[np.floating]:
    return interquartile_mean(np.stack([each.mean(axis=-1) for each in strata], axis=-1))


def test_stratified_bootstrap_a_seed_that_diverged_makes_an_end_infinite_and_never_nan() -> None:
    strata = [[*[0.0] * 9, math.inf]] * 2
    assert stratified_bootstrap(strata, iqm_of_means, 0.95, np.random.default_rng(0)) == (0.0, math.inf)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30), st.sampled_from([0.9, 0.95]))
def test_t_interval_agrees_with_scipy(values: list[float], level: float) -> None:
    found = t_interval(values, level)
    assert found is not None
    if np.ptp(values) > 1e-6:
        expected = stats.ttest_1samp(values, 0.0).confidence_interval(level)
        assert found == pytest.approx((expected.low, expected.high), rel=1e-9, abs=1e-9)


def test_t_interval_by_hand() -> None:
    assert t_interval([1.0, 2.0, 3.0], 0.95) == pytest.approx((2 - 4.30265 / 3**0.5, 2 + 4.30265 / 3**0.5), rel=1e-5)


def test_t_interval_equal_values_have_an_interval_without_width() -> None:
    assert t_interval([2.0, 2.0, 2.0], 0.95) == (2.0, 2.0)


def test_t_interval_one_value_has_none() -> None:
    assert t_interval([2.0], 0.95) is None


def test_t_interval_covers_as_often_as_it_says_with_five_seeds() -> None:
    studies = np.random.default_rng(0).normal(2.0, 3.0, (10_000, 5)).tolist()
    covered = [found[0] <= 2.0 <= found[1] for each in studies if (found := t_interval(each, 0.95))]
    assert len(covered) == 10_000
    assert float(np.mean(covered)) == pytest.approx(0.95, abs=0.01)  # 4.6 standard errors


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=12))
def test_t_interval_does_not_depend_on_the_order(values: list[float]) -> None:
    assert t_interval(values[::-1], 0.95) == pytest.approx(t_interval(values, 0.95), abs=1e-9)
