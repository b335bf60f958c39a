"""How likely a run of one arm is better than a run of another."""

from collections.abc import Sequence

import numpy as np


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
