"""Performance profiles of the times to a target over several workloads, and their score."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

#: Upper limit of the area under the profile, as in AlgoPerf.
R_MAX = 4.0


def performance_ratios(times: Sequence[Sequence[float]]) -> NDArray[np.floating]:
    """Return r = time / the smallest time of any arm on that workload (Dolan & Moré, 2002).

    Args:
        times: (arms, workloads), not negative; infinite where an arm does not reach the target.

    Returns:
        (arms, workloads), at least 1; infinite where an arm does not reach the target, for all arms if none does.
    """
    t = np.asarray(times, dtype=float)
    best = np.broadcast_to(t.min(axis=0), t.shape)
    # arms that reach the target before the first step are all best
    ratios = np.where(t == best, 1.0, np.inf)
    np.divide(t, best, out=ratios, where=(t > best) & (best > 0))
    return np.where(np.isfinite(t), ratios, np.inf)


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


def profile_score(times: Sequence[Sequence[float]], r_max: float = R_MAX) -> NDArray[np.floating]:
    """Return the score of each arm's performance profile, between 0 and 1 (Dahl et al., 2023).

    B = mean over workloads of max(0, r_max - r) / (r_max - 1): the integral of the profile from 1 to r_max, divided by
    r_max - 1, in closed form.
    A workload on which no arm reaches the target contributes 0 to every arm.

    Args:
        times: Times to the target, (arms, workloads); infinite where an arm does not reach it.
        r_max: Above 1; a ratio of at least r_max contributes 0.

    Returns:
        (arms,).
    """
    r = performance_ratios(times)
    return np.mean(np.maximum(0.0, r_max - r) / (r_max - 1.0), axis=1)
