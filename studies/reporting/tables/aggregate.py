"""The table of aggregates over workloads."""

from studies.analysis.statistics.intervals import MIN_BOOTSTRAP_VALUES
from studies.formatting import number, signed
from studies.reporting.report import Report, WorkloadReport
from studies.reporting.tables.table import Cell, Table, interval_text

#: With fewer workloads the interquartile mean cuts none.
MIN_CUT_WORKLOADS = 4


def aggregate_table(report: Report) -> Table | None:
    """Return the aggregates over workloads, one row an arm; None for a single workload or arm.

    Args:
        report: The report.
    """
    aggregate = report.across
    if aggregate is None:
        return None
    spec = report.spec
    kind = "interquartile mean" if len(spec.workloads) >= MIN_CUT_WORKLOADS else "mean"
    unit = "decades" if spec.objective.is_loss else "the objective's unit"
    has_intervals = spec.protocol.confirm_seeds >= MIN_BOOTSTRAP_VALUES
    seeds = "" if has_intervals else f"; no intervals for fewer than {MIN_BOOTSTRAP_VALUES} seeds"
    names = [workload.name for workload in spec.workloads]
    return Table(
        caption=f"Across workloads: median steps to the target by those of the fastest arm, the score of these "
        f"(0 to 1), and the {kind} of the differences to {spec.protocol.reference} in {unit}{seeds}",
        headings=("arm", *names, "score", f"{kind} difference (95 %)"),
        rows=tuple(
            (
                Cell(text=arm.arm),
                *(
                    Cell(text=_ratio_text(workload, arm.arm, ratio))
                    for workload, ratio in zip(report.workloads, arm.ratios, strict=True)
                ),
                Cell(text=number(arm.score)),
                Cell(
                    text=signed(arm.iqm),
                    lines=(interval_text(arm.iqm_interval_95),) if arm.iqm_interval_95 is not None else (),
                ),
            )
            for arm in aggregate.arms
        ),
    )


def _ratio_text(workload: WorkloadReport, arm: str, ratio: float | None) -> str:
    if workload.target is None or not workload.target.for_arm(arm).seeds:
        return "–"
    return "never" if ratio is None else number(ratio)
