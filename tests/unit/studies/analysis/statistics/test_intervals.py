import math
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from studies.statistics.iqm import iqm
from studies.statistics.stratified_bootstrap import FEWEST, stratified_bootstrap

Strata = Sequence[NDArray[np.floating]]


def mean(strata: Strata) -> NDArray[np.floating]:
    return np.mean([each.mean(axis=-1) for each in strata], axis=0)


def interval(strata: Sequence[Sequence[float]], seed: int = 0, level: float = 0.95) -> tuple[float, float]:
    found = stratified_bootstrap(strata, mean, level, np.random.default_rng(seed))
    assert found is not None
    return found


def test_one_stratum_agrees_with_scipy() -> None:
    values = np.random.default_rng(1).normal(size=40)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert interval([values.tolist()]) == pytest.approx((expected.low, expected.high), abs=0.04)


def test_agrees_with_the_published_definition() -> None:
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


@pytest.mark.parametrize(("seeds", "coverage"), [(FEWEST, 0.90), (40, 0.94)])
def test_covers_about_as_often_as_it_says_from_the_fewest_seeds_on(seeds: int, coverage: float) -> None:
    generator = np.random.default_rng(4)
    studies = [generator.normal(size=(1, seeds)).tolist() for _ in range(2000)]
    covered = [low <= 0 <= high for low, high in (interval(each, seed) for seed, each in enumerate(studies))]
    assert np.mean(covered) == pytest.approx(coverage, abs=0.02)  # three standard errors


def test_goes_by_its_generator_alone() -> None:
    values = [np.random.default_rng(5).normal(size=12).tolist()]
    assert interval(values, 1) == interval(values, 1) != interval(values, 2)


def test_fewer_seeds_than_can_be_trusted_have_no_interval() -> None:
    enough, few = [1.0] * FEWEST, [1.0] * (FEWEST - 1)
    for strata in ([enough, few], [few], []):
        assert stratified_bootstrap(strata, mean, 0.95, np.random.default_rng(0)) is None
    assert interval([enough, enough]) == (1.0, 1.0)


def iqm_of_means(strata: Strata) -> NDArray[np.floating]:
    return iqm(np.stack([each.mean(axis=-1) for each in strata], axis=-1))


def test_a_seed_that_diverged_makes_an_end_infinite_and_never_nan() -> None:
    strata = [[*[0.0] * 9, math.inf]] * 2
    assert stratified_bootstrap(strata, iqm_of_means, 0.95, np.random.default_rng(0)) == (0.0, math.inf)
