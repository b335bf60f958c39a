"""The power of the paired t-test, from the noncentral t-distribution."""

import math

from scipy import special, stats


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
