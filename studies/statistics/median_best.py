"""The best score that so many trials find in half of all cases."""

from collections.abc import Sequence

import numpy as np

#: How far from 1 / 2 a share may be that is 1 / 2 in exact arithmetic.
ROUNDING = 1e-9


def median_best(scores: Sequence[float], k: int) -> float:
    """Return the median, over all ways to choose k of the n trials, of the smallest score among them.

    The first v_(i), ascending, with C(n - i, k) / C(n, k) <= 1 / 2: at most half of the choices miss the first i.

    Args:
        scores: One a trial, smaller being better; infinite where it diverged.
        k: Trials chosen, 1 to n.
    """
    v, n = np.sort(np.asarray(scores, dtype=float)), len(scores)
    i = np.arange(n)
    # C(n - i - 1, k) / C(n - i, k), so that no binomial coefficient overflows
    missed = np.cumprod(np.maximum(0.0, (n - i - k) / (n - i)))
    return float(v[np.argmax(missed <= 0.5 + ROUNDING)])
