"""Smoothing of curves in the logarithm, as in the paper's figures."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: The kernel's standard deviation in points of a curve: a hundredth of a run that has all its 200 points.
SIGMA = 2.0


def log_smoothing(values: NDArray[np.floating], floor: float, sigma: float = SIGMA) -> NDArray[np.floating]:
    """Return 10 to the Gaussian-weighted mean of log10(max(value, floor)) around each point.

    The kernel ends at four standard deviations. Points that have no logarithm, and points beyond the ends of a curve,
    have no weight.

    Args:
        values: (curves, points) or (points,), evenly spaced.
        floor: Smaller values count as it, so that 0 has a logarithm; 0 for none.
        sigma: The kernel's standard deviation in points; 0 leaves the values as they are, but for the floor.

    Returns:
        The same shape; NaN where a value itself has no logarithm, being infinite, NaN, or 0 or less without a floor.
    """
    raised = np.maximum(values, floor)
    usable = np.isfinite(raised) & (raised > 0)
    logs = np.log10(np.where(usable, raised, 1.0))
    if sigma > 0:
        weights = ndimage.gaussian_filter1d(usable.astype(float), sigma, mode="constant")
        sums = ndimage.gaussian_filter1d(logs, sigma, mode="constant")
        logs = sums / np.where(usable, weights, 1.0)
    return np.where(usable, 10.0**logs, np.nan)
