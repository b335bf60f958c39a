"""Suggestions: the grid, the seeds of samplers, what TPE is told."""

import math
from dataclasses import replace

import pytest

from studies.records.rows import Trial
from studies.search.sampler import suggest
from studies.search.selection import Round, Score, SearchState
from studies.spec.definition import Sampler
from studies.spec.parameters import Direction
from studies.spec.study import SearchRange, StudySpec

RANGE = SearchRange(low=1e-4, high=1.0, log=True, at_least=0.0, at_most=None)


def with_sampler(spec: StudySpec, sampler: Sampler, direction: Direction = Direction.MINIMIZE) -> StudySpec:
    protocol = spec.protocol.model_copy(update={"sampler": sampler, "direction": direction})
    return spec.model_copy(update={"protocol": protocol})


def asked(spec: StudySpec, found: SearchState, count: int, batch: int = 0) -> tuple[float, ...]:
    return tuple(each["lr"] for each in suggest(spec, spec.workloads[0], found, batch, count))


def beginning(trials: int = 5, searched: SearchRange = RANGE) -> SearchState:
    first = Round(ranges={"lr": searched}, new_ranges={"lr": searched}, trials=trials)
    return SearchState(
        rounds=(first,), scores=(), done=False, is_interior=False, requested_trials=trials, truncated=False
    )


def told(found: SearchState, values: dict[float, float]) -> SearchState:
    scores = tuple(
        Score(
            trial=Trial(workload="w", arm="sgd", number=i, batch=0, setting={"lr": lr}),
            value=value,
            steps=1,
            diverged=0,
            stopped=False,
        )
        for i, (lr, value) in enumerate(values.items())
    )
    return replace(found, scores=scores)


def test_a_grid_is_even_in_the_logarithm_with_both_ends(spec: StudySpec) -> None:
    assert asked(spec, beginning(), 5) == (1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def test_a_linear_grid_is_even(spec: StudySpec) -> None:
    linear = RANGE.model_copy(update={"low": 0.5, "high": 0.9, "log": False})
    assert asked(spec, beginning(5, linear), 5) == pytest.approx((0.5, 0.6, 0.7, 0.8, 0.9))


def test_a_grid_in_batches_is_the_same_grid(spec: StudySpec) -> None:
    first = asked(spec, beginning(), 2)
    rest = asked(spec, told(beginning(), dict.fromkeys(first, 1.0)), 3, batch=1)
    assert (*first, *rest) == asked(spec, beginning(), 5)


@pytest.mark.parametrize(("low", "high", "points"), [(1.0, 10.0, (10**0.5, 10.0)), (1e-5, 1e-4, (1e-5, 10**-4.5))])
def test_an_extended_grid_tries_only_what_is_new(
    spec: StudySpec, low: float, high: float, points: tuple[float, ...]
) -> None:
    whole = RANGE.model_copy(update={"low": min(low, RANGE.low), "high": max(high, RANGE.high)})
    opened = RANGE.model_copy(update={"low": low, "high": high})
    extended = Round(ranges={"lr": whole}, new_ranges={"lr": opened}, trials=2)
    found = replace(beginning(2), rounds=(*beginning(2).rounds, extended))
    assert asked(spec, told(found, {1e-4: 1.0, 1.0: 0.5}), 2, batch=1) == pytest.approx(points, rel=1e-5)


@pytest.mark.parametrize("sampler", [Sampler.RANDOM, Sampler.TPE])
def test_suggestions_depend_on_spec_workload_and_batch_alone(spec: StudySpec, sampler: Sampler) -> None:
    own = with_sampler(spec, sampler)
    again = asked(own, beginning(), 5)
    assert again == asked(own, beginning(), 5)
    assert len(set(again)) == 5
    assert all(RANGE.low <= lr <= RANGE.high for lr in again)
    renamed = own.model_copy(update={"name": "Another title"})
    assert asked(renamed, beginning(), 5) == again
    longer = own.model_copy(
        update={"workloads": (own.workloads[0].model_copy(update={"steps": 999}), *own.workloads[1:])}
    )
    assert asked(longer, beginning(), 5) != again
    assert asked(own, beginning(), 5, batch=1) != again


@pytest.mark.parametrize(("direction", "worst"), [(Direction.MINIMIZE, math.inf), (Direction.MAXIMIZE, -math.inf)])
def test_tpe_goes_where_it_was_better_and_bears_divergence(spec: StudySpec, direction: Direction, worst: float) -> None:
    sign = 1.0 if direction is Direction.MINIMIZE else -1.0
    # good near 1e-3, diverged above 1e-2
    rates = [10 ** (-4 + 4 * i / 29) for i in range(30)]
    values = {lr: worst if lr > 1e-2 else sign * abs(math.log10(lr / 1e-3)) for lr in rates}
    own = with_sampler(spec, Sampler.TPE, direction)
    suggestions = asked(own, told(beginning(40), values), 10, batch=1)
    assert sum(lr < 1e-2 for lr in suggestions) >= 8
    assert suggestions == asked(own, told(beginning(40), values), 10, batch=1)
