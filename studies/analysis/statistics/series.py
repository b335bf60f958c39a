"""Recorded series of one or several runs: steps to a target, trailing means, smoothing, a band over seeds."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

#: Standard deviation of the kernel in points of a curve: a hundredth of a run with all its 200 points.
SMOOTHING_SIGMA = 2.0


def steps_to_target(steps: Sequence[int], values: Sequence[float], target: float) -> float:
    """Return the first recorded step whose value is at most the target, infinite where none is.

    A target that is never reached stays infinite, also in a median over seeds: nothing is imputed.

    Args:
        steps: Rising.
        values: One a step, smaller being better; NaN reaches nothing.
        target: On the scale of the values.

    Example:
        >>> steps_to_target([10, 20, 30], [3.0, 0.5, 0.7], 1.0), steps_to_target([10], [3.0], 1.0)
        (20.0, inf)
    """
    return float(next((step for step, value in zip(steps, values, strict=True) if value <= target), math.inf))


def trailing_means(
    steps: Sequence[int], values: Sequence[float], window: int
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the steps that end a whole window, and the mean of the points in each window.

    Args:
        steps: Rising, counting from 1.
        values: One a step, each standing for the steps since the one before; NaN where there is none.
        window: In steps; 1 leaves the series unchanged.

    Example:
        >>> trailing_means([1, 2, 3, 4], [8.0, 4.0, 2.0, 0.0], 2)
        ((2, 3, 4), (6.0, 3.0, 1.0))
    """
    indices = [index for index, step in enumerate(steps) if step >= window]
    starts = [bisect_right(steps, steps[index] - window) for index in indices]
    means = (fmean(values[start : index + 1]) for start, index in zip(starts, indices, strict=True))
    return tuple(steps[index] for index in indices), tuple(means)


def log_smoothing(values: NDArray[np.floating], floor: float, sigma: float = SMOOTHING_SIGMA) -> NDArray[np.floating]:
    """Return 10 to the Gaussian-weighted mean of log10(max(value, floor)) around each point.

    As the figures of Rolinek & Martius (2018) are smoothed; the kernel is our choice, cut off at four standard
    deviations. Points that have no logarithm, and points beyond the ends of a curve, have no weight.

    Args:
        values: (curves, points) or (points,), evenly spaced.
        floor: Smaller values count as it, so that 0 has a logarithm; 0 for none.
        sigma: The kernel's standard deviation in points; 0 leaves the values unchanged except for the floor.

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


@dataclass(frozen=True, kw_only=True)
class Band:
    """The curves of several seeds as one, each array (points,); NaN at points where no curve has a value.

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

    As in the figures of Rolinek & Martius (2018).

    Args:
        values: (curves, points); infinite and NaN values are left out, from a geometric mean also those not positive.
        geometric: Whether the mean is 10 to the mean of log10.
    """
    usable = np.isfinite(values) & (values > 0) if geometric else np.isfinite(values)
    masked = np.ma.masked_array(values, ~usable)
    center = 10.0 ** np.ma.log10(masked).mean(axis=0) if geometric else masked.mean(axis=0)
    return Band(center=_filled(center), low=_filled(masked.min(axis=0)), high=_filled(masked.max(axis=0)))


def _filled(values: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)
