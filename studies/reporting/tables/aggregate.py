"""The report's table across workloads, one row an arm."""

from studies.analysis.statistics.intervals import MIN_BOOTSTRAP_VALUES
from studies.formatting import number, signed
from studies.reporting.report import Report, WorkloadReport
from studies.reporting.tables.summary import Cell, Table, interval_text

#: Fewer workloads are all kept by an interquartile mean.
FEWEST_CUT = 4


def across_table(report: Report) -> Table | None:
    """Return what is said across workloads, one row an arm; None for a single workload or arm.

    Args:
        report: The report.
    """
    found = report.across
    if found is None:
        return None
    spec = report.spec
    kind = "interquartile mean" if len(spec.workloads) >= FEWEST_CUT else "mean"
    unit = "decades" if spec.objective.is_loss else "the objective's unit"
    seeds = (
        ""
        if spec.protocol.confirm_seeds >= MIN_BOOTSTRAP_VALUES
        else f"; no intervals for fewer than {MIN_BOOTSTRAP_VALUES} seeds"
    )
    names = [workload.name for workload in spec.workloads]
    return Table(
        caption=f"Across workloads: median steps to the target by those of the fastest arm, the score of these "
        f"(0 to 1), and the {kind} of the differences to {spec.protocol.reference} in {unit}{seeds}",
        headings=("arm", *names, "score", f"{kind} difference (95 %)"),
        rows=tuple(
            (
                Cell(text=arm.arm),
                *(
                    Cell(text=_ratio(workload, arm.arm, ratio))
                    for workload, ratio in zip(report.workloads, arm.ratios, strict=True)
                ),
                Cell(text=number(arm.score)),
                Cell(
                    text=signed(arm.iqm),
                    lines=(interval_text(arm.iqm_interval_95),) if arm.iqm_interval_95 is not None else (),
                ),
            )
            for arm in found.arms
        ),
    )


def _ratio(workload: WorkloadReport, arm: str, ratio: float | None) -> str:
    if workload.target is None or not workload.target.of(arm).seeds:
        return "–"
    return "never" if ratio is None else number(ratio)
