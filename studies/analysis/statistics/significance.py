"""Paired comparison of two arms: differences, probability of improvement, two-sided tests, Holm's correction."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

#: Up to this many differences the test enumerates all 2^n sign flips.
MAX_EXACT = 16
#: Random flips beyond that; the smallest p-value is 1 / (RANDOM_FLIPS + 1).
RANDOM_FLIPS = 99_999
#: Flips in memory at once.
CHUNK_FLIPS = 4096


def paired_differences(arm: NDArray[np.floating], reference: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return reference - arm for each seed, positive where the arm is smaller, and so better.

    Two runs that both diverged are equal, with a difference of 0; one alone makes the difference infinite.

    Args:
        arm: (seeds,), infinite where the run diverged, NaN where it is missing.
        reference: (seeds,), likewise, of the same seeds in the same order.

    Returns:
        (seeds,); NaN where either is missing.
    """
    return np.subtract(reference, arm, out=np.zeros(len(arm)), where=arm != reference)


def probability_of_improvement(arm: Sequence[float], reference: Sequence[float]) -> float:
    """Return the share of pairs of an arm's and a reference's run in which the arm's is smaller, ties counting half.

    P(X < Y) + P(X = Y) / 2, the Mann-Whitney statistic divided by the number of pairs (Mann & Whitney, 1947; Agarwal
    et al., 2021, section 4.3). Each run is paired with each of the other arm: seeds are not matched.

    Args:
        arm: At least one number, smaller being better; infinite where a run diverged.
        reference: Likewise.

    Example:
        >>> probability_of_improvement([1.0, 2.0], [2.0, 3.0])
        0.875
    """
    x, y = np.asarray(arm, dtype=float)[:, None], np.asarray(reference, dtype=float)[None, :]
    return float(np.mean((x < y) + 0.5 * (x == y)))


def sign_flip_test(differences: Sequence[float], generator: np.random.Generator) -> float:
    """Return the two-sided p-value of the sign-flip permutation test of a mean difference of 0.

    The share of sign flips whose sum is at least as far from 0 as the observed one: exact up to `MAX_EXACT`
    differences (Fisher, 1935), else (1 + count) / (1 + RANDOM_FLIPS) over random flips (Phipson & Smyth, 2010).

    Args:
        differences: Finite paired differences, at least one.
        generator: Draws the random flips; not used up to `MAX_EXACT` differences.
    """
    values = np.asarray(differences, dtype=np.float64)
    exact = len(values) <= MAX_EXACT
    observed = abs(float(values.sum()))
    # a flip with the observed sum in exact arithmetic must count in floating point too
    threshold = observed - 1e-12 * float(np.abs(values).sum())
    flips = _all_flips(len(values)) if exact else _random_flips(len(values), generator)
    count = sum(int(np.count_nonzero(np.abs(chunk @ values) >= threshold)) for chunk in flips)
    return count / 2 ** len(values) if exact else (1 + count) / (1 + RANDOM_FLIPS)


def _all_flips(n: int) -> Iterator[NDArray[np.floating]]:
    for start in range(0, 2**n, CHUNK_FLIPS):
        numbers = np.arange(start, min(start + CHUNK_FLIPS, 2**n))
        yield 1.0 - 2.0 * ((numbers[:, None] >> np.arange(n)) & 1)


def _random_flips(n: int, generator: np.random.Generator) -> Iterator[NDArray[np.floating]]:
    for start in range(0, RANDOM_FLIPS, CHUNK_FLIPS):
        yield 1.0 - 2.0 * generator.integers(0, 2, size=(min(CHUNK_FLIPS, RANDOM_FLIPS - start), n))


def sign_test(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of the sign test: positive and negative differences are equally likely.

    Differences of 0 are left out (Dixon & Mood, 1946); infinite ones count by their sign. With none left it is 1.

    Args:
        differences: Paired differences, none of them NaN.
    """
    positive = sum(value > 0 for value in differences)
    negative = sum(value < 0 for value in differences)
    if positive + negative == 0:
        return 1.0
    return float(stats.binomtest(positive, positive + negative).pvalue)


def holm_adjusted(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return p-values adjusted so that the family-wise error is controlled (Holm, 1979), in the order given.

    The i-th smallest of m is multiplied by m - i + 1; an adjusted value is never below that of a smaller p-value.

    Args:
        p_values: One a test.
    """
    adjusted = [0.0] * len(p_values)
    highest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return tuple(adjusted)
