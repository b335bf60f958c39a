"""What a report says of one arm on one workload: its search, its setting, every confirm seed, summaries, cost."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Literal

from studies.analysis.comparison import Comparison, Interval, confirm_runs, interval
from studies.analysis.statistics.averages import geometric_mean
from studies.analysis.statistics.intervals import divergence_rate
from studies.analysis.tuning import Tuning, tuning
from studies.frozen_model import FrozenModel
from studies.records.rows import Outcome, Rows, Run
from studies.search.selection import Search, final_objective, search, selected
from studies.spec.objective import is_loss
from studies.spec.parameters import Stage
from studies.spec.study import SearchRange, StudySpec


class TrialScore(FrozenModel):
    """A trial of a search.

    Args:
        number: Counts from 0 within the search.
        setting: Every hyperparameter.
        score: Median of the objective over the search seeds; None where that diverged or was stopped.
        stopped: Whether it was stopped on its way, being behind.
        steps: Steps trained by its search runs together.
    """

    number: int
    setting: dict[str, float]
    score: float | None
    stopped: bool
    steps: int


class SearchReport(FrozenModel):
    """A search; a fixed arm's is its single trial.

    Args:
        complete: Whether a setting is chosen: no trial is missing, or the budget left none.
        asked: Trials that the protocol asks for, so far.
        cut: Whether the budget left out some of them, so that the arm is not fully tuned.
        diverged: Trials whose score diverged.
        stopped: Trials that were stopped on their way, being behind.
        extensions: How often the range was extended tenfold.
        ranges: The searched ranges at the end, by hyperparameter; empty for a fixed arm.
        closed: Whether the chosen setting is away from every edge that could be extended; None while incomplete.
        trials: Those done, by number.
    """

    complete: bool
    asked: int
    cut: bool
    diverged: int
    stopped: int
    extensions: int
    ranges: dict[str, SearchRange]
    closed: bool | None
    trials: tuple[TrialScore, ...]


class SeedResult(FrozenModel):
    """A confirm run.

    Args:
        seed: Its seed.
        outcome: FINISHED or DIVERGED.
        steps: Steps trained.
        train_loss: Final training loss; None where it diverged.
        objective: Final value of the objective; None where it diverged.
        metrics: Final `validation_*` and `test_*` values by name; None where not finite, empty where it diverged.
    """

    seed: int
    outcome: Outcome
    steps: int
    train_loss: float | None
    objective: float | None
    metrics: dict[str, float | None]


class Summary(FrozenModel):
    """A measured quantity over the confirm seeds that did not diverge.

    Args:
        name: `train_loss`, or `validation_*` or `test_*`.
        seeds: How many values it is over.
        center: Geometric mean of a loss, with the study's floor; mean of anything else.
        lowest: Smallest value.
        highest: Largest value.
        interval_95: t-interval of the mean, for a loss of the mean log10; None for a single seed.
    """

    name: str
    seeds: int
    center: float
    lowest: float
    highest: float
    interval_95: Interval | None


class TuningCost(FrozenModel):
    """What an arm's search took on a workload.

    Args:
        trials: Settings tried.
        runs: Search runs done.
        steps: Steps trained by them together.
        seconds: Wall-clock seconds of the packs they were trained in, one after the other; None where not measured.
    """

    trials: int
    runs: int
    steps: int
    seconds: float | None


class Divergence(FrozenModel):
    """How many of an arm's confirm runs diverged.

    Args:
        diverged: How many.
        runs: Out of so many.
        rate: Their share.
        interval_95: Wilson's interval of the rate.
    """

    diverged: int
    runs: int
    rate: float
    interval_95: Interval


class Spent(FrozenModel):
    """What an arm's runs on a workload took, to be seen beside what they were estimated to take.

    Args:
        search_runs: Runs of its search.
        confirm_runs: Runs of the comparison.
        run_steps: Steps trained by all of them together.
        seconds: Wall-clock seconds of their packs, one after the other.
    """

    search_runs: int
    confirm_runs: int
    run_steps: int
    seconds: float


class ArmReport(FrozenModel):
    """An arm on a workload.

    Args:
        arm: Its name.
        optimizer: The registered optimizer.
        kind: Fixed or searched.
        is_reference: Whether the others are compared with it.
        setting: The chosen setting, every hyperparameter; None while the search is incomplete.
        search: How it was chosen.
        complete: Whether every confirm seed is done.
        seeds: The confirm runs, by seed.
        diverged: How many of them diverged.
        divergence: Their rate with its interval; None without runs.
        objective: Its summary over the confirm seeds; None where there is no finite value.
        summaries: Of the training loss and every other measured quantity, by name, the training loss first.
        search_score: Score of the chosen setting in the search; None where it diverged or is not chosen yet.
        confirm_score: The same median over the confirm seeds; None where that diverged or seeds are missing.
        optimism_gap: By how much the confirm score is worse than the search score, on the comparison scale (decades
            for a loss); None where either is, and where search runs are shorter than confirm runs.
        comparison: With the reference arm; None for the reference arm itself.
        tuning_cost: What the search took.
        tuning: What it found and when.
        spent: What the search and the comparison took.
    """

    arm: str
    optimizer: str
    kind: Literal["fixed", "searched"]
    is_reference: bool
    setting: dict[str, float] | None
    search: SearchReport
    complete: bool
    seeds: tuple[SeedResult, ...]
    diverged: int
    divergence: Divergence | None
    objective: Summary | None
    summaries: tuple[Summary, ...]
    search_score: float | None
    confirm_score: float | None
    optimism_gap: float | None
    comparison: Comparison | None
    tuning_cost: TuningCost
    tuning: Tuning
    spent: Spent

    def summary(self, name: str) -> Summary | None:
        """Return the summary of a measured quantity, None where no seed has a value.

        Args:
            name: As in `Summary`.
        """
        return next((summary for summary in self.summaries if summary.name == name), None)


def arm_report(
    spec: StudySpec,
    rows: Rows,
    workload: str,
    arm: str,
    comparison: Comparison | None,
    untuned: tuple[str, float] | None = None,
) -> ArmReport:
    """Return what a report says of an arm on a workload.

    Args:
        spec: The study.
        rows: Its rows; the runs need no series.
        workload: The workload's name within the study.
        arm: The arm's name.
        comparison: With the reference arm; None for the reference arm itself.
        untuned: An arm that is not tuned, with its search score, to break even with; None where there is none.
    """
    chosen = spec.arm(arm)
    found = search(spec, rows, workload, arm)
    best = selected(found.scores, spec.protocol.direction) if found.done else None
    runs = confirm_runs(rows, workload, arm)
    complete = {run.seed for run in runs} >= set(spec.confirm_seeds)
    search_score = _finite(best.value) if best is not None else None
    confirm_score = _finite(median(final_objective(run, spec.objective) for run in runs)) if complete else None
    summaries = _summaries(runs, spec.protocol.loss_floor)
    return ArmReport(
        arm=arm,
        optimizer=chosen.optimizer,
        kind=chosen.kind,
        is_reference=arm == spec.protocol.reference,
        setting=dict(best.trial.setting) if best is not None else None,
        search=_search_report(found),
        complete=complete,
        seeds=tuple(_seed_result(spec, run) for run in runs),
        diverged=sum(run.outcome is Outcome.DIVERGED for run in runs),
        divergence=_divergence(runs),
        objective=next((summary for summary in summaries if summary.name == spec.protocol.objective), None),
        summaries=summaries,
        search_score=search_score,
        confirm_score=confirm_score,
        optimism_gap=_gap(spec, workload, search_score, confirm_score),
        comparison=comparison,
        tuning_cost=_tuning_cost(rows, workload, arm, found),
        tuning=tuning(spec, found, untuned if chosen.search else None),
        spent=_spent(rows, workload, arm),
    )


def _divergence(runs: Sequence[Run]) -> Divergence | None:
    if not runs:
        return None
    diverged = sum(run.outcome is Outcome.DIVERGED for run in runs)
    rate, low, high = divergence_rate(diverged, len(runs), 0.95)
    return Divergence(diverged=diverged, runs=len(runs), rate=rate, interval_95=Interval(low=low, high=high))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _search_report(found: Search) -> SearchReport:
    return SearchReport(
        complete=found.done,
        asked=found.asked,
        cut=found.cut,
        diverged=sum(not math.isfinite(score.value) for score in found.scores),
        stopped=sum(score.stopped for score in found.scores),
        extensions=len(found.rounds) - 1,
        ranges=found.rounds[-1].ranges,
        closed=found.closed if found.done else None,
        trials=tuple(
            TrialScore(
                number=score.trial.number,
                setting=dict(score.trial.setting),
                score=None if score.stopped else _finite(score.value),
                stopped=score.stopped,
                steps=score.steps,
            )
            for score in found.scores
        ),
    )


def _seed_result(spec: StudySpec, run: Run) -> SeedResult:
    return SeedResult(
        seed=run.seed,
        outcome=run.outcome,
        steps=run.steps,
        train_loss=_finite(run.train_loss),
        objective=_finite(final_objective(run, spec.objective)),
        metrics={name: _finite(value) for name, value in sorted(run.metrics.items())},
    )


def _measured(run: Run) -> Mapping[str, float]:
    return {"train_loss": run.train_loss, **run.metrics} if run.outcome is Outcome.FINISHED else {}


def _summaries(runs: Sequence[Run], floor: float) -> tuple[Summary, ...]:
    names = {name for run in runs for name in _measured(run)}
    values = {
        name: [value for run in runs if math.isfinite(value := _measured(run).get(name, math.nan))]
        for name in sorted(names, key=lambda name: (name != "train_loss", name))
    }
    return tuple(_summary(name, found, floor) for name, found in values.items() if found)


def _summary(name: str, values: Sequence[float], floor: float) -> Summary:
    if not is_loss(name):
        center, interval_95 = fmean(values), interval(values, 0.95)
    else:
        center = geometric_mean(values, floor)
        interval_95 = interval([math.log10(max(value, floor)) for value in values], 0.95)
    return Summary(
        name=name,
        seeds=len(values),
        center=center,
        lowest=min(values),
        highest=max(values),
        interval_95=interval_95,
    )


def _gap(spec: StudySpec, workload: str, search_score: float | None, confirm_score: float | None) -> float | None:
    lengths = spec.workload(workload)
    if search_score is None or confirm_score is None or lengths.search_steps != lengths.steps:
        return None
    objective = spec.objective
    difference = objective.to_comparison_scale(confirm_score) - objective.to_comparison_scale(search_score)
    return objective.direction.sign * difference


def _tuning_cost(rows: Rows, workload: str, arm: str, found: Search) -> TuningCost:
    runs = [run for run in rows.runs if (run.workload, run.arm, run.stage) == (workload, arm, Stage.SEARCH)]
    packs = [pack for pack in rows.packs if (pack.workload, pack.arm, pack.stage) == (workload, arm, Stage.SEARCH)]
    seconds = [pack.seconds for pack in packs if pack.seconds is not None]
    return TuningCost(
        trials=len(found.scores),
        runs=len(runs),
        steps=sum(run.steps for run in runs),
        seconds=math.fsum(seconds) if seconds else None,
    )


def _spent(rows: Rows, workload: str, arm: str) -> Spent:
    runs = [run for run in rows.runs if (run.workload, run.arm) == (workload, arm)]
    packs = [pack for pack in rows.packs if (pack.workload, pack.arm) == (workload, arm)]
    confirm_runs = sum(run.stage is Stage.CONFIRM for run in runs)
    return Spent(
        search_runs=len(runs) - confirm_runs,
        confirm_runs=confirm_runs,
        run_steps=sum(run.steps for run in runs),
        seconds=math.fsum(pack.seconds or 0.0 for pack in packs),
    )
