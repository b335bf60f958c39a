"""Times to a target relative to the best arm's."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def performance_ratios(times: Sequence[Sequence[float]]) -> NDArray[np.floating]:
    """Return r = time / the smallest time of any arm on that workload (Dolan & Moré, 2002).

    Args:
        times: (arms, workloads), not negative; infinite where an arm does not reach the target.

    Returns:
        (arms, workloads), at least 1; infinite where an arm does not reach the target, for all arms if none does.
    """
    t = np.asarray(times, dtype=float)
    best = np.broadcast_to(t.min(axis=0), t.shape)
    # arms that are there before the first step are all best
    ratios = np.where(t == best, 1.0, np.inf)
    np.divide(t, best, out=ratios, where=(t > best) & (best > 0))
    return np.where(np.isfinite(t), ratios, np.inf)
