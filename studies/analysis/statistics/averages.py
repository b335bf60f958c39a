"""The interquartile mean."""

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
