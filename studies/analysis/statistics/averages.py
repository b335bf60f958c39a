"""Averages of a quantity over runs: geometric mean, interquartile mean."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


def geometric_mean(values: Sequence[float], floor: float) -> float:
    """Return the geometric mean, 10 to the mean of log10(max(value, floor)).

    Args:
        values: At least one number, none of them negative; infinity gives infinity.
        floor: Positive; smaller values count as the floor, so that 0 has a logarithm.
    """
    return float(10.0 ** np.mean(np.log10(np.maximum(values, floor))))


def interquartile_mean(values: ArrayLike) -> NDArray[np.floating]:
    """Return the mean without the lowest and the highest quarter of the values (Agarwal et al., 2021).

    Of n values floor(n / 4) are cut at each end, so that of fewer than four all are kept.

    Args:
        values: (..., n), n at least 1; infinite ones make the mean infinite unless they are cut off.

    Returns:
        (...,), over the last axis.

    Example:
        >>> float(interquartile_mean([1.0, 2.0, 4.0, 100.0]))
        3.0
    """
    return np.asarray(stats.trim_mean(np.asarray(values, dtype=float), 0.25, axis=-1))
