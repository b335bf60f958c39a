"""Which packs train soonest by what was measured."""

from dataclasses import replace

import pytest

from studies.planning.throughput import MIN_COMPILE_SECONDS, Speed, Subject, best_fit, fastest, shrink_to_runs
from studies.records.rows import Mode
from studies.spec.parameters import Precision

SPEEDS = (
    Speed(lanes=1, mode=Mode.EAGER, seconds=5.0),
    Speed(lanes=8, mode=Mode.EAGER, seconds=20.0),
    Speed(lanes=2, mode=Mode.COMPILED, seconds=3.0, compile_seconds=10.0),
    Speed(lanes=8, mode=Mode.COMPILED, seconds=6.0, compile_seconds=10.0),
)


def test_the_fastest_takes_the_least_time_a_lane() -> None:
    assert fastest(SPEEDS) == SPEEDS[3]
    assert fastest(SPEEDS[:2]) == SPEEDS[1]


@pytest.mark.parametrize(("runs", "lanes", "mode"), [(1, 8, Mode.EAGER), (2, 2, Mode.COMPILED), (5, 8, Mode.COMPILED)])
def test_dead_lanes_of_a_compiled_step_cost_as_much_as_others(runs: int, lanes: int, mode: Mode) -> None:
    found = best_fit(SPEEDS, runs)
    assert (found.lanes, found.mode) == (lanes, mode)


@pytest.mark.parametrize(("runs", "lanes"), [(8, 8), (5, 8), (4, 4), (3, 4), (2, 2), (1, 1)])
def test_a_long_pack_gets_a_step_of_its_own_width(runs: int, lanes: int) -> None:
    found = shrink_to_runs(SPEEDS[3], runs, 10**6)
    assert (found.lanes, found.lane_seconds, found.mode) == (lanes, SPEEDS[3].lane_seconds, Mode.COMPILED)


def test_a_narrower_step_is_not_compiled_where_that_takes_longer_than_it_saves() -> None:
    steps = 4  # of 3 s less each: 12 s
    assert shrink_to_runs(SPEEDS[3], 4, steps).lanes == 4
    assert shrink_to_runs(replace(SPEEDS[3], compile_seconds=13.0), 4, steps).lanes == 8
    assert (
        shrink_to_runs(replace(SPEEDS[3], compile_seconds=0.0), 4, 10**6).lanes == 8
    )  # it was there: who knows how long it takes
    assert shrink_to_runs(replace(SPEEDS[3], compile_seconds=1.0, seconds=MIN_COMPILE_SECONDS / 3), 4, steps).lanes == 8
    assert shrink_to_runs(SPEEDS[1], 4, 10**6) == SPEEDS[1]


def test_a_subject_is_known_by_all_that_makes_it() -> None:
    subject = Subject(
        workload="a",
        options={"x": 1, "y": "z"},
        optimizer="sgd",
        precision=Precision.FLOAT32,
        hardware="cpu",
        code="1",
    )
    same = replace(subject, options={"y": "z", "x": 1})
    assert subject.key == same.key
    others = replace(subject, options={"x": 2, "y": "z"}), replace(subject, precision=Precision.BFLOAT16)
    assert len({subject.key, *(other.key for other in others)}) == 3
