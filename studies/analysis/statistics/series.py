"""The curves of several seeds as one: their mean, with a band from the lowest to the highest."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Band:
    """Several curves as one, each array (points,); NaN at points where no curve has a value.

    Args:
        center: Mean, or geometric mean.
        low: Smallest value.
        high: Largest value.
    """

    center: NDArray[np.floating]
    low: NDArray[np.floating]
    high: NDArray[np.floating]


def minmax_band(values: NDArray[np.floating], *, geometric: bool) -> Band:
    """Return mean, lowest and highest at every point, over the curves that have a value there.

    Args:
        values: (curves, points); infinite and NaN ones are left out, and without a logarithm from a geometric mean.
        geometric: Whether the mean is 10 to the mean of log10, as in the paper's figures.
    """
    usable = np.isfinite(values) & (values > 0) if geometric else np.isfinite(values)
    masked = np.ma.masked_array(values, ~usable)
    center = 10.0 ** np.ma.log10(masked).mean(axis=0) if geometric else masked.mean(axis=0)
    return Band(center=_filled(center), low=_filled(masked.min(axis=0)), high=_filled(masked.max(axis=0)))


def _filled(values: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)
