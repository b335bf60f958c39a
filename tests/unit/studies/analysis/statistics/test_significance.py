import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from studies.statistics import sign_flip as module
from studies.statistics.sign_flip import DRAWS, MOST_EXACT

DIFFERENCES = st.lists(st.floats(-100, 100), min_size=1, max_size=10)


def sign_flip(values: list[float], seed: int = 0) -> float:
    return module.sign_flip(values, np.random.default_rng(seed))


def scipy_p(values: list[float]) -> float:
    found = stats.permutation_test((np.array(values),), np.sum, permutation_type="samples", n_resamples=2**12)
    return float(found.pvalue)


@pytest.mark.parametrize("n", [2, 5, 8, 10])
def test_agrees_with_scipy(n: int) -> None:
    values = list(np.random.default_rng(n).normal(0.4, 1.0, n))
    assert sign_flip(values) == pytest.approx(scipy_p(values))


@pytest.mark.parametrize("n", range(1, MOST_EXACT + 1))
def test_one_sign_throughout_gives_the_smallest_p(n: int) -> None:
    assert sign_flip([1.0 + i / 10 for i in range(n)]) == 2 / 2**n


def test_ties_in_exact_arithmetic_are_counted() -> None:
    # 0.1 + 0.2 and 0.3 differ in floating point, so flips of equal sum must be matched with a tolerance
    assert sign_flip([0.1, 0.2, -0.3]) == 1.0
    assert sign_flip([0.1, 0.2, 0.3]) == 2 / 8


@given(DIFFERENCES)
def test_does_not_depend_on_direction_order_or_scale(values: list[float]) -> None:
    p = sign_flip(values)
    assert 0 < p <= 1
    assert sign_flip([-value for value in values]) == p
    assert sign_flip([4 * value for value in reversed(values)]) == p


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 2**32))
def test_many_differences_are_sampled_near_the_t_test(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0.3, 1.0, 40)
    expected = float(np.asarray(stats.ttest_1samp(values, 0.0))[1])
    assert sign_flip(values.tolist()) == pytest.approx(expected, abs=0.02)


def test_sampling_goes_by_its_generator_and_never_gives_zero() -> None:
    values = np.random.default_rng(1).normal(0.3, 1.0, MOST_EXACT + 1).tolist()
    assert sign_flip(values, seed=3) == sign_flip(values, seed=3)
    assert sign_flip(values, seed=3) != sign_flip(values, seed=4)
    assert sign_flip([1.0] * 60) == 1 / (DRAWS + 1)


def test_sampling_leaves_the_global_generator_alone() -> None:
    before = str(np.random.get_state())
    sign_flip([1.0] * (MOST_EXACT + 1))
    assert str(np.random.get_state()) == before


def test_the_exact_test_draws_nothing() -> None:
    generator = np.random.default_rng(0)
    module.sign_flip([1.0] * MOST_EXACT, generator)
    assert generator.random() == np.random.default_rng(0).random()


@pytest.mark.parametrize("name", ["standard_normal", "standard_cauchy", "laplace"])
def test_at_5_percent_it_errs_in_5_percent_whatever_the_distribution(name: str) -> None:
    drawn = getattr(np.random.default_rng(0), name)(size=(5000, 10)).tolist()
    found = float(np.mean([sign_flip(each) <= 0.05 for each in drawn]))
    # p-values are multiples of 2 / 2^10, the largest of them below 0.05 is 50 / 1024
    assert found == pytest.approx(50 / 1024, abs=0.01)  # three standard errors


def test_sampled_at_5_percent_it_errs_in_5_percent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "DRAWS", 999)
    drawn = np.random.default_rng(0).normal(size=(5000, MOST_EXACT + 2)).tolist()
    found = float(np.mean([sign_flip(each, seed) <= 0.05 for seed, each in enumerate(drawn)]))
    assert found == pytest.approx(0.05, abs=0.01)
