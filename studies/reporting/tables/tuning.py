"""The report's tables of what tuning cost and bought, and of when each arm reached the target."""

from collections.abc import Sequence

from studies.analysis.arm_report import ArmReport
from studies.analysis.time_to_target import StepsToTarget
from studies.analysis.tuning import Usable, decades
from studies.formatting import duration, label, number, signed
from studies.reporting.report import Report, WorkloadReport
from studies.reporting.tables.summary import Cell, Table
from studies.spec.study import StudySpec


def tuning_table(report: Report, workload: WorkloadReport) -> Table:
    """Return what each arm's search cost and found, one row an arm.

    Args:
        report: The report.
        workload: Its part on that workload.
    """
    untuned = next((arm.tuning.break_even.arm for arm in workload.arms if arm.tuning.break_even), None)
    return Table(
        caption=f"{workload.workload}: what tuning cost and found; scores are of the final "
        f"{label(report.spec.protocol.objective)}",
        headings=(
            "arm",
            "trials",
            "steps",
            "search score",
            "confirm score",
            "optimism gap",
            "usable range",
            f"trials to match {untuned}" if untuned else "trials to match an untuned arm",
            "confirm runs diverged",
        ),
        rows=tuple(_tuning_row(report.spec, arm, workload.arms) for arm in workload.arms),
    )


def speed_table(workload: WorkloadReport) -> Table | None:
    """Return when each arm reached the target, one row an arm; None where there is no target.

    Args:
        workload: The workload's part of the report.
    """
    target = workload.target
    if target is None:
        return None
    timed = any(each.seconds is not None for each in target.steps)
    return Table(
        caption=f"{workload.workload}: steps to the target, {number(target.value)}, where more than half of the seeds "
        f"of {target.arm} end",
        headings=(
            "arm",
            "seeds that reach it",
            "steps, median",
            f"times the steps of {target.arm}",
            *(("seconds, where trained alone",) if timed else ()),
        ),
        rows=tuple(_speed_row(each)[: 5 if timed else 4] for each in target.steps),
    )


def _tuning_row(spec: StudySpec, arm: ArmReport, arms: Sequence[ArmReport]) -> tuple[Cell, ...]:
    tuning, cost = arm.tuning, arm.tuning_cost
    searched = arm.kind == "searched"
    return (
        Cell(text=arm.arm),
        Cell(text=f"{cost.trials:,}" if searched else "not tuned"),
        Cell(text=f"{cost.steps:,}"),
        Cell(text=number(arm.search_score)),
        Cell(text=number(arm.confirm_score)),
        Cell(text=signed(arm.optimism_gap)),
        _usable(tuning.usable) if searched else Cell(text="–"),
        Cell(text=_break_even(spec, arm, arms)),
        _diverged(arm),
    )


def _usable(usable: Usable | None) -> Cell:
    if usable is None:
        return Cell(text="–")
    ends = dict.fromkeys((number(usable.low), number(usable.high)))
    return Cell(text=decades(usable), lines=(f"{label(usable.hyperparameter)} {' to '.join(ends)}",))


def _break_even(spec: StudySpec, arm: ArmReport, arms: Sequence[ArmReport]) -> str:
    found = arm.tuning.break_even
    if found is None:
        return "–"
    if found.trials is not None:
        return f"{found.trials}"
    own, untuned = arm.search_score, next(each.search_score for each in arms if each.arm == found.arm)
    sign = spec.protocol.direction.sign
    if own is not None and (untuned is None or sign * own <= sign * untuned):
        return "only after its range was extended"
    return "not within this search"


def _diverged(arm: ArmReport) -> Cell:
    found = arm.divergence
    if found is None:
        return Cell(text="–")
    ends = f"95 %: {100 * found.interval_95.low:.0f} to {100 * found.interval_95.high:.0f} %"
    return Cell(text=f"{found.diverged} of {found.runs}", lines=(ends,))


def _speed_row(found: StepsToTarget) -> tuple[Cell, ...]:
    ends = (
        ()
        if found.lowest is None
        else (f"{found.lowest:,} to {'never' if found.highest is None else f'{found.highest:,}'}",)
    )
    return (
        Cell(text=found.arm),
        Cell(text=f"{found.reached} of {len(found.seeds)}"),
        Cell(text=_median(found), lines=ends),
        Cell(text=number(found.ratio)),
        Cell(text="–" if found.seconds is None else duration(found.seconds)),
    )


def _median(found: StepsToTarget) -> str:
    if not found.seeds:
        return "–"
    return "never" if found.median is None else f"{found.median:,.0f}"
