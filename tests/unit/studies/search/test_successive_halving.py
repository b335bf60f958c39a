"""Where search runs are judged, and what they must reach."""

import math

import pytest

from studies.records.rows import Outcome, Run
from studies.search.successive_halving import rung_limits, rung_steps
from studies.spec.parameters import Direction, Stage


@pytest.mark.parametrize(
    ("steps", "epoch", "expected"),
    [
        (900, 1, (100, 300)),
        (30 * 937, 937, (3 * 937, 10 * 937)),
        (900, 80, (80, 240)),  # at ends of epochs
        (900, 250, (250,)),  # a ninth of the run is no epoch
        (900, 500, ()),
        (2, 1, ()),
    ],
)
def test_runs_are_judged_at_ends_of_epochs(steps: int, epoch: int, expected: tuple[int, ...]) -> None:
    assert rung_steps(steps, epoch) == expected


def run(*scores: float) -> Run:
    return Run(
        workload="w",
        arm="a",
        trial=0,
        seed=0,
        stage=Stage.SEARCH,
        outcome=Outcome.FINISHED,
        steps=1,
        start_loss=1.0,
        train_loss=1.0,
        metrics={},
        pack=0,
        lane=0,
        rungs=scores,
    )


@pytest.mark.parametrize(
    ("scores", "limit"),
    [
        ([], None),
        ([3.0], 3.0),  # of two, one goes on
        ([3.0, 1.0], 1.0),
        ([3.0, 1.0, 2.0], 2.0),  # of four, two
        ([3.0, 1.0, 2.0, 5.0, 4.0, 6.0], 3.0),
        ([math.inf, 1.0, math.nan], None),  # of four, two: and there is only one that did not diverge
    ],
)
def test_a_third_goes_on(scores: list[float], limit: float | None) -> None:
    assert rung_limits(1, [run(score) for score in scores], Direction.MINIMIZE) == (limit,)


def test_the_best_may_be_the_largest() -> None:
    earlier = [run(0.1), run(0.9), run(0.5), run(-math.inf)]
    assert rung_limits(1, earlier, Direction.MAXIMIZE) == (0.5,)


def test_only_those_that_came_so_far_count() -> None:
    assert rung_limits(2, [run(1.0, 0.1), run(2.0), run(3.0)], Direction.MINIMIZE) == (2.0, 0.1)
