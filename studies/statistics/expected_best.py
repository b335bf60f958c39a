"""The best score that so many trials can be expected to find."""

import math
from collections.abc import Sequence

import numpy as np


def expected_best(scores: Sequence[float], k: int) -> float:
    """Return the mean, over all ways to choose k of the n trials, of the smallest score among them.

    sum over i <= n - k + 1 of v_(i) C(n - i, k - 1) / C(n, k), v ascending; unbiased for a search of k trials where
    trials are exchangeable, as those of random search and of a shuffled grid (Tang et al., 2020).

    Args:
        scores: One a trial, smaller being better; infinite where it diverged.
        k: Trials chosen, 1 to n.

    Returns:
        Infinite while k is at most the number that diverged; `median_best` says more then.

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
    # fsum is exact, where a product of matrices rounds otherwise from process to process; above the smallest score, so
    # that the mean of equal ones is that score
    return float(v[0] + math.fsum(((v[: n - k + 1] - v[0]) * weights).tolist()))
