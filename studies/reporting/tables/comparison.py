"""The table of search scores and of the tests behind the verdicts."""

from studies.analysis.arm_report import ArmReport
from studies.formatting import count, metric, number, probability, signed
from studies.reporting.report import Report, WorkloadReport
from studies.reporting.tables.table import Cell, Table, interval_text


def comparison_table(report: Report, workload: WorkloadReport) -> Table:
    """Return the searches' scores and the tests behind the verdicts, one row an arm.

    Args:
        report: The report.
        workload: Its part on that workload.
    """
    headings = (
        "arm",
        "range searched",
        "search score",
        "confirm score",
        "optimism gap",
        "mean difference (95 %)",
        "90 % interval",
        "test",
        "p",
        "adjusted p",
        "probability of improvement",
        "detectable difference",
        "luck of the searches",
    )
    scale = "decades (log10 of the loss)" if report.spec.objective.is_loss else "the objective's unit"
    caption = (
        f"{workload.workload}: searches and tests against {report.spec.protocol.reference}, differences in {scale}, "
        "positive where the arm is better"
    )
    return Table(caption=caption, headings=headings, rows=tuple(_comparison_row(arm) for arm in workload.arms))


def _comparison_row(arm: ArmReport) -> tuple[Cell, ...]:
    comparison = arm.comparison
    ranges = tuple(
        f"{name}: {number(search_range.low)} to {number(search_range.high)}"
        for name, search_range in arm.search.ranges.items()
    )
    extended = (f"extended {count(arm.search.extensions, 'time')}",) if arm.search.extensions else ()
    cells = [
        Cell(text=arm.arm),
        Cell(text="; ".join(ranges) or "–", lines=extended),
        Cell(text=number(arm.search_score)),
        Cell(text=number(arm.confirm_score)),
        Cell(text=signed(arm.optimism_gap)),
    ]
    if comparison is None:
        return (*cells, *(Cell(text="–") for _ in range(8)))
    difference = "–" if comparison.mean_difference is None else signed(comparison.mean_difference)
    return (
        *cells,
        Cell(text=difference, lines=(interval_text(comparison.interval_95),) if comparison.interval_95 else ()),
        Cell(text=interval_text(comparison.interval_90)),
        Cell(text=(comparison.test or "–").replace("_", " ")),
        Cell(text=probability(comparison.p)),
        Cell(text=probability(comparison.p_adjusted)),
        Cell(text=metric(comparison.probability_of_improvement)),
        Cell(text=number(comparison.minimum_detectable_effect)),
        Cell(text="–" if comparison.search_luck is None else f"±{number(comparison.search_luck)}"),
    )
