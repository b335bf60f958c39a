"""What tuning an arm found and when: best so far, expected best of k, break-even with an untuned arm, usable range."""

import math
from collections.abc import Sequence

from studies.analysis.statistics.search import break_even, expected_best, median_best, usable_range
from studies.frozen_model import FrozenModel
from studies.search.selection import Score, Search
from studies.spec.definition import Pruner, Sampler
from studies.spec.study import StudySpec

#: Up to so many trials k is every number, beyond it each is a tenth larger than the one before.
EVERY_K = 30
#: A learning rate is usable where a loss is at most so many times the best one's.
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
    """The best score to be expected of a search of so many trials.

    Args:
        trials: k.
        mean: Over all ways to choose them, of a loss the geometric one; None while it is infinite.
        median: Over all ways to choose them; None likewise.
    """

    trials: int
    mean: float | None
    median: float | None


class BreakEven(FrozenModel):
    """How many trials it takes to match an arm that is not tuned.

    Args:
        arm: The arm that is not tuned.
        trials: The smallest k whose expected best search score matches that arm's; None where no k's does.
    """

    arm: str
    trials: int | None


class Usable(FrozenModel):
    """The stretch of a hyperparameter around its best value in which the arm does about as well.

    Args:
        hyperparameter: Its name.
        tolerance: By how much a score may be worse than the best, on the comparison scale.
        low: Smallest value tried in it.
        high: Largest value tried in it.
        decades: log10(high / low).
        open_below: Whether nothing smaller was tried, so that it may reach further.
        open_above: Whether nothing larger was tried.
    """

    hyperparameter: str
    tolerance: float
    low: float
    high: float
    decades: float
    open_below: bool
    open_above: bool


class Tuning(FrozenModel):
    """What the search of an arm found and when.

    Args:
        best_so_far: In the order in which trials were tried.
        expected_best: For numbers of trials up to that of the search; empty for a fixed arm, and where trials are not
            exchangeable: with the tpe sampler, a pruner, or a search that was cut. Trials of range extensions are left
            out.
        break_even: With the arm that is not tuned; None where there is none, or `expected_best` is empty.
        usable: None unless a single log-scaled hyperparameter is searched without a pruner and a trial has a finite
            score.
    """

    best_so_far: tuple[BestSoFar, ...]
    expected_best: tuple[ExpectedBest, ...]
    break_even: BreakEven | None
    usable: Usable | None


def tuning(spec: StudySpec, found: Search, untuned: tuple[str, float] | None) -> Tuning:
    """Return what a search found and when.

    Args:
        spec: The study.
        found: The search.
        untuned: The arm to break even with, and its search score; None for a fixed arm's own.
    """
    drawn = _exchangeable(spec, found)
    return Tuning(
        best_so_far=_best_so_far(spec, found.scores),
        expected_best=tuple(
            ExpectedBest(
                trials=k, mean=_stated(spec, expected_best(drawn, k)), median=_stated(spec, median_best(drawn, k))
            )
            for k in _amounts(len(drawn))
        ),
        break_even=None
        if untuned is None or not drawn
        else BreakEven(arm=untuned[0], trials=break_even(drawn, spec.objective.oriented(untuned[1]))),
        usable=_usable(spec, found),
    )


def _amounts(most: int) -> list[int]:
    """Return 1, 2, 3 and so on to the most, above `EVERY_K` in larger steps."""
    found = list(range(1, min(most, EVERY_K) + 1))
    while found and found[-1] < most:
        found.append(min(most, math.ceil(1.1 * found[-1])))
    return found


def _stated(spec: StudySpec, value: float) -> float | None:
    """Return what is on that scale in the objective's own unit, None where it is infinite."""
    if math.isinf(value):
        return None
    return spec.objective.from_oriented(value)


def _scores(spec: StudySpec, scores: Sequence[Score]) -> list[float]:
    return [math.inf if score.stopped else spec.objective.oriented(score.value) for score in scores]


def _exchangeable(spec: StudySpec, found: Search) -> list[float]:
    """Return the scores of trials that any order could have come in, on the comparison scale; none where none are."""
    first = found.rounds[0]
    known = [score for score in found.scores if score.trial.number < first.trials]
    drawn = spec.protocol.sampler is not Sampler.TPE and spec.protocol.pruner is Pruner.NONE
    whole = first.trials == spec.protocol.trials == len(known)
    return _scores(spec, known) if first.ranges and drawn and whole else []


def _best_so_far(spec: StudySpec, scores: Sequence[Score]) -> tuple[BestSoFar, ...]:
    best, steps, found = math.inf, 0, list[BestSoFar]()
    sign = spec.protocol.direction.sign
    for score in scores:
        steps += score.steps
        better = not score.stopped and sign * score.value < best
        best = sign * score.value if better else best
        if better or score is scores[-1]:
            stated = None if math.isinf(best) else sign * best
            found.append(BestSoFar(trial=score.trial.number, steps=steps, score=stated))
    return tuple(found)


def _usable(spec: StudySpec, found: Search) -> Usable | None:
    ranges = found.rounds[-1].ranges
    # a trial that a pruner stopped has no score to compare, good or bad
    if len(ranges) != 1 or not found.scores or spec.protocol.pruner is not Pruner.NONE:
        return None
    ((name, searched),) = ranges.items()
    if not searched.log:
        return None
    tolerance = math.log10(USABLE_FACTOR) if spec.objective.is_loss else spec.protocol.margin
    values = [score.trial.setting[name] for score in found.scores]
    stretch = usable_range(values, _scores(spec, found.scores), tolerance)
    if stretch is None:
        return None
    return Usable(
        hyperparameter=name,
        tolerance=tolerance,
        low=stretch.low,
        high=stretch.high,
        decades=stretch.decades,
        open_below=stretch.open_below,
        open_above=stretch.open_above,
    )


def decades(usable: Usable) -> str:
    """Return how wide a usable range is in words, as in `at least 1.2 decades`, or `one value`.

    Args:
        usable: The range.
    """
    if usable.low == usable.high:
        return "one value"
    return f"{'at least ' if usable.open_below or usable.open_above else ''}{usable.decades:.2g} decades"
