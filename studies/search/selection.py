"""Choosing a searched arm's setting: scores of trials, the rounds of a search with its range, the selected trial."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from studies.records.rows import Outcome, Rows, Run, Trial
from studies.search.budget import share
from studies.search.range_extension import MOST_EXTENSIONS, extended, extension_trials
from studies.spec.objective import Objective
from studies.spec.parameters import Direction, Stage
from studies.spec.study import SearchRange, StudySpec


@dataclass(frozen=True, kw_only=True)
class Score:
    """A trial's result in its search.

    Args:
        trial: The trial.
        value: Median of the objective over the search seeds; the worst infinity where that diverged.
        steps: Steps trained by all its search runs together.
        diverged: How many of its search runs diverged.
        stopped: Whether it was stopped on its way, so that its value is of a shorter run.
    """

    trial: Trial
    value: float
    steps: int
    diverged: int
    stopped: bool


@dataclass(frozen=True, kw_only=True)
class Round:
    """A stretch of a search with one range: the declared one, or one extension of it.

    Args:
        ranges: The whole searched ranges from this round on, by hyperparameter.
        opened: Where this round's trials are drawn from: all of it at first, the new part after an extension.
        trials: How many trials this round has.
    """

    ranges: dict[str, SearchRange]
    opened: dict[str, SearchRange]
    trials: int


@dataclass(frozen=True, kw_only=True)
class Search:
    """Where the search of one arm on one workload stands.

    Args:
        rounds: So far, the declared range first.
        scores: Of the trials that are done, by number.
        done: Whether no trial is missing, or none will come.
        closed: Whether the best setting is away from every edge that could be extended; only meaningful once done.
        asked: Trials that the protocol asks for, so far.
        cut: Whether the budget left out some of them.
    """

    rounds: tuple[Round, ...]
    scores: tuple[Score, ...]
    done: bool
    closed: bool
    asked: int
    cut: bool

    @property
    def trials(self) -> int:
        """Trials planned so far."""
        return sum(each.trials for each in self.rounds)


def final_objective(run: Run, objective: Objective) -> float:
    """Return a run's final value of the objective; the worst infinity where it diverged or is not a number.

    Args:
        run: The run.
        objective: The study's.
    """
    if run.outcome is Outcome.DIVERGED:
        return objective.worst
    value = run.train_loss if objective.name == "train_loss" else run.metrics[objective.name]
    return value if math.isfinite(value) else objective.worst


def scores(spec: StudySpec, rows: Rows, workload: str, arm: str) -> tuple[Score, ...]:
    """Return the scores of the trials whose search runs are all done, by number.

    Args:
        spec: The study.
        rows: Its rows.
        workload: The workload's name within the study.
        arm: The arm's name.
    """
    trained: dict[int, list[Run]] = {}
    for run in rows.runs:
        if (run.workload, run.arm, run.stage) == (workload, arm, Stage.SEARCH):
            trained.setdefault(run.trial, []).append(run)
    found: list[Score] = []
    for trial in rows.trials:
        runs = trained.get(trial.number, []) if (trial.workload, trial.arm) == (workload, arm) else []
        if len(runs) < spec.protocol.search_seeds:
            continue
        values = [final_objective(run, spec.objective) for run in runs]
        found.append(
            Score(
                trial=trial,
                value=median(values),  # infinities agree in sign, so this is never NaN
                steps=sum(run.steps for run in runs),
                diverged=sum(run.outcome is Outcome.DIVERGED for run in runs),
                stopped=any(run.outcome is Outcome.STOPPED for run in runs),
            )
        )
    return tuple(found)


def selected(found: Sequence[Score], direction: Direction) -> Score:
    """Return the best score; where several are equal the one that trained longest, then the first.

    Args:
        found: At least one score of a trial that was not stopped; those that were are left out.
        direction: Which way the objective is better.
    """
    whole = [score for score in found if not score.stopped]
    return min(whole, key=lambda score: (direction.sign * score.value, -score.steps, score.trial.number))


def search(spec: StudySpec, rows: Rows, workload: str, arm: str) -> Search:
    """Return where a search stands: replayed from its scores, so that a restarted driver sees the same.

    A range whose best setting lies within (decades / trials) of a bound is extended tenfold on that side with
    ceil(trials / 3) more trials, at most `MOST_EXTENSIONS` times. A fixed arm is a search of one trial. A budget may
    leave a search fewer trials; one of time that was reached ends it with those that are scored, if any are.

    Args:
        spec: The study.
        rows: Its rows.
        workload: The workload's name within the study.
        arm: The arm's name.
    """
    chosen = spec.arm(arm)
    found = scores(spec, rows, workload, arm)
    asked, left = spec.protocol.trials if chosen.search else 1, share(spec)
    more = asked if left is None else min(asked, left)
    rounds = [Round(ranges=chosen.search, opened=chosen.search, trials=more)]

    def stands(*, done: bool, closed: bool = False, ended: bool = False) -> Search:
        cut = ended or planned < asked
        return Search(rounds=tuple(rounds), scores=found, done=done, closed=closed, asked=asked, cut=cut)

    while True:
        planned = sum(each.trials for each in rounds)
        told = [score for score in found if score.trial.number < planned]
        ended = len(told) < planned and rows.reached is not None and bool(chosen.search)
        if len(told) < planned and not (ended and told):
            return stands(done=False, ended=ended)
        extension = extended(rounds[-1].ranges, planned, selected(told, spec.protocol.direction).trial.setting)
        if ended or extension is None or len(rounds) > MOST_EXTENSIONS:
            return stands(done=True, closed=extension is None, ended=ended)
        more = extension_trials(spec.protocol.trials)
        asked += more
        if left is not None:
            more = min(more, left - planned)
        if more == 0 or (rows.reached is not None and len(found) == planned):
            return stands(done=True)
        ranges, opened = extension
        rounds.append(Round(ranges=ranges, opened=opened, trials=more))
