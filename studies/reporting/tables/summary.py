"""Tables of the findings: verdicts on all workloads, and a summary of each workload."""

from collections.abc import Sequence

from studies.analysis.arm_report import ArmReport
from studies.analysis.comparison import Comparison
from studies.formatting import count, label, metric, number, probability, setting, signed
from studies.reporting.report import Report, WorkloadReport
from studies.reporting.tables.table import VERDICT_SIGNS, Cell, Table, interval_text
from studies.spec.definition import ScheduleDefinition
from studies.spec.objective import is_loss
from studies.spec.schedule import ScheduleKind
from studies.spec.study import ArmSpec, StudySpec


def overview_table(report: Report) -> Table:
    """Return every verdict, one row an arm and one column a workload.

    Args:
        report: The report.
    """
    rows: list[tuple[Cell, ...]] = []
    for index, arm in enumerate(report.spec.arms):
        workload_arms = [workload.arms[index] for workload in report.workloads]
        rows.append(
            (
                Cell(text=arm.name, lines=(arm.kind,)),
                *(_verdict_and_objective(workload_arm) for workload_arm in workload_arms),
            )
        )
    objective = label(report.spec.protocol.objective)
    corner = f"verdict, final {objective}"
    return Table(
        caption=f"Verdicts against {report.spec.protocol.reference}, and the final {objective} below",
        headings=(corner, *(workload.workload for workload in report.workloads)),
        rows=tuple(rows),
    )


def summary_table(report: Report, workload: WorkloadReport) -> Table:
    """Return the findings on a workload, one row an arm.

    Args:
        report: The report.
        workload: Its part on that workload.
    """
    spec = report.spec
    metrics = _summary_metrics(spec, workload.arms)
    return Table(
        caption=f"{workload.workload}: every arm at its setting, over the confirm seeds",
        headings=(
            "arm",
            "setting",
            "final training loss",
            ", ".join(map(label, metrics)) or "metric",
            f"verdict against {spec.protocol.reference}",
            "tuning cost",
        ),
        rows=tuple(
            (
                _arm_cell(arm),
                _setting_cell(spec.arm(arm.arm), arm),
                _final_loss_cell(spec, arm),
                _metrics_cell(arm, metrics),
                _verdict_cell(spec, arm.comparison),
                _tuning_cost_cell(arm),
            )
            for arm in workload.arms
        ),
    )


def _summary_metrics(spec: StudySpec, arms: Sequence[ArmReport]) -> list[str]:
    """Return the metrics on test data, on validation data where there are none, and the objective if it is neither."""
    names = sorted({summary.name for arm in arms for summary in arm.summaries if not is_loss(summary.name)})
    tested = [name for name in names if name.startswith("test_")]
    metrics = tested or names
    objective = spec.protocol.objective
    return metrics if objective in {*metrics, "train_loss"} else [*metrics, objective]


def _verdict_and_objective(arm: ArmReport) -> Cell:
    value = (number(arm.objective and arm.objective.center), *_diverged(arm))
    if arm.comparison is None:
        return Cell(text="reference", lines=value)
    verdict = arm.comparison.verdict
    return Cell(text=f"{VERDICT_SIGNS[verdict]} {verdict.value}", lines=value, verdict=verdict)


def _diverged(arm: ArmReport) -> tuple[str, ...]:
    return (f"{arm.diverged} of {count(len(arm.seeds), 'seed')} diverged",) if arm.diverged else ()


def _arm_cell(arm: ArmReport) -> Cell:
    lines = [arm.kind]
    if arm.optimizer != arm.arm:
        lines.append(arm.optimizer)
    if arm.is_reference:
        lines.append("reference")
    return Cell(text=arm.arm, lines=(", ".join(lines),))


def _setting_cell(spec: ArmSpec, arm: ArmReport) -> Cell:
    if arm.setting is None:
        return Cell(text="–")
    schedules = tuple(f"{name}: {_schedule_text(schedule)}" for name, schedule in spec.schedule.items())
    searched = {name: value for name, value in arm.setting.items() if name in spec.search}
    fixed = {name: value for name, value in arm.setting.items() if name not in spec.search}
    if not searched:
        return Cell(text="fixed", lines=(setting(fixed), *schedules))
    return Cell(text=setting(searched), lines=(*((setting(fixed),) if fixed else ()), *schedules))


def _schedule_text(schedule: ScheduleDefinition) -> str:
    milestones = ", ".join(f"{milestone:.3g}" for milestone in schedule.milestones)
    shapes = {
        ScheduleKind.CONSTANT: "constant",
        ScheduleKind.PIECEWISE: f"times {schedule.gamma:.3g} at {milestones} of the run",
        ScheduleKind.COSINE: f"cosine to {schedule.final:.3g} of it",
    }
    return shapes[schedule.kind] + (f", warm-up over {schedule.warmup:.3g} of the run" if schedule.warmup else "")


def _final_loss_cell(spec: StudySpec, arm: ArmReport) -> Cell:
    summary, lines = arm.summary("train_loss"), list[str]()
    if summary is not None:
        lines.append(f"{number(summary.lowest)} to {number(summary.highest)}")
    lines += _diverged(arm)
    if arm.kind == "searched" and arm.optimism_gap is not None:
        lines.append(f"optimism gap {signed(arm.optimism_gap)}{_unit(spec)}")
    return Cell(text=number(summary and summary.center), lines=tuple(lines))


def _metrics_cell(arm: ArmReport, names: Sequence[str]) -> Cell:
    summaries = [(name, arm.summary(name)) for name in names]
    texts = [
        f"{label(name) + ' ' if len(names) > 1 else ''}{metric(summary and summary.center)}"
        for name, summary in summaries
    ]
    intervals = [
        interval_text(summary.interval_95, "95 %: ") for _, summary in summaries if summary and summary.interval_95
    ]
    return Cell(text="; ".join(texts) or "–", lines=tuple(intervals) if len(names) == 1 else ())


def _verdict_cell(spec: StudySpec, comparison: Comparison | None) -> Cell:
    if comparison is None:
        return Cell(text="reference")
    lines: list[str] = []
    if comparison.mean_difference is not None:
        lines.append(f"{signed(comparison.mean_difference)}{_unit(spec)}")
    if comparison.interval_95 is not None:
        lines.append(interval_text(comparison.interval_95, "95 %: "))
    if comparison.diverged_pairs:
        lines.append(f"{comparison.diverged_pairs} of {count(len(comparison.differences), 'pair')} diverged")
    if comparison.p_adjusted is not None:
        lines.append(f"adjusted p {probability(comparison.p_adjusted)}")
    if comparison.within_search_luck:
        lines.append(f"searches' luck ±{number(comparison.search_luck)}{_unit(spec)}")
    if comparison.seeds_needed is not None:
        lines.append(f"about {comparison.seeds_needed} seeds needed")
    text = f"{VERDICT_SIGNS[comparison.verdict]} {comparison.verdict.value}"
    return Cell(text=text, lines=tuple(lines), verdict=comparison.verdict)


def _unit(spec: StudySpec) -> str:
    return " decades" if spec.objective.is_loss else ""


def _tuning_cost_cell(arm: ArmReport) -> Cell:
    cost = arm.tuning_cost
    kinds = (arm.search.diverged, "diverged"), (arm.search.stopped, "stopped")
    early_ends = ", ".join(f"{trials} {kind}" for trials, kind in kinds if trials)
    ended = f" ({early_ends})" if early_ends else ""
    lines = [count(cost.steps, "step")]
    if cost.seconds is not None:
        lines.append(f"{cost.seconds:.1f} s of packs")
    if arm.kind == "fixed":
        return Cell(text=f"not tuned{ended}", lines=(f"scored with {lines[0]}", *lines[1:]) if cost.steps else ())
    trials = count(cost.trials, "trial")
    if arm.search.cut:
        trials = f"{cost.trials} of {count(arm.search.asked, 'trial')}, cut by the budget"
    return Cell(text=trials + ended, lines=tuple(lines))
