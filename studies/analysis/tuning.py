"""Tuning curves of a search: best so far, expected best of k trials, break-even with an untuned arm, usable range."""

import math
from collections.abc import Sequence

from studies.analysis.statistics.search import break_even, expected_best, median_best, usable_range
from studies.frozen_model import FrozenModel
from studies.search.selection import Score, SearchState
from studies.spec.definition import Pruner, Sampler
from studies.spec.study import StudySpec

#: Up to this many trials the expected best is given for every k, beyond that for k that grow by a tenth.
MAX_CONSECUTIVE_K = 30
#: A value is usable if its loss is at most this many times the best one's.
USABLE_FACTOR = 2.0


class BestSoFar(FrozenModel):
    """The best score after a trial that was better than all before it, or the last one.

    Args:
        trial: The trial's number.
        steps: Steps trained by it and all before it.
        score: The best until then; None while all diverged or were stopped.
    """

    trial: int
    steps: int
    score: float | None


class ExpectedBest(FrozenModel):
    """The expected best score of a search of k trials.

    Args:
        trials: k.
        mean: Over all ways to choose them, of a loss the geometric one; None while it is infinite.
        median: Over all ways to choose them; None likewise.
    """

    trials: int
    mean: float | None
    median: float | None


class BreakEven(FrozenModel):
    """How many trials a search needs to match an untuned arm.

    Args:
        arm: The untuned arm.
        trials: The smallest k whose expected best score matches that arm's search score; None if no k's does.
    """

    arm: str
    trials: int | None


class UsableHyperparameterRange(FrozenModel):
    """The range of a hyperparameter around its best value in which the arm scores about as well.

    Args:
        hyperparameter: Its name.
        tolerance: How much worse than the best a score may be, on the comparison scale.
        low: Smallest value tried in the range.
        high: Largest value tried in the range.
        decades: log10(high / low).
        open_below: Whether no smaller value was tried, so that the range may extend further.
        open_above: Whether no larger value was tried.
    """

    hyperparameter: str
    tolerance: float
    low: float
    high: float
    decades: float
    open_below: bool
    open_above: bool


class Tuning(FrozenModel):
    """The tuning curves of an arm on a workload.

    Args:
        best_so_far: In the order in which trials were tried.
        expected_best: For numbers of trials up to that of the search; empty for a fixed arm, and where trials are not
            exchangeable: with the tpe sampler, a pruner, or a search cut by the budget. Trials of range extensions are
            excluded.
        break_even: With the untuned arm; None if there is none, or if `expected_best` is empty.
        usable: None unless a single log-scaled hyperparameter is searched without a pruner and a trial has a finite
            score.
    """

    best_so_far: tuple[BestSoFar, ...]
    expected_best: tuple[ExpectedBest, ...]
    break_even: BreakEven | None
    usable: UsableHyperparameterRange | None


def summarize_tuning(spec: StudySpec, search: SearchState, untuned: tuple[str, float] | None) -> Tuning:
    """Return the tuning curves of a search.

    Args:
        spec: The study.
        search: The search.
        untuned: The arm to break even with and its search score; None if there is none.
    """
    scores = _exchangeable_scores(spec, search)
    return Tuning(
        best_so_far=_best_so_far(spec, search.scores),
        expected_best=tuple(
            ExpectedBest(
                trials=k,
                mean=_from_oriented(spec, expected_best(scores, k)),
                median=_from_oriented(spec, median_best(scores, k)),
            )
            for k in _trial_counts(len(scores))
        ),
        break_even=None
        if untuned is None or not scores
        else BreakEven(arm=untuned[0], trials=break_even(scores, spec.objective.oriented(untuned[1]))),
        usable=_usable_range(spec, search),
    )


def _trial_counts(trials: int) -> list[int]:
    """Return 1, 2, 3 and so on up to the number of trials, above `MAX_CONSECUTIVE_K` in larger steps."""
    counts = list(range(1, min(trials, MAX_CONSECUTIVE_K) + 1))
    while counts and counts[-1] < trials:
        counts.append(min(trials, math.ceil(1.1 * counts[-1])))
    return counts


def _from_oriented(spec: StudySpec, value: float) -> float | None:
    """Return an oriented value in the objective's own unit, None if infinite."""
    if math.isinf(value):
        return None
    return spec.objective.from_oriented(value)


def _oriented_scores(spec: StudySpec, scores: Sequence[Score]) -> list[float]:
    return [math.inf if score.stopped else spec.objective.oriented(score.value) for score in scores]


def _exchangeable_scores(spec: StudySpec, search: SearchState) -> list[float]:
    """Return the oriented scores of the first round's trials; none if these are not exchangeable."""
    first = search.rounds[0]
    scores = [score for score in search.scores if score.trial.number < first.trials]
    independent = spec.protocol.sampler is not Sampler.TPE and spec.protocol.pruner is Pruner.NONE
    complete = first.trials == spec.protocol.trials == len(scores)
    return _oriented_scores(spec, scores) if first.ranges and independent and complete else []


def _best_so_far(spec: StudySpec, scores: Sequence[Score]) -> tuple[BestSoFar, ...]:
    best, steps, points = math.inf, 0, list[BestSoFar]()
    sign = spec.protocol.direction.sign
    for score in scores:
        steps += score.steps
        better = not score.stopped and sign * score.value < best
        best = sign * score.value if better else best
        if better or score is scores[-1]:
            value = None if math.isinf(best) else sign * best
            points.append(BestSoFar(trial=score.trial.number, steps=steps, score=value))
    return tuple(points)


def _usable_range(spec: StudySpec, search: SearchState) -> UsableHyperparameterRange | None:
    ranges = search.rounds[-1].ranges
    # a trial that a pruner stopped has no score to compare, good or bad
    if len(ranges) != 1 or not search.scores or spec.protocol.pruner is not Pruner.NONE:
        return None
    ((name, search_range),) = ranges.items()
    if not search_range.log:
        return None
    tolerance = math.log10(USABLE_FACTOR) if spec.objective.is_loss else spec.protocol.margin
    values = [score.trial.setting[name] for score in search.scores]
    usable = usable_range(values, _oriented_scores(spec, search.scores), tolerance)
    if usable is None:
        return None
    return UsableHyperparameterRange(
        hyperparameter=name,
        tolerance=tolerance,
        low=usable.low,
        high=usable.high,
        decades=usable.decades,
        open_below=usable.open_below,
        open_above=usable.open_above,
    )
