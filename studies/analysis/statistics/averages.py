"""The interquartile mean."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


def iqm(values: ArrayLike) -> NDArray[np.floating]:
    """Return the mean of what is left when a quarter of the values is cut off at each end (Agarwal et al., 2021).

    Of n values floor(n / 4) are cut at each end, so fewer than four are all kept.

    Args:
        values: (..., n), n at least 1; infinite ones make the mean infinite unless they are cut off.

    Returns:
        (...,), over the last axis.

    Example:
        >>> float(iqm([1.0, 2.0, 4.0, 100.0]))
        3.0
    """
    return np.asarray(stats.trim_mean(np.asarray(values, dtype=float), 0.25, axis=-1))


def probability_of_improvement(mine: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the share of pairs (one of mine, one of theirs) in which mine is smaller, equal ones counting half.

    P(X < Y) + P(X = Y) / 2, the Mann-Whitney statistic over the number of pairs (Agarwal et al., 2021, section 4.3).
    Every run is paired with every other: seeds are not matched.

    Args:
        mine: At least one number, smaller being better; infinite where a run diverged.
        theirs: Likewise.

    Example:
        >>> probability_of_improvement([1.0, 2.0], [2.0, 3.0])
        0.875
    """
    x, y = np.asarray(mine, dtype=float)[:, None], np.asarray(theirs, dtype=float)[None, :]
    return float(np.mean((x < y) + 0.5 * (x == y)))


def geometric_mean(values: Sequence[float], floor: float) -> float:
    """Return 10 to the mean of log10(max(value, floor)).

    Args:
        values: At least one number, none of them negative; infinity gives infinity.
        floor: Positive; smaller values count as it, so that 0 has a logarithm.
    """
    return float(10.0 ** np.mean(np.log10(np.maximum(values, floor))))
