import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from studies.statistics.performance_profile import performance_profile
from studies.statistics.profile_score import R_MAX, profile_score


@pytest.mark.parametrize("r_max", [1.5, R_MAX, 10.0])
def test_is_the_area_under_the_profile(r_max: float) -> None:
    generator = np.random.default_rng(0)
    times = generator.exponential(size=(6, 9))
    times[generator.random(times.shape) < 0.2] = math.inf
    edges = np.linspace(1.0, r_max, 40_001)
    middles = (edges[1:] + edges[:-1]) / 2
    area = performance_profile(times.tolist(), middles.tolist()).mean(axis=1)
    assert profile_score(times.tolist(), r_max) == pytest.approx(area, abs=2e-4)


def test_by_hand() -> None:
    # ratios 1, 2.5, inf and 4, 1, inf
    assert profile_score([[1.0, 5.0, math.inf], [4.0, 2.0, math.inf]]) == pytest.approx([1.5 / 3, 1 / 3])


@given(st.lists(st.floats(1.0, 1e6) | st.just(math.inf), min_size=1, max_size=8))
def test_is_a_share_and_one_arm_alone_gets_what_it_solves(times: list[float]) -> None:
    (found,) = profile_score([times])
    assert found == pytest.approx(sum(map(math.isfinite, times)) / len(times))


def test_nobody_gets_anything_where_all_diverged() -> None:
    assert profile_score([[math.inf], [math.inf]]).tolist() == [0.0, 0.0]
