"""How a range grows, and how often it can."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.search.range_extension import MAX_EXTENSIONS, extend_ranges, max_extensions
from studies.spec.study import SearchRange


def searched(
    low: float, high: float, *, log: bool = True, least: float | None = 0.0, most: float | None = None
) -> SearchRange:
    return SearchRange(low=low, high=high, log=log, at_least=least, at_most=most)


@pytest.mark.parametrize(
    ("ranges", "most"),
    [
        ({}, 0),
        ({"lr": searched(1e-4, 1.0)}, 2),
        ({"momentum": searched(0.1, 0.9, log=False)}, 0),
        ({"lr": searched(1e-4, 1.0, least=1e-4, most=1.0)}, 0),
        ({"lr": searched(1e-4, 1.0, least=1e-5, most=1.0)}, 1),
        ({"lr": searched(1e-4, 1.0, least=1e-5, most=10.0)}, 2),
        ({"lr": searched(1e-4, 1.0, least=1e-4, most=1e9)}, 2),
        ({name: searched(1e-4, 1.0, least=1e-5, most=1.0) for name in ("a", "b", "c")}, 2),
    ],
)
def test_a_range_grows_as_often_as_it_has_room(ranges: dict[str, SearchRange], most: int) -> None:
    assert max_extensions(ranges) == most


@given(
    bounds=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=3),
    sides=st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=MAX_EXTENSIONS, max_size=MAX_EXTENSIONS),
)
def test_no_search_is_extended_oftener_than_it_is_said_to_be(
    bounds: list[tuple[int, int]], sides: list[list[bool]]
) -> None:
    ranges = {
        str(i): searched(1e-4, 1e-2, least=1e-4 / 10**below, most=1e-2 * 10**above)
        for i, (below, above) in enumerate(bounds)
    }
    most, times = max_extensions(ranges), 0
    for side in sides:
        best = {name: each.low if side[int(name)] else each.high for name, each in ranges.items()}
        found = extend_ranges(ranges, 10, best)
        if found is None:
            break
        ranges, times = found[0], times + 1
    assert times <= most
