"""Extension of search ranges: tenfold on the side where the best setting lies at the edge."""

import math
import sys
from collections.abc import Mapping

from studies.spec.study import SearchRange

#: A range is extended at most this often; the report warns if the best setting is still at an edge then.
MAX_EXTENSIONS = 2


def extension_trials(trials: int) -> int:
    """Return how many trials an extension of the range adds.

    Args:
        trials: Trials of the search before any extension.
    """
    return math.ceil(trials / 3)


def extend_ranges(
    ranges: Mapping[str, SearchRange], trials: int, best: Mapping[str, float]
) -> tuple[dict[str, SearchRange], dict[str, SearchRange]] | None:
    """Return the extended ranges and the part of each that is new; None if the best setting is away from every edge.

    Args:
        ranges: The searched ranges.
        trials: Number of trials in these ranges so far.
        best: The best setting.
    """
    extended_ranges: dict[str, SearchRange] = dict(ranges)
    new_ranges: dict[str, SearchRange] = dict(ranges)
    for name, searched in ranges.items():
        if not searched.log:
            continue
        low, high, value = (math.log10(number) for number in (searched.low, searched.high, best[name]))
        tolerance = (high - low) / trials
        lower, higher = _extend_below(searched), _extend_above(searched)
        if value - low <= tolerance and lower is not None:
            extended_ranges[name] = lower
            new_ranges[name] = lower.model_copy(update={"high": searched.low})
        elif high - value <= tolerance and higher is not None:
            extended_ranges[name] = higher
            new_ranges[name] = higher.model_copy(update={"low": searched.high})
    return None if extended_ranges == ranges else (extended_ranges, new_ranges)


def max_extensions(ranges: Mapping[str, SearchRange]) -> int:
    """Return how often ranges can be extended at most, wherever the best settings lie.

    Args:
        ranges: The searched ranges.
    """
    return min(MAX_EXTENSIONS, sum(_possible_extensions(searched) for searched in ranges.values() if searched.log))


def _possible_extensions(searched: SearchRange) -> int:
    """Return how often a range can be extended on both sides together, up to `MAX_EXTENSIONS`."""
    extensions = 0
    for extend in (_extend_below, _extend_above):
        extended = extend(searched)
        while extended is not None and extensions < MAX_EXTENSIONS:
            extensions += 1
            extended = extend(extended)
    return extensions


# a range is not extended past its natural bound, nor past the bounds of floats
def _extend_below(searched: SearchRange) -> SearchRange | None:
    low = searched.low / 10
    return searched.model_copy(update={"low": low}) if low >= (searched.at_least or sys.float_info.min) else None


def _extend_above(searched: SearchRange) -> SearchRange | None:
    high = searched.high * 10
    return searched.model_copy(update={"high": high}) if high <= (searched.at_most or sys.float_info.max) else None
