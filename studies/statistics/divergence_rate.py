"""The share of runs that diverge."""

from scipy import stats


def divergence_rate(diverged: int, runs: int, level: float) -> tuple[float, float, float]:
    """Return the share of runs that diverged, with the lower and the upper end of its confidence interval.

    Wilson's score interval (Wilson, 1927), which has a width at 0 and at 1 too.

    Args:
        diverged: How many diverged.
        runs: Out of so many, at least one.
        level: Coverage, as in 0.95.
    """
    interval = stats.binomtest(diverged, runs).proportion_ci(level, method="wilson")
    return diverged / runs, float(interval.low), float(interval.high)
