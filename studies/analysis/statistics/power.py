"""How many seeds an undecided paired comparison would take."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import special, stats

#: Estimates above this are not worth stating.
MOST_SEEDS = 10_000
#: A spread cannot be estimated from fewer.
FEWEST_SEEDS = 2


def seeds_needed(differences: Sequence[float], level: float, margin: float, power: float = 0.8) -> int | None:
    """Return about how many seeds would decide, if the differences' mean and spread stay as observed.

    The smaller of two: seeds for a paired t-test at `level` to find the mean difference with probability `power`
    (noncentral t; Cohen, 1988), and never fewer than a two-sided sign-flip test needs to reach the level at all,
    2 / 2^n <= level; and seeds for the 90 % t-interval to lie inside the margin.

    Args:
        differences: Finite paired differences observed so far.
        level: Significance level of this test, after any correction for several.
        margin: Differences within it are a tie.
        power: Probability to find a true difference.

    Returns:
        More than the seeds observed; None for fewer than two differences or where more than `MOST_SEEDS` are needed.
    """
    observed = len(differences)
    if observed < FEWEST_SEEDS:
        return None
    mean, spread = abs(float(np.mean(differences))), float(np.std(differences, ddof=1))

    def differs(n: int) -> bool:
        if spread == 0:
            return 2.0 ** (1 - n) <= level and mean > 0
        return 2.0 ** (1 - n) <= level and paired_t_power(mean / spread, n, level) >= power

    def ties(n: int) -> bool:
        return mean + float(special.stdtrit(n - 1, 0.95)) * spread / math.sqrt(n) <= margin

    return _smallest(lambda n: differs(n) or ties(n), observed + 1)


def _smallest(enough: Callable[[int], bool], start: int) -> int | None:
    """Return the smallest n >= start that is enough, where every larger one is enough too."""
    if enough(start):
        return start
    low, high = start, 2 * start
    while not enough(high):
        if high >= MOST_SEEDS:
            return None
        low, high = high, min(2 * high, MOST_SEEDS)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def minimum_detectable_effect(differences: Sequence[float], level: float, power: float = 0.8) -> float | None:
    """Return the true mean difference that a paired t-test finds with probability `power`, at this spread.

    s d, with s the standard deviation of the differences and d the effect whose `paired_t_power(d, n, level)` is
    `power` (Cohen, 1988, chapter 2); `seeds_needed` asks the same the other way round.

    Args:
        differences: Finite paired differences observed so far; their mean does not matter.
        level: Significance level of this test, after any correction for several.
        power: Probability to find the difference, more than half of `level` and less than 1.

    Returns:
        Not negative; None for fewer than two differences, or fewer than a two-sided sign-flip test needs to reach the
        level at all, 2 / 2^n <= level.
    """
    n = len(differences)
    if n < 2 or 2.0 ** (1 - n) > level:
        return None
    critical = float(special.stdtrit(n - 1, 1 - level / 2))
    shift = float(special.nctdtrinc(n - 1, 1 - power, critical))
    return shift / n**0.5 * float(np.std(differences, ddof=1))


def paired_t_power(effect: float, n: int, level: float) -> float:
    """Return the probability that a two-sided paired t-test finds a mean difference, and with its true sign.

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
    # far out scipy's noncentral t is slow and can underflow to NaN, where the answer is certain
    shift = min(effect * math.sqrt(n), critical + 20.0)
    return float(stats.nct.sf(critical, n - 1, shift))
