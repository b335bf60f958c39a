"""How wide the range of a hyperparameter is in which an arm does about as well as at its best."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class UsableRange:
    """A stretch of neighbouring trials that are all usable, the best among them.

    Args:
        low: Smallest value tried in it.
        high: Largest value tried in it.
        open_below: Whether nothing smaller was tried, so that it may reach further.
        open_above: Whether nothing larger was tried.
    """

    low: float
    high: float
    open_below: bool
    open_above: bool

    @property
    def decades(self) -> float:
        """log10(high / low): what is known to be usable; the gaps to the next values tried are not counted."""
        return math.log10(self.high / self.low)


def usable_range(values: Sequence[float], scores: Sequence[float], tolerance: float) -> UsableRange | None:
    """Return the values around the best that score within a tolerance of it, None where every trial diverged.

    Nothing is interpolated: between two usable neighbours all is taken as usable, and beyond the last one nothing.
    A value tried more than once counts with its worst score, except that the best score is that of all trials.

    Args:
        values: Of the hyperparameter, positive, one a trial.
        scores: On the comparison scale, one a trial, smaller being better; infinite where it diverged.
        tolerance: By how much a score may be worse than the best, on the same scale.

    Example:
        >>> found = usable_range([1e-3, 1e-2, 1e-1, 1.0], [-1.0, -3.0, -2.9, math.inf], 0.5)
        >>> found.low, found.high, found.decades
        (0.01, 0.1, 1.0)
    """
    best = min(scores, default=math.inf)
    if math.isinf(best):
        return None
    worst: dict[float, float] = {}
    for value, score in zip(values, scores, strict=True):
        worst[value] = max(score, worst.get(value, -math.inf))
    tried = sorted(worst)
    usable = [worst[value] <= best + tolerance for value in tried]
    center = tried.index(values[scores.index(best)])
    low = high = center
    while low > 0 and usable[low - 1]:
        low -= 1
    while high < len(tried) - 1 and usable[high + 1]:
        high += 1
    return UsableRange(low=tried[low], high=tried[high], open_below=low == 0, open_above=high == len(tried) - 1)
