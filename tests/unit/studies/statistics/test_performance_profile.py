import math

import numpy as np
import pytest

from studies.statistics.performance_profile import performance_profile

TIMES = [[10.0, 300.0, math.inf, 8.0], [40.0, 100.0, math.inf, 4.0]]


def test_by_hand() -> None:
    # ratios 1, 3, inf, 2 and 4, 1, inf, 1
    found = performance_profile(TIMES, [1.0, 2.0, 3.9, 4.0, 1e9])
    assert found.tolist() == [[0.25, 0.5, 0.75, 0.75, 0.75], [0.5, 0.5, 0.5, 0.75, 0.75]]


def test_agrees_with_the_definition_on_random_times() -> None:
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


def test_what_nobody_reaches_counts_for_nobody_and_not_out_of_the_number() -> None:
    assert performance_profile([[math.inf, 1.0]], [1.0, 100.0]).tolist() == [[0.5, 0.5]]
    assert performance_profile([[math.inf]] * 2, [1.0]).tolist() == [[0.0], [0.0]]
