"""The interquartile mean."""

from collections.abc import Sequence

from scipy import stats


def iqm(values: Sequence[float]) -> float:
    """Return the mean of what is left when a quarter of the values is cut off at each end (Agarwal et al., 2021).

    Of n values floor(n / 4) are cut at each end, so fewer than four are all kept.

    Args:
        values: At least one number; infinite ones make it infinite unless they are cut off.

    Example:
        >>> iqm([1.0, 2.0, 4.0, 100.0])
        3.0
    """
    return float(stats.trim_mean(values, 0.25))
