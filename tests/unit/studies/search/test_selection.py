"""Scores, the selected trial, and when a search's range grows: all from rows, so that a restart sees the same."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from studies.records.rows import Limit, Outcome, Rows, Run, Trial
from studies.search.range_extension import MAX_EXTENSIONS
from studies.search.selection import Score, replay_search, select_best
from studies.spec.definition import Budget, Pruner, Sampler
from studies.spec.parameters import Direction, Precision, Stage
from studies.spec.study import ArmSpec, ProtocolSpec, SearchRange, StudySpec, WorkloadSpec


def spec(
    *, trials: int = 4, low: float = 1e-4, high: float = 1.0, log: bool = True, seeds: int = 1, **bounds: float | None
) -> StudySpec:
    natural: dict[str, float | None] = {"at_least": 0.0, "at_most": None}
    searched = SearchRange.model_validate({"low": low, "high": high, "log": log} | natural | bounds)
    return StudySpec(
        name="chosen",
        workloads=(
            WorkloadSpec(name="bowl", workload="bowl", options={}, steps=10, search_steps=10, steps_per_epoch=1),
        ),
        arms=(ArmSpec(name="sgd", optimizer="sgd", fixed={}, search={"lr": searched}, schedule={}),),
        protocol=ProtocolSpec(
            objective="train_loss",
            direction=Direction.MINIMIZE,
            sampler=Sampler.GRID,
            trials=trials,
            batch=trials,
            pruner=Pruner.NONE,
            search_length=1.0,
            precision=Precision.FLOAT32,
            search_seeds=seeds,
            confirm_seeds=3,
            reference="sgd",
            margin=0.1,
            loss_floor=1e-30,
            scale=1.0,
        ),
    )


def run(trial: int, loss: float, *, seed: int = 0, steps: int = 10) -> Run:
    return Run(
        workload="bowl",
        arm="sgd",
        trial=trial,
        seed=seed,
        stage=Stage.SEARCH,
        outcome=Outcome.FINISHED if math.isfinite(loss) else Outcome.DIVERGED,
        steps=steps,
        start_loss=1.0,
        train_loss=loss,
        metrics={},
        pack=0,
        lane=trial,
    )


def rows(rates: Sequence[float], loss_of: Callable[[float], float]) -> Rows:
    trials = [Trial(workload="bowl", arm="sgd", number=i, batch=0, setting={"lr": lr}) for i, lr in enumerate(rates)]
    return Rows(trials=tuple(trials), runs=tuple(run(i, loss_of(lr)) for i, lr in enumerate(rates)))


def best_at(rate: float) -> Callable[[float], float]:
    return lambda lr: abs(math.log10(lr / rate)) + 0.1


GRID = (1e-4, 10 ** (-8 / 3), 10 ** (-4 / 3), 1.0)


def test_a_best_setting_inside_closes_the_range() -> None:
    found = replay_search(spec(), rows(GRID, best_at(GRID[1])), "bowl", "sgd")
    assert (found.done, found.is_interior, found.trials) == (True, True, 4)


@pytest.mark.parametrize(
    ("best", "opened", "whole"), [(1e-4, (1e-5, 1e-4), (1e-5, 1.0)), (1.0, (1.0, 10.0), (1e-4, 10.0))]
)
def test_a_best_setting_at_an_edge_opens_ten_times_more(
    best: float, opened: tuple[float, float], whole: tuple[float, float]
) -> None:
    found = replay_search(spec(), rows(GRID, best_at(best)), "bowl", "sgd")
    assert (found.done, found.is_interior) == (False, False)
    assert [each.trials for each in found.rounds] == [4, 2]  # ceil(4 / 3)
    last = found.rounds[-1]
    assert (last.new_ranges["lr"].low, last.new_ranges["lr"].high) == pytest.approx(opened)
    assert (last.ranges["lr"].low, last.ranges["lr"].high) == pytest.approx(whole)


def test_an_edge_is_as_wide_as_decades_by_trials() -> None:
    for near, rounds in ((10**-3.01, 2), (10**-2.99, 1)):  # four decades, four trials
        found = replay_search(spec(), rows((near, 1e-1, 1e-1, 1e-1), best_at(near)), "bowl", "sgd")
        assert len(found.rounds) == rounds


def test_extends_at_most_twice_and_then_says_that_it_is_open() -> None:
    rates = (*GRID, 10**0.5, 10.0, 10**1.5, 100.0)
    found = replay_search(spec(), rows(rates, lambda lr: 1 / lr), "bowl", "sgd")
    assert len(found.rounds) == 1 + MAX_EXTENSIONS
    assert (found.done, found.is_interior) == (True, False)


def test_natural_bounds_close_a_side() -> None:
    closed = replay_search(spec(high=0.5, at_most=1.0), rows((1e-4, 1e-2, 0.1, 0.5), lambda lr: 1 / lr), "bowl", "sgd")
    assert (closed.done, closed.is_interior) == (True, True)


def test_a_linear_range_is_never_extended() -> None:
    found = replay_search(spec(log=False), rows(GRID, lambda lr: lr), "bowl", "sgd")
    assert (found.done, found.is_interior) == (True, True)


def test_the_ends_of_floating_point_close_a_side() -> None:
    low = replay_search(
        spec(low=1e-307, high=1e-300), rows((1e-307, 1e-305, 1e-302, 1e-300), lambda lr: lr), "bowl", "sgd"
    )
    high = replay_search(
        spec(low=1e300, high=1e308), rows((1e300, 1e302, 1e305, 1e308), lambda lr: 1 / lr), "bowl", "sgd"
    )
    assert low.is_interior
    assert high.is_interior


def test_unfinished_trials_are_missing() -> None:
    whole = rows(GRID, best_at(1e-2))
    found = replay_search(spec(), Rows(trials=whole.trials, runs=whole.runs[:3]), "bowl", "sgd")
    assert (found.done, [score.trial.number for score in found.scores]) == (False, [0, 1, 2])


def test_a_score_is_the_median_over_seeds_and_divergence_the_worst() -> None:
    trials = tuple(Trial(workload="bowl", arm="sgd", number=i, batch=0, setting={"lr": GRID[i]}) for i in range(2))
    losses = ((1.0, 5.0, 2.0), (1.0, math.inf, math.inf))
    runs = tuple(run(i, loss, seed=seed) for i, each in enumerate(losses) for seed, loss in enumerate(each))
    found = replay_search(spec(seeds=3), Rows(trials=trials, runs=runs), "bowl", "sgd")
    assert [(score.value, score.diverged) for score in found.scores] == [(2.0, 0), (math.inf, 2)]


def score(number: int, value: float, steps: int = 10, *, stopped: bool = False) -> Score:
    trial = Trial(workload="bowl", arm="sgd", number=number, batch=0, setting={"lr": 1.0})
    return Score(trial=trial, value=value, steps=steps, diverged=0, stopped=stopped)


@pytest.mark.parametrize(
    ("scores", "direction", "chosen"),
    [
        ([score(0, 2.0), score(1, 1.0), score(2, math.inf)], Direction.MINIMIZE, 1),
        ([score(0, 0.9), score(1, 0.95), score(2, -math.inf)], Direction.MAXIMIZE, 1),
        ([score(0, 2.0), score(1, 0.5, 3, stopped=True), score(2, 1.0)], Direction.MINIMIZE, 2),
        ([score(0, 1.0), score(1, 1.0)], Direction.MINIMIZE, 0),
        ([score(0, math.inf, 3), score(1, math.inf, 7)], Direction.MINIMIZE, 1),
    ],
)
def test_the_best_score_is_selected(scores: list[Score], direction: Direction, chosen: int) -> None:
    assert select_best(scores, direction).trial.number == chosen


def test_a_search_that_its_time_ended_chooses_from_what_is_scored() -> None:
    whole = rows(GRID, best_at(GRID[1]))
    for kept, done, closed in ((0, False, False), (1, True, False), (2, True, True), (4, True, True)):
        ended = replace(whole, runs=whole.runs[:kept], reached=Limit.SECONDS)
        found = replay_search(spec(), ended, "bowl", "sgd")
        assert (found.done, found.is_interior, found.truncated, found.requested_trials) == (done, closed, kept < 4, 4)
        assert replay_search(spec(), replace(ended, reached=None), "bowl", "sgd").done == (kept == 4)


def test_a_range_is_not_extended_once_the_time_is_up() -> None:
    at_the_edge = replace(rows(GRID, best_at(1.0)), reached=Limit.GPU_HOURS)
    found = replay_search(spec(), at_the_edge, "bowl", "sgd")
    assert (found.done, found.is_interior, found.truncated) == (True, False, True)
    assert (found.trials, found.requested_trials, len(found.rounds)) == (4, 4 + 2, 1)
    # but for what was trained of it
    more = replace(rows((*GRID, 3.0, 10.0), best_at(1.0)), reached=Limit.GPU_HOURS)
    begun = replace(more, runs=more.runs[:5])
    found = replay_search(spec(), begun, "bowl", "sgd")
    assert (found.done, found.truncated, len(found.scores), found.requested_trials, len(found.rounds)) == (
        True,
        True,
        5,
        6,
        2,
    )


def test_a_budget_of_trials_leaves_less_of_an_extension() -> None:
    limited = spec()
    protocol = limited.protocol.model_copy(update={"budget": Budget(trials=5)})
    limited = limited.model_copy(update={"protocol": protocol})
    at_the_edge = rows((*GRID, 10.0), best_at(10.0))
    found = replay_search(limited, replace(at_the_edge, runs=at_the_edge.runs[:4]), "bowl", "sgd")
    assert (found.done, found.trials, found.requested_trials) == (False, 5, 6)
    found = replay_search(limited, at_the_edge, "bowl", "sgd")
    assert (found.done, found.is_interior, found.truncated, found.requested_trials) == (True, False, True, 8)
