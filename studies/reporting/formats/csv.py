"""The report as one flat CSV table for spreadsheets and data frames: a row for each arm and workload."""

import csv
import io
import math

from studies.analysis.arm_report import ArmReport
from studies.reporting.report import Report, WorkloadReport

Value = str | float | int | None


def render_csv(report: Report) -> str:
    """Return the report as CSV; missing values are empty, and what never happens is `inf`.

    Args:
        report: The report.
    """
    records = [_record(workload, arm) for workload in report.workloads for arm in workload.arms]
    columns = list(dict.fromkeys(name for record in records for name in record))
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, columns, restval="", lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(records)
    return buffer.getvalue()


def _record(workload: WorkloadReport, arm: ArmReport) -> dict[str, Value]:
    target = workload.target
    steps = target and target.for_arm(arm.arm)
    record: dict[str, Value] = {
        "workload": workload.workload,
        "arm": arm.arm,
        "optimizer": arm.optimizer,
        "kind": arm.kind,
        "setting": "; ".join(f"{name}={value!r}" for name, value in (arm.setting or {}).items()),
        "trials": len(arm.search.trials),
        "search_cut": str(arm.search.cut).lower(),
        "trials_diverged": arm.search.diverged,
        "trials_stopped": arm.search.stopped,
        "range_closed": None if arm.search.closed is None else str(arm.search.closed).lower(),
        "search_score": arm.search_score,
        "confirm_score": arm.confirm_score,
        "optimism_gap": arm.optimism_gap,
        "confirm_seeds": len(arm.seeds),
        "seeds_diverged": arm.diverged,
        "tuning_steps": arm.tuning_cost.steps,
        "tuning_seconds": arm.tuning_cost.seconds,
        "break_even_trials": arm.tuning.break_even and _value_or_inf(arm.tuning.break_even.trials),
        "usable_decades": arm.tuning.usable and arm.tuning.usable.decades,
        "target": target and target.value,
        "steps_to_target": _value_or_inf(steps.median) if steps and steps.seeds else None,
        "seeds_at_target": steps.reached if steps and steps.seeds else None,
    }
    return record | _comparison(arm) | _summaries(arm)


def _value_or_inf(value: float | None) -> float:
    return math.inf if value is None else value


def _comparison(arm: ArmReport) -> dict[str, Value]:
    comparison = arm.comparison
    if comparison is None:
        return {"verdict": "reference" if arm.is_reference else None}
    return {
        "verdict": comparison.verdict.value,
        "test": comparison.test,
        "p": comparison.p,
        "p_adjusted": comparison.p_adjusted,
        "mean_difference": comparison.mean_difference,
        "difference_low_95": comparison.interval_95 and comparison.interval_95.low,
        "difference_high_95": comparison.interval_95 and comparison.interval_95.high,
        "difference_low_90": comparison.interval_90 and comparison.interval_90.low,
        "difference_high_90": comparison.interval_90 and comparison.interval_90.high,
        "seeds_needed": comparison.seeds_needed,
        "minimum_detectable_effect": comparison.minimum_detectable_effect,
        "probability_of_improvement": comparison.probability_of_improvement,
        "search_luck": comparison.search_luck,
    }


def _summaries(arm: ArmReport) -> dict[str, Value]:
    record: dict[str, Value] = {}
    for summary in arm.summaries:
        record |= {
            summary.name: summary.center,
            f"{summary.name}_lowest": summary.lowest,
            f"{summary.name}_highest": summary.highest,
            f"{summary.name}_low_95": summary.interval_95 and summary.interval_95.low,
            f"{summary.name}_high_95": summary.interval_95 and summary.interval_95.high,
        }
    return record
