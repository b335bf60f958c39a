"""The curves of several seeds as one: their mean, with a band from the lowest to the highest."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


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


def trailing_means(
    steps: Sequence[int], values: Sequence[float], window: int
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the steps that have a whole window before them, and the mean of the points in each one's window.

    Args:
        steps: Rising, counting from 1.
        values: One a step, each standing for the steps since the one before; NaN where there is none.
        window: In steps; one leaves the series as it is.

    Example:
        >>> trailing_means([1, 2, 3, 4], [8.0, 4.0, 2.0, 0.0], 2)
        ((2, 3, 4), (6.0, 3.0, 1.0))
    """
    places = [place for place, step in enumerate(steps) if step >= window]
    firsts = [bisect_right(steps, steps[place] - window) for place in places]
    means = (fmean(values[first : place + 1]) for first, place in zip(firsts, places, strict=True))
    return tuple(steps[place] for place in places), tuple(means)


def steps_to_target(steps: Sequence[int], values: Sequence[float], target: float) -> float:
    """Return the first recorded step whose value is at most the target, infinite where none is.

    What is never reached stays infinite, also in a median over seeds: nothing is put in its place.

    Args:
        steps: Rising.
        values: One a step, smaller being better; NaN reaches nothing.
        target: On the scale of the values.

    Example:
        >>> steps_to_target([10, 20, 30], [3.0, 0.5, 0.7], 1.0), steps_to_target([10], [3.0], 1.0)
        (20.0, inf)
    """
    return float(next((step for step, value in zip(steps, values, strict=True) if value <= target), math.inf))
