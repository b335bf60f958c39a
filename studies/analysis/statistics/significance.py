"""The paired permutation test that flips the signs of differences."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

#: Up to this many differences every one of the 2^n flips is counted.
MOST_EXACT = 16
#: Random flips beyond that; the smallest p-value is 1 / (DRAWS + 1).
DRAWS = 99_999
#: Flips held in memory at once.
CHUNK = 4096


def sign_flip(differences: Sequence[float], generator: np.random.Generator) -> float:
    """Return the two-sided p-value of a mean difference of 0, if each sign is as likely as its opposite.

    The share of sign flips whose sum is at least as far from 0 as the observed one: exact up to `MOST_EXACT`
    differences, else (1 + count) / (1 + DRAWS) over random flips (Phipson & Smyth, 2010).

    Args:
        differences: Finite paired differences, at least one.
        generator: Where random flips are drawn from; not used up to `MOST_EXACT` differences.
    """
    values = np.asarray(differences, dtype=np.float64)
    exact = len(values) <= MOST_EXACT
    observed = abs(float(values.sum()))
    # flips that give the observed sum in exact arithmetic must count in floating point as well
    threshold = observed - 1e-12 * float(np.abs(values).sum())
    flips = _all_flips(len(values)) if exact else _random_flips(len(values), generator)
    count = sum(int(np.count_nonzero(np.abs(chunk @ values) >= threshold)) for chunk in flips)
    return count / 2 ** len(values) if exact else (1 + count) / (1 + DRAWS)


def _all_flips(n: int) -> Iterator[NDArray[np.floating]]:
    for start in range(0, 2**n, CHUNK):
        numbers = np.arange(start, min(start + CHUNK, 2**n))
        yield 1.0 - 2.0 * ((numbers[:, None] >> np.arange(n)) & 1)


def _random_flips(n: int, generator: np.random.Generator) -> Iterator[NDArray[np.floating]]:
    for start in range(0, DRAWS, CHUNK):
        yield 1.0 - 2.0 * generator.integers(0, 2, size=(min(CHUNK, DRAWS - start), n))


def sign_test(differences: Sequence[float]) -> float:
    """Return the two-sided p-value of positive and negative differences being equally likely.

    Differences of 0 are left out (Dixon & Mood, 1946); infinite ones count by their sign. With none left it is 1.

    Args:
        differences: Paired differences, none of them NaN.
    """
    positive = sum(value > 0 for value in differences)
    negative = sum(value < 0 for value in differences)
    if positive + negative == 0:
        return 1.0
    return float(stats.binomtest(positive, positive + negative).pvalue)


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
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


def paired_differences(mine: NDArray[np.floating], theirs: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return theirs - mine for each seed, positive where mine is smaller, and so better.

    Two runs that both diverged are alike: their difference is 0. One that diverged alone makes it infinite.

    Args:
        mine: (seeds,), infinite where the run diverged, NaN where it is missing.
        theirs: (seeds,), likewise, of the same seeds in the same order.

    Returns:
        (seeds,); NaN where either is missing.
    """
    return np.subtract(theirs, mine, out=np.zeros(len(mine)), where=mine != theirs)
