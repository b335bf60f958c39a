import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.statistics.usable_range import usable_range

RATES = [1e-4, 1e-3, 1e-2, 1e-1, 1.0]


def test_is_the_stretch_around_the_best_within_the_tolerance() -> None:
    found = usable_range(RATES, [-1.0, -2.8, -3.0, -2.6, math.inf], 0.5)
    assert found is not None
    assert (found.low, found.high, found.open_below, found.open_above) == (1e-3, 1e-1, False, False)
    assert found.decades == pytest.approx(2.0)


def test_a_stretch_that_is_cut_off_from_the_best_does_not_count() -> None:
    found = usable_range(RATES, [-2.9, math.inf, -3.0, -2.9, -1.0], 0.5)
    assert found is not None
    assert (found.low, found.high) == (1e-2, 1e-1)


def test_is_open_where_nothing_further_out_was_tried() -> None:
    found = usable_range(RATES[:3], [-3.0, -3.0, -3.0], 0.1)
    assert found is not None
    assert (found.open_below, found.open_above, found.decades) == (True, True, pytest.approx(2.0))


def test_one_trial_has_no_width_and_none_that_ended_no_range() -> None:
    found = usable_range([0.1], [-3.0], 0.5)
    assert found is not None
    assert (found.decades, found.open_below, found.open_above) == (0.0, True, True)
    assert usable_range(RATES, [math.inf] * 5, 0.5) is None
    assert usable_range([], [], 0.5) is None


def test_a_value_tried_twice_counts_with_its_worse_score() -> None:
    found = usable_range([0.01, 0.1, 0.1, 1.0], [-3.0, -3.0, math.inf, -3.0], 0.5)
    assert found is not None
    assert (found.low, found.high) == (0.01, 0.01)


@given(
    st.lists(st.tuples(st.sampled_from(RATES), st.floats(-5, 5) | st.just(math.inf)), min_size=1, max_size=12),
    st.floats(0, 3),
)
def test_order_does_not_matter_and_more_tolerance_never_narrows(trials: list[tuple[float, float]], more: float) -> None:
    values, scores = [value for value, _ in trials], [score for _, score in trials]
    found = usable_range(values, scores, 0.5)
    if found is None:
        assert all(map(math.isinf, scores))
        return
    best = min(scores)
    if scores.count(best) == 1:  # of several equally good ones the first is taken
        assert usable_range(values[::-1], scores[::-1], 0.5) == found
    assert any(found.low <= value <= found.high for value, score in trials if score == best)
    wider = usable_range(values, scores, 0.5 + more)
    assert wider is not None
    assert wider.low <= found.low <= found.high <= wider.high
