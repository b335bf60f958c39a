import math
from statistics import median

from hypothesis import given
from hypothesis import strategies as st

from studies.statistics.steps_to_target import steps_to_target

VALUES = st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0, math.inf, math.nan]), min_size=1, max_size=20)


@given(VALUES, st.sampled_from([0.0, 0.5, 1.0]))
def test_is_the_first_step_that_is_good_enough(values: list[float], target: float) -> None:
    steps = range(10, 10 + len(values))
    found = steps_to_target(steps, values, target)
    reached = [step for step, value in zip(steps, values, strict=True) if value <= target]
    assert found == (reached[0] if reached else math.inf)


@given(VALUES)
def test_a_harder_target_takes_longer(values: list[float]) -> None:
    steps = range(len(values))
    assert steps_to_target(steps, values, 0.0) >= steps_to_target(steps, values, 0.5)


def test_what_rises_again_was_there() -> None:
    assert steps_to_target([1, 2, 3], [5.0, 1.0, 9.0], 1.0) == 2.0


def test_where_half_the_seeds_never_reach_it_the_median_is_infinite() -> None:
    runs = [[3.0, 1.0], [3.0, 1.0], [3.0, 2.0], [math.nan, math.inf]]
    assert median(steps_to_target([10, 20], run, 1.0) for run in runs) == math.inf
    assert median(steps_to_target([10, 20], run, 1.0) for run in runs[:3]) == 20.0
