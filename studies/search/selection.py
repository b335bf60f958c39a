"""Selection of an arm's setting: scores of trials, the state of a search, the best trial."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from studies.records.rows import Outcome, Rows, Run, Trial
from studies.search.budget import trials_per_search
from studies.search.range_extension import MAX_EXTENSIONS, extend_ranges, extension_trials
from studies.spec.objective import Objective
from studies.spec.parameters import Direction, Stage
from studies.spec.study import SearchRange, StudySpec


@dataclass(frozen=True, kw_only=True)
class Score:
    """A trial's result in its search.

    Args:
        trial: The trial.
        value: Median of the objective over the search seeds; the worst infinity if the median run diverged.
        steps: Steps trained by all its search runs together.
        diverged: Number of its search runs that diverged.
        stopped: Whether the pruner stopped it, so that its value is of a shorter run.
    """

    trial: Trial
    value: float
    steps: int
    diverged: int
    stopped: bool


@dataclass(frozen=True, kw_only=True)
class Round:
    """The trials of a search within one range: the declared one, or an extension of it.

    Args:
        ranges: The whole searched ranges from this round on, by hyperparameter.
        new_ranges: The ranges not searched before: the whole range at first, the added part after an extension.
        trials: Number of trials of this round.
    """

    ranges: dict[str, SearchRange]
    new_ranges: dict[str, SearchRange]
    trials: int


@dataclass(frozen=True, kw_only=True)
class SearchState:
    """The state of the search of one arm on one workload.

    Args:
        rounds: Rounds so far, the declared range first.
        scores: Scores of the trials that are done, by number.
        done: Whether no trial is missing, or none will be added.
        is_interior: Whether the best setting is away from every edge that could be extended; only valid once done.
        requested_trials: Trials requested by the protocol so far.
        truncated: Whether the budget left out some of them.
    """

    rounds: tuple[Round, ...]
    scores: tuple[Score, ...]
    done: bool
    is_interior: bool
    requested_trials: int
    truncated: bool

    @property
    def trials(self) -> int:
        """Trials planned so far."""
        return sum(round_.trials for round_ in self.rounds)


def final_objective(run: Run, objective: Objective) -> float:
    """Return a run's final value of the objective; the worst infinity if it diverged or the value is not finite.

    Args:
        run: The run.
        objective: The study's.
    """
    if run.outcome is Outcome.DIVERGED:
        return objective.worst
    value = run.train_loss if objective.name == "train_loss" else run.metrics[objective.name]
    return value if math.isfinite(value) else objective.worst


def score_trials(spec: StudySpec, rows: Rows, workload: str, arm: str) -> tuple[Score, ...]:
    """Return the scores of the trials whose search runs are all done, in order of number.

    Args:
        spec: The study.
        rows: Its rows.
        workload: The workload's name within the study.
        arm: The arm's name.
    """
    runs_of_trial: dict[int, list[Run]] = {}
    for run in rows.runs:
        if (run.workload, run.arm, run.stage) == (workload, arm, Stage.SEARCH):
            runs_of_trial.setdefault(run.trial, []).append(run)
    scores: list[Score] = []
    for trial in rows.trials:
        runs = runs_of_trial.get(trial.number, []) if (trial.workload, trial.arm) == (workload, arm) else []
        if len(runs) < spec.protocol.search_seeds:
            continue
        values = [final_objective(run, spec.objective) for run in runs]
        scores.append(
            Score(
                trial=trial,
                value=median(values),  # infinities agree in sign, so this is never NaN
                steps=sum(run.steps for run in runs),
                diverged=sum(run.outcome is Outcome.DIVERGED for run in runs),
                stopped=any(run.outcome is Outcome.STOPPED for run in runs),
            )
        )
    return tuple(scores)


def select_best(scores: Sequence[Score], direction: Direction) -> Score:
    """Return the best score; of equal ones the one that trained longest, then the first.

    Args:
        scores: Scores, at least one of a trial that was not stopped; stopped trials are ignored.
        direction: Which way the objective is better.
    """
    complete = [score for score in scores if not score.stopped]
    return min(complete, key=lambda score: (direction.sign * score.value, -score.steps, score.trial.number))


def replay_search(spec: StudySpec, rows: Rows, workload: str, arm: str) -> SearchState:
    """Return the state of a search, replayed from its scores, so that a restarted driver gets the same.

    A range whose best setting lies within (decades / trials) of a bound is extended tenfold on that side with
    ceil(trials / 3) more trials, at most `MAX_EXTENSIONS` times. A fixed arm is a search of one trial. A budget of
    trials or steps may reduce the number of trials; a time budget that is reached ends the search after the trials
    that are scored, if there are any.

    Args:
        spec: The study.
        rows: Its rows.
        workload: The workload's name within the study.
        arm: The arm's name.
    """
    search = spec.arm(arm).search
    scores = score_trials(spec, rows, workload, arm)
    requested, budgeted = spec.protocol.trials if search else 1, trials_per_search(spec)
    first_trials = requested if budgeted is None else min(requested, budgeted)
    rounds = [Round(ranges=search, new_ranges=search, trials=first_trials)]

    def state(*, done: bool, is_interior: bool = False, timed_out: bool = False) -> SearchState:
        return SearchState(
            rounds=tuple(rounds),
            scores=scores,
            done=done,
            is_interior=is_interior,
            requested_trials=requested,
            truncated=timed_out or planned < requested,
        )

    while True:
        planned = sum(round_.trials for round_ in rounds)
        # trials of a later round do not decide whether this one is extended
        scored = [score for score in scores if score.trial.number < planned]
        timed_out = len(scored) < planned and rows.reached is not None and bool(search)
        if len(scored) < planned and not (timed_out and scored):
            return state(done=False, timed_out=timed_out)
        best = select_best(scored, spec.protocol.direction).trial.setting
        extension = extend_ranges(rounds[-1].ranges, planned, best)
        if timed_out or extension is None or len(rounds) > MAX_EXTENSIONS:
            return state(done=True, is_interior=extension is None, timed_out=timed_out)
        added_trials = extension_trials(spec.protocol.trials)
        requested += added_trials
        if budgeted is not None:
            added_trials = min(added_trials, budgeted - planned)
        if added_trials == 0 or (rows.reached is not None and len(scores) == planned):
            return state(done=True)
        ranges, new_ranges = extension
        rounds.append(Round(ranges=ranges, new_ranges=new_ranges, trials=added_trials))
