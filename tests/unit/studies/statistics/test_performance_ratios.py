import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.statistics.performance_ratios import performance_ratios

TIMES = st.integers(1, 5).flatmap(
    lambda workloads: st.lists(
        st.lists(st.sampled_from([0.0, 1.0, 3.0, 250.0, math.inf]), min_size=workloads, max_size=workloads),
        min_size=1,
        max_size=5,
    )
)


def test_by_hand() -> None:
    found = performance_ratios([[10.0, 300.0, math.inf], [40.0, 100.0, math.inf], [math.inf, 100.0, math.inf]])
    assert found.tolist() == [[1.0, 3.0, math.inf], [4.0, 1.0, math.inf], [math.inf, 1.0, math.inf]]


def test_a_target_that_is_reached_before_the_first_step_leaves_no_finite_ratio_to_others() -> None:
    assert performance_ratios([[0.0, 0.0], [0.0, 5.0]]).tolist() == [[1.0, 1.0], [1.0, math.inf]]


@given(TIMES)
def test_some_arm_is_best_wherever_any_reaches_the_target(times: list[list[float]]) -> None:
    found = performance_ratios(times)
    assert (found >= 1).all()
    for workload in range(found.shape[1]):
        reached = any(math.isfinite(arm[workload]) for arm in times)
        assert found[:, workload].min() == (1.0 if reached else math.inf)
        assert [math.isinf(arm[workload]) for arm in times] <= [math.isinf(r) for r in found[:, workload]]


@given(TIMES)
def test_does_not_depend_on_the_unit_or_the_order(times: list[list[float]]) -> None:
    found = performance_ratios(times)
    assert performance_ratios([[60 * t for t in arm] for arm in times]) == pytest.approx(found)
    assert performance_ratios(times[::-1])[::-1] == pytest.approx(found)
