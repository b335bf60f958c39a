"""Performance profiles, against published values, simulation and brute force."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.analysis.statistics.profiles import R_MAX, performance_profile, performance_ratios, profile_score

PERFORMANCE_PROFILE_TIMES = [[10.0, 300.0, math.inf, 8.0], [40.0, 100.0, math.inf, 4.0]]


def test_performance_profile_by_hand() -> None:
    # ratios 1, 3, inf, 2 and 4, 1, inf, 1
    found = performance_profile(PERFORMANCE_PROFILE_TIMES, [1.0, 2.0, 3.9, 4.0, 1e9])
    assert found.tolist() == [[0.25, 0.5, 0.75, 0.75, 0.75], [0.5, 0.5, 0.5, 0.75, 0.75]]


def test_performance_profile_agrees_with_the_definition_on_random_times() -> None:
    generator = np.random.default_rng(0)
    times, factors = generator.exponential(size=(5, 7)), np.linspace(1, 10, 40)
    times[generator.random(times.shape) < 0.3] = math.inf
    found = performance_profile(times.tolist(), factors.tolist())
    for arm in range(5):
        for place, tau in enumerate(factors):
            # Dolan and More (2002): the share of problems p with r_{p,s} <= tau
            solved = [times[arm, p] <= tau * times[:, p].min() and math.isfinite(times[arm, p]) for p in range(7)]
            assert found[arm, place] == pytest.approx(sum(solved) / 7)
    assert (np.diff(found, axis=1) >= 0).all()


def test_performance_profile_what_nobody_reaches_counts_for_nobody_and_not_out_of_the_number() -> None:
    assert performance_profile([[math.inf, 1.0]], [1.0, 100.0]).tolist() == [[0.5, 0.5]]
    assert performance_profile([[math.inf]] * 2, [1.0]).tolist() == [[0.0], [0.0]]


PERFORMANCE_RATIOS_TIMES = st.integers(1, 5).flatmap(
    lambda workloads: st.lists(
        st.lists(st.sampled_from([0.0, 1.0, 3.0, 250.0, math.inf]), min_size=workloads, max_size=workloads),
        min_size=1,
        max_size=5,
    )
)


def test_performance_ratios_by_hand() -> None:
    found = performance_ratios([[10.0, 300.0, math.inf], [40.0, 100.0, math.inf], [math.inf, 100.0, math.inf]])
    assert found.tolist() == [[1.0, 3.0, math.inf], [4.0, 1.0, math.inf], [math.inf, 1.0, math.inf]]


def test_performance_ratios_a_target_that_is_reached_before_the_first_step_leaves_no_finite_ratio_to_others() -> None:
    assert performance_ratios([[0.0, 0.0], [0.0, 5.0]]).tolist() == [[1.0, 1.0], [1.0, math.inf]]


@given(PERFORMANCE_RATIOS_TIMES)
def test_performance_ratios_some_arm_is_best_wherever_any_reaches_the_target(times: list[list[float]]) -> None:
    found = performance_ratios(times)
    assert (found >= 1).all()
    for workload in range(found.shape[1]):
        reached = any(math.isfinite(arm[workload]) for arm in times)
        assert found[:, workload].min() == (1.0 if reached else math.inf)
        assert [math.isinf(arm[workload]) for arm in times] <= [math.isinf(r) for r in found[:, workload]]


@given(PERFORMANCE_RATIOS_TIMES)
def test_performance_ratios_does_not_depend_on_the_unit_or_the_order(times: list[list[float]]) -> None:
    found = performance_ratios(times)
    assert performance_ratios([[60 * t for t in arm] for arm in times]) == pytest.approx(found)
    assert performance_ratios(times[::-1])[::-1] == pytest.approx(found)


@pytest.mark.parametrize("r_max", [1.5, R_MAX, 10.0])
def test_profile_score_is_the_area_under_the_profile(r_max: float) -> None:
    generator = np.random.default_rng(0)
    times = generator.exponential(size=(6, 9))
    times[generator.random(times.shape) < 0.2] = math.inf
    edges = np.linspace(1.0, r_max, 40_001)
    middles = (edges[1:] + edges[:-1]) / 2
    area = performance_profile(times.tolist(), middles.tolist()).mean(axis=1)
    assert profile_score(times.tolist(), r_max) == pytest.approx(area, abs=2e-4)


def test_profile_score_by_hand() -> None:
    # ratios 1, 2.5, inf and 4, 1, inf
    assert profile_score([[1.0, 5.0, math.inf], [4.0, 2.0, math.inf]]) == pytest.approx([1.5 / 3, 1 / 3])


@given(st.lists(st.floats(1.0, 1e6) | st.just(math.inf), min_size=1, max_size=8))
def test_profile_score_is_a_share_and_one_arm_alone_gets_what_it_solves(times: list[float]) -> None:
    (found,) = profile_score([times])
    assert found == pytest.approx(sum(map(math.isfinite, times)) / len(times))


def test_profile_score_nobody_gets_anything_where_all_diverged() -> None:
    assert profile_score([[math.inf], [math.inf]]).tolist() == [0.0, 0.0]
