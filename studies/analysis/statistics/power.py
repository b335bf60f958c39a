"""Power of a paired comparison: of a t-test, the smallest difference it can detect, the seeds that it needs."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import special, stats

#: Larger estimates are not reported.
MAX_SEEDS = 10_000
#: The standard deviation needs this many seeds.
MIN_SEEDS = 2


def paired_t_power(effect: float, n: int, level: float) -> float:
    """Return the probability that a two-sided paired t-test finds a mean difference with its true sign.

    P(T > t(1 - level / 2, n - 1)), T noncentral t with n - 1 degrees of freedom and shift effect sqrt(n)
    (Cohen, 1988, chapter 2).

    Args:
        effect: The true mean difference in standard deviations of the differences, not negative.
        n: Number of pairs, at least two.
        level: Significance level, between 0 and 1.

    Example:
        >>> round(paired_t_power(0.5, 34, 0.05), 2)
        0.81
    """
    critical = float(special.stdtrit(n - 1, 1 - level / 2))
    # for large shifts scipy's noncentral t is slow and can underflow to NaN, and the power is 1 anyway
    shift = min(effect * math.sqrt(n), critical + 20.0)
    return float(stats.nct.sf(critical, n - 1, shift))


def minimum_detectable_effect(differences: Sequence[float], level: float, power: float = 0.8) -> float | None:
    """Return the true mean difference that a paired t-test finds with probability `power`, at this spread.

    s d, with s the standard deviation of the differences and d the effect whose `paired_t_power(d, n, level)` is
    `power` (Cohen, 1988, chapter 2). The inverse of `seeds_needed`.

    Args:
        differences: Finite paired differences observed so far; their mean does not matter.
        level: Significance level of this test, after any correction for several.
        power: Probability to find the difference, more than half of `level` and less than 1.

    Returns:
        Not negative; None for fewer than two differences, or fewer than a two-sided sign-flip test needs to reach the
        level at all, 2 / 2^n <= level.
    """
    n = len(differences)
    if n < MIN_SEEDS or 2.0 ** (1 - n) > level:
        return None
    critical = float(special.stdtrit(n - 1, 1 - level / 2))
    shift = float(special.nctdtrinc(n - 1, 1 - power, critical))
    return shift / n**0.5 * float(np.std(differences, ddof=1))


def seeds_needed(differences: Sequence[float], level: float, margin: float, power: float = 0.8) -> int | None:
    """Return about how many seeds would decide the comparison, at the mean and the spread observed so far.

    The smaller of two: seeds for a paired t-test at `level` to find the mean difference with probability `power`
    (noncentral t; Cohen, 1988), and never fewer than a two-sided sign-flip test needs to reach the level at all,
    2 / 2^n <= level; and seeds for the 90 % t-interval to lie inside the margin.

    Args:
        differences: Finite paired differences observed so far.
        level: Significance level of this test, after any correction for several.
        margin: Differences within it are a tie.
        power: Probability to find a true difference.

    Returns:
        More than the seeds observed; None for fewer than two differences or where more than `MAX_SEEDS` are needed.
    """
    observed = len(differences)
    if observed < MIN_SEEDS:
        return None
    mean, spread = abs(float(np.mean(differences))), float(np.std(differences, ddof=1))

    def detects_difference(n: int) -> bool:
        if spread == 0:
            return 2.0 ** (1 - n) <= level and mean > 0
        return 2.0 ** (1 - n) <= level and paired_t_power(mean / spread, n, level) >= power

    def shows_tie(n: int) -> bool:
        return mean + float(special.stdtrit(n - 1, 0.95)) * spread / math.sqrt(n) <= margin

    return _smallest(lambda n: detects_difference(n) or shows_tie(n), observed + 1)


def _smallest(is_sufficient: Callable[[int], bool], start: int) -> int | None:
    """Return the smallest sufficient n >= start, if every larger n is sufficient too; None above `MAX_SEEDS`."""
    if is_sufficient(start):
        return start
    low, high = start, 2 * start
    while not is_sufficient(high):
        if high >= MAX_SEEDS:
            return None
        low, high = high, min(2 * high, MAX_SEEDS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if is_sufficient(middle) else (middle, high)
    return high
