"""Means of a series over a number of steps before each of its points."""

from bisect import bisect_right
from collections.abc import Sequence
from statistics import fmean


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
