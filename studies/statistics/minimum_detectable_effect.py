"""The smallest difference that a paired comparison of so many seeds can be expected to find."""

from collections.abc import Sequence

import numpy as np
from scipy import special


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
