import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.statistics.iqm import iqm

#: Four tasks, one a column, and five runs, with what rliable's definition gives by hand.
MATRIX = [
    [0.0, 1.0, 2.0, 30.0],
    [0.1, 1.1, 2.1, 31.0],
    [0.2, 1.2, 2.2, 32.0],
    [0.3, 1.3, 2.3, 33.0],
    [0.4, 1.4, 2.4, 34.0],
]


def published(values: list[float]) -> float:
    """Agarwal et al. (2021), section 4.3: discard the bottom and top 25 % of the runs, and average the rest."""
    cut = int(0.25 * len(values))
    kept = sorted(values)[cut : len(values) - cut]
    return math.fsum(kept) / len(kept)


def test_on_a_fixed_matrix() -> None:
    # of twenty runs the five of the first task and the five of the last are cut
    pooled = [value for row in MATRIX for value in row]
    assert float(iqm(pooled)) == pytest.approx((1.2 + 2.2) / 2)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=25))
def test_agrees_with_the_published_definition_in_any_order(values: list[float]) -> None:
    assert float(iqm(values)) == pytest.approx(published(values), abs=1e-9)
    assert float(iqm(values[::-1])) == pytest.approx(published(values), abs=1e-9)


def test_is_taken_over_the_last_axis() -> None:
    assert iqm(np.array(MATRIX)).tolist() == pytest.approx([published(row) for row in MATRIX])


def test_one_workload_that_diverged_of_four_is_cut_off_and_of_three_is_not() -> None:
    assert iqm([0.0, 1.0, 3.0, math.inf]) == 2.0
    assert iqm([0.0, 1.0, math.inf]) == math.inf
