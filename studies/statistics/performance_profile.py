"""On which share of the workloads an arm is within a factor of the best."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from studies.statistics.performance_ratios import performance_ratios


def performance_profile(times: Sequence[Sequence[float]], factors: Sequence[float]) -> NDArray[np.floating]:
    """Return rho(tau), the share of workloads whose ratio r to the best arm is at most tau (Dolan & Moré, 2002).

    Args:
        times: Times to the target, (arms, workloads); infinite where an arm does not reach it.
        factors: tau, each finite and at least 1.

    Returns:
        (arms, factors), between 0 and 1.
    """
    r = performance_ratios(times)
    return np.mean(r[:, :, None] <= np.asarray(factors, dtype=float), axis=1)
