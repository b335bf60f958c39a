"""Builds the report of one arm on one workload from the study's rows."""

import math
from collections.abc import Mapping, Sequence
from statistics import fmean, median

from studies.analysis.arm_report import (
    ArmCost,
    ArmReport,
    Divergence,
    SearchReport,
    SeedResult,
    Summary,
    TrialScore,
    TuningCost,
)
from studies.analysis.comparison import Comparison, Interval, confirm_runs, mean_interval
from studies.analysis.statistics.averages import geometric_mean
from studies.analysis.statistics.intervals import divergence_rate
from studies.analysis.tuning import summarize_tuning
from studies.records.rows import Outcome, Rows, Run
from studies.search.selection import SearchState, final_objective, replay_search, select_best
from studies.spec.objective import is_loss
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec


def build_arm_report(
    spec: StudySpec,
    rows: Rows,
    workload: str,
    arm: str,
    comparison: Comparison | None,
    untuned: tuple[str, float] | None = None,
) -> ArmReport:
    """Return the report of an arm on a workload.

    Args:
        spec: The study.
        rows: Its rows; the runs need no series.
        workload: The workload's name within the study.
        arm: The arm's name.
        comparison: With the reference arm; None for the reference arm itself.
        untuned: The untuned arm to break even with and its search score; None if there is none.
    """
    arm_spec = spec.arm(arm)
    arm_search = replay_search(spec, rows, workload, arm)
    best = select_best(arm_search.scores, spec.protocol.direction) if arm_search.done else None
    runs = confirm_runs(rows, workload, arm)
    complete = {run.seed for run in runs} >= set(spec.confirm_seeds)
    search_score = _finite_or_none(best.value) if best is not None else None
    confirm_score = _finite_or_none(median(final_objective(run, spec.objective) for run in runs)) if complete else None
    summaries = _summaries(runs, spec.protocol.loss_floor)
    return ArmReport(
        arm=arm,
        optimizer=arm_spec.optimizer,
        kind=arm_spec.kind,
        is_reference=arm == spec.protocol.reference,
        setting=dict(best.trial.setting) if best is not None else None,
        search=_search_report(arm_search),
        complete=complete,
        seeds=tuple(_seed_result(spec, run) for run in runs),
        diverged=sum(run.outcome is Outcome.DIVERGED for run in runs),
        divergence=_divergence(runs),
        objective=next((summary for summary in summaries if summary.name == spec.protocol.objective), None),
        summaries=summaries,
        search_score=search_score,
        confirm_score=confirm_score,
        optimism_gap=_optimism_gap(spec, workload, search_score, confirm_score),
        comparison=comparison,
        tuning_cost=_tuning_cost(rows, workload, arm, arm_search),
        tuning=summarize_tuning(spec, arm_search, untuned if arm_spec.search else None),
        spent=_arm_cost(rows, workload, arm),
    )


def _divergence(runs: Sequence[Run]) -> Divergence | None:
    if not runs:
        return None
    diverged = sum(run.outcome is Outcome.DIVERGED for run in runs)
    rate, low, high = divergence_rate(diverged, len(runs), 0.95)
    return Divergence(diverged=diverged, runs=len(runs), rate=rate, interval_95=Interval(low=low, high=high))


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _search_report(search: SearchState) -> SearchReport:
    return SearchReport(
        complete=search.done,
        asked=search.requested_trials,
        cut=search.truncated,
        diverged=sum(not math.isfinite(score.value) for score in search.scores),
        stopped=sum(score.stopped for score in search.scores),
        extensions=len(search.rounds) - 1,
        ranges=search.rounds[-1].ranges,
        closed=search.is_interior if search.done else None,
        trials=tuple(
            TrialScore(
                number=score.trial.number,
                setting=dict(score.trial.setting),
                score=None if score.stopped else _finite_or_none(score.value),
                stopped=score.stopped,
                steps=score.steps,
            )
            for score in search.scores
        ),
    )


def _seed_result(spec: StudySpec, run: Run) -> SeedResult:
    return SeedResult(
        seed=run.seed,
        outcome=run.outcome,
        steps=run.steps,
        train_loss=_finite_or_none(run.train_loss),
        objective=_finite_or_none(final_objective(run, spec.objective)),
        metrics={name: _finite_or_none(value) for name, value in sorted(run.metrics.items())},
    )


def _final_values(run: Run) -> Mapping[str, float]:
    return {"train_loss": run.train_loss, **run.metrics} if run.outcome is Outcome.FINISHED else {}


def _summaries(runs: Sequence[Run], floor: float) -> tuple[Summary, ...]:
    names = {name for run in runs for name in _final_values(run)}
    values = {
        name: [value for run in runs if math.isfinite(value := _final_values(run).get(name, math.nan))]
        for name in sorted(names, key=lambda name: (name != "train_loss", name))
    }
    return tuple(_summary(name, finite, floor) for name, finite in values.items() if finite)


def _summary(name: str, values: Sequence[float], floor: float) -> Summary:
    if not is_loss(name):
        center, interval_95 = fmean(values), mean_interval(values, 0.95)
    else:
        center = geometric_mean(values, floor)
        interval_95 = mean_interval([math.log10(max(value, floor)) for value in values], 0.95)
    return Summary(
        name=name,
        seeds=len(values),
        center=center,
        lowest=min(values),
        highest=max(values),
        interval_95=interval_95,
    )


def _optimism_gap(
    spec: StudySpec, workload: str, search_score: float | None, confirm_score: float | None
) -> float | None:
    workload_spec = spec.workload(workload)
    same_length = workload_spec.search_steps == workload_spec.steps
    if search_score is None or confirm_score is None or not same_length:
        return None
    objective = spec.objective
    difference = objective.to_comparison_scale(confirm_score) - objective.to_comparison_scale(search_score)
    return objective.direction.sign * difference


def _tuning_cost(rows: Rows, workload: str, arm: str, search: SearchState) -> TuningCost:
    runs = [run for run in rows.runs if (run.workload, run.arm, run.stage) == (workload, arm, Stage.SEARCH)]
    packs = [pack for pack in rows.packs if (pack.workload, pack.arm, pack.stage) == (workload, arm, Stage.SEARCH)]
    seconds = [pack.seconds for pack in packs if pack.seconds is not None]
    return TuningCost(
        trials=len(search.scores),
        runs=len(runs),
        steps=sum(run.steps for run in runs),
        seconds=math.fsum(seconds) if seconds else None,
    )


def _arm_cost(rows: Rows, workload: str, arm: str) -> ArmCost:
    runs = [run for run in rows.runs if (run.workload, run.arm) == (workload, arm)]
    packs = [pack for pack in rows.packs if (pack.workload, pack.arm) == (workload, arm)]
    confirm_runs = sum(run.stage is Stage.CONFIRM for run in runs)
    return ArmCost(
        search_runs=len(runs) - confirm_runs,
        confirm_runs=confirm_runs,
        run_steps=sum(run.steps for run in runs),
        seconds=math.fsum(pack.seconds or 0.0 for pack in packs),
    )
