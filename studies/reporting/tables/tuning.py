"""Tables of the tuning of each arm, and of its steps to the target."""

from collections.abc import Sequence

from studies.analysis.arm_report import ArmReport
from studies.analysis.time_to_target import StepsToTarget
from studies.analysis.tuning import UsableHyperparameterRange
from studies.formatting import duration, label, number, signed
from studies.reporting.report import Report, WorkloadReport
from studies.reporting.tables.table import Cell, Table
from studies.reporting.text.phrases import usable_range_width
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


def steps_to_target_table(workload: WorkloadReport) -> Table | None:
    """Return when each arm reached the target, one row an arm; None where there is no target.

    Args:
        workload: The workload's part of the report.
    """
    target = workload.target
    if target is None:
        return None
    timed = any(steps.seconds is not None for steps in target.steps)
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
        rows=tuple(_steps_row(steps)[: 5 if timed else 4] for steps in target.steps),
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
        _usable_cell(tuning.usable) if searched else Cell(text="–"),
        Cell(text=_break_even_text(spec, arm, arms)),
        _diverged_cell(arm),
    )


def _usable_cell(usable: UsableHyperparameterRange | None) -> Cell:
    if usable is None:
        return Cell(text="–")
    ends = dict.fromkeys((number(usable.low), number(usable.high)))
    return Cell(text=usable_range_width(usable), lines=(f"{label(usable.hyperparameter)} {' to '.join(ends)}",))


def _break_even_text(spec: StudySpec, arm: ArmReport, arms: Sequence[ArmReport]) -> str:
    break_even = arm.tuning.break_even
    if break_even is None:
        return "–"
    if break_even.trials is not None:
        return f"{break_even.trials}"
    score = arm.search_score
    untuned = next(other.search_score for other in arms if other.arm == break_even.arm)
    sign = spec.protocol.direction.sign
    if score is not None and (untuned is None or sign * score <= sign * untuned):
        return "only after its range was extended"
    return "not within this search"


def _diverged_cell(arm: ArmReport) -> Cell:
    divergence = arm.divergence
    if divergence is None:
        return Cell(text="–")
    ends = f"95 %: {100 * divergence.interval_95.low:.0f} to {100 * divergence.interval_95.high:.0f} %"
    return Cell(text=f"{divergence.diverged} of {divergence.runs}", lines=(ends,))


def _steps_row(steps: StepsToTarget) -> tuple[Cell, ...]:
    ends = (
        ()
        if steps.lowest is None
        else (f"{steps.lowest:,} to {'never' if steps.highest is None else f'{steps.highest:,}'}",)
    )
    return (
        Cell(text=steps.arm),
        Cell(text=f"{steps.reached} of {len(steps.seeds)}"),
        Cell(text=_median_text(steps), lines=ends),
        Cell(text=number(steps.ratio)),
        Cell(text="–" if steps.seconds is None else duration(steps.seconds)),
    )


def _median_text(steps: StepsToTarget) -> str:
    if not steps.seeds:
        return "–"
    return "never" if steps.median is None else f"{steps.median:,.0f}"
