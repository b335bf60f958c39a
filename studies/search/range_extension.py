"""Growing a search's range: tenfold on the side where its best setting lies at the edge."""

import math
import sys
from collections.abc import Mapping

from studies.spec.study import SearchRange

#: A range is extended at most this often; if its best is still at an edge then, the report says so.
MOST_EXTENSIONS = 2


def extension_trials(trials: int) -> int:
    """Return how many trials more an extension of the range has.

    Args:
        trials: Of the search before any extension.
    """
    return math.ceil(trials / 3)


def extended(
    ranges: Mapping[str, SearchRange], trials: int, best: Mapping[str, float]
) -> tuple[dict[str, SearchRange], dict[str, SearchRange]] | None:
    """Return the ranges after an extension, and of each what it opened; None where the best is away from every edge.

    Args:
        ranges: The searched ranges.
        trials: How many trials they had so far.
        best: The best setting.
    """
    whole: dict[str, SearchRange] = dict(ranges)
    opened: dict[str, SearchRange] = dict(ranges)
    for name, searched in ranges.items():
        if not searched.log:
            continue
        bottom, top, at = (math.log10(each) for each in (searched.low, searched.high, best[name]))
        near = (top - bottom) / trials
        lower, higher = _lower(searched), _higher(searched)
        if at - bottom <= near and lower is not None:
            whole[name] = lower
            opened[name] = lower.model_copy(update={"high": searched.low})
        elif top - at <= near and higher is not None:
            whole[name] = higher
            opened[name] = higher.model_copy(update={"low": searched.high})
    return None if whole == ranges else (whole, opened)


def most_extensions(ranges: Mapping[str, SearchRange]) -> int:
    """Return how often ranges can be extended at most, wherever the best settings lie.

    Args:
        ranges: The searched ranges.
    """
    return min(MOST_EXTENSIONS, sum(_sides(searched) for searched in ranges.values() if searched.log))


def _sides(searched: SearchRange) -> int:
    """Return how often a range can grow on either side, none counted beyond `MOST_EXTENSIONS`."""
    found = 0
    for grow in (_lower, _higher):
        following = grow(searched)
        while following is not None and found < MOST_EXTENSIONS:
            found += 1
            following = grow(following)
    return found


# a natural bound that leaves no room on a side closes that side, and so do the floats'
def _lower(searched: SearchRange) -> SearchRange | None:
    low = searched.low / 10
    return searched.model_copy(update={"low": low}) if low >= (searched.at_least or sys.float_info.min) else None


def _higher(searched: SearchRange) -> SearchRange | None:
    high = searched.high * 10
    return searched.model_copy(update={"high": high}) if high <= (searched.at_most or sys.float_info.max) else None
