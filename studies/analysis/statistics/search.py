"""What a search of hyperparameters found: expected and median best, break-even, search luck, usable range."""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Rank of the trial that the best one is compared with, counting from 1.
LUCK_RANK = 3
#: Tolerance for a share that is 1 / 2 in exact arithmetic.
ROUNDING = 1e-9


def expected_best(scores: Sequence[float], k: int) -> float:
    """Return the mean, over all ways to choose k of the n trials, of the smallest score among them.

    sum over i <= n - k + 1 of v_(i) C(n - i, k - 1) / C(n, k), v ascending; unbiased for a search of k trials where
    trials are exchangeable, as those of random search and of a shuffled grid (Tang et al., 2020).

    Args:
        scores: One a trial, smaller being better; infinite where it diverged.
        k: Trials chosen, 1 to n.

    Returns:
        Infinite while k is at most the number of trials that diverged; `median_best` is informative there.

    Example:
        >>> round(expected_best([1.0, 2.0, 3.0], 2), 3)
        1.333
    """
    v, n = np.sort(np.asarray(scores, dtype=float)), len(scores)
    if math.isinf(v[n - k]):
        return math.inf
    i = np.arange(1, n - k + 1)
    # C(n - i - 1, k - 1) / C(n - i, k - 1), so that no binomial coefficient overflows
    weights = k / n * np.cumprod(np.concatenate([[1.0], (n - i - k + 1) / (n - i)]))
    # fsum is exact, while a matrix product may round differently in another process; sums are relative to the smallest
    # score, so that the mean of equal scores is exactly that score
    return float(v[0] + math.fsum(((v[: n - k + 1] - v[0]) * weights).tolist()))


def median_best(scores: Sequence[float], k: int) -> float:
    """Return the median, over all ways to choose k of the n trials, of the smallest score among them.

    The first v_(i), ascending, with C(n - i, k) / C(n, k) <= 1 / 2: at most half of the choices miss the first i. The
    distribution is that of `expected_best` (Tang et al., 2020).

    Args:
        scores: One a trial, smaller being better; infinite where it diverged.
        k: Trials chosen, 1 to n.
    """
    v, n = np.sort(np.asarray(scores, dtype=float)), len(scores)
    i = np.arange(n)
    # C(n - i - 1, k) / C(n - i, k), so that no binomial coefficient overflows
    missed = np.cumprod(np.maximum(0.0, (n - i - k) / (n - i)))
    return float(v[np.argmax(missed <= 0.5 + ROUNDING)])


def break_even(scores: Sequence[float], fixed: float) -> int | None:
    """Return the smallest k whose `expected_best` is at most the fixed arm's score, None if no k's is.

    Args:
        scores: One a trial of the search, smaller being better; infinite where it diverged. Exchangeable, as for
            `expected_best`.
        fixed: Score of the fixed arm's single trial, on the same search seeds; infinite where it diverged.
    """
    # the expected best never rises with k
    k = 1 + bisect_left(range(1, len(scores) + 1), x=True, key=lambda k: expected_best(scores, k) <= fixed)
    return k if k <= len(scores) else None


def search_luck(scores: Sequence[float]) -> float:
    """Return by how much the third best trial is worse than the best, infinite with fewer trials.

    A yardstick, not a test, and of our own: two random searches of the same optimizer choose settings that differ by
    more than the sum of their lucks in a few per cent of all cases, as tests/integration/test_same_optimizer.py
    measures. It is too small for a search that closes in on its best (TPE), and has no meaning for a grid.

    Args:
        scores: One a trial, smaller being better; infinite where it diverged.

    Example:
        >>> search_luck([-1.0, -3.0, -2.5, -2.75])
        0.5
    """
    third = sorted(scores)[LUCK_RANK - 1] if len(scores) >= LUCK_RANK else math.inf
    return third - min(scores) if math.isfinite(third) else math.inf


@dataclass(frozen=True, kw_only=True)
class UsableRange:
    """Neighbouring values of a hyperparameter that all score about as well as the best, which is one of them.

    Args:
        low: Smallest value tried in the range.
        high: Largest value tried in the range.
        open_below: Whether no smaller value was tried, so that the range may extend further.
        open_above: Whether no larger value was tried.
    """

    low: float
    high: float
    open_below: bool
    open_above: bool

    @property
    def decades(self) -> float:
        """log10(high / low), without the gaps to the next values tried."""
        return math.log10(self.high / self.low)


def usable_range(values: Sequence[float], scores: Sequence[float], tolerance: float) -> UsableRange | None:
    """Return the range of values around the best that score within a tolerance of it; None if every trial diverged.

    Nothing is interpolated: values between two usable neighbours count as usable, values beyond the last one do not.
    A value tried more than once counts with its worst score, except that the best score is that of all trials.

    Args:
        values: Of the hyperparameter, positive, one a trial.
        scores: On the comparison scale, one a trial, smaller being better; infinite where it diverged.
        tolerance: By how much a score may be worse than the best, on the same scale.

    Example:
        >>> usable = usable_range([1e-3, 1e-2, 1e-1, 1.0], [-1.0, -3.0, -2.9, math.inf], 0.5)
        >>> usable.low, usable.high, usable.decades
        (0.01, 0.1, 1.0)
    """
    best = min(scores, default=math.inf)
    if math.isinf(best):
        return None
    worst: dict[float, float] = {}
    for value, score in zip(values, scores, strict=True):
        worst[value] = max(score, worst.get(value, -math.inf))
    tried = sorted(worst)
    usable = [worst[value] <= best + tolerance for value in tried]
    center = tried.index(values[scores.index(best)])
    low = high = center
    while low > 0 and usable[low - 1]:
        low -= 1
    while high < len(tried) - 1 and usable[high + 1]:
        high += 1
    return UsableRange(low=tried[low], high=tried[high], open_below=low == 0, open_above=high == len(tried) - 1)
