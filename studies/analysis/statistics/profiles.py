"""The area under a performance profile."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from studies.statistics.performance_ratios import performance_ratios

#: Where the area ends, as in AlgoPerf.
R_MAX = 4.0


def profile_score(times: Sequence[Sequence[float]], r_max: float = R_MAX) -> NDArray[np.floating]:
    """Return B = mean over workloads of max(0, r_max - r) / (r_max - 1), each between 0 and 1.

    It is the integral of the performance profile from 1 to r_max over r_max - 1 (Dahl et al., 2023), in closed form.
    A workload on which no arm reaches the target contributes 0 to every arm.

    Args:
        times: Times to the target, (arms, workloads); infinite where an arm does not reach it.
        r_max: Above 1; a ratio from here on counts nothing.

    Returns:
        (arms,).
    """
    r = performance_ratios(times)
    return np.mean(np.maximum(0.0, r_max - r) / (r_max - 1.0), axis=1)
