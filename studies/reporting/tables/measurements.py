"""Tables of everything measured, and of the objective of every confirm seed."""

from studies.formatting import label, metric, number
from studies.reporting.report import Report, WorkloadReport
from studies.reporting.tables.table import Cell, Table, interval_text
from studies.spec.objective import is_loss


def measurement_table(workload: WorkloadReport) -> Table:
    """Return every measured quantity over the confirm seeds, one row an arm and quantity.

    Args:
        workload: The workload's part of the report.
    """
    return Table(
        caption=f"{workload.workload}: everything measured; losses have geometric means, and intervals of their log10",
        headings=("arm", "quantity", "seeds", "mean", "95 % interval", "lowest", "highest"),
        rows=tuple(
            (
                Cell(text=arm.arm),
                Cell(text=label(summary.name)),
                Cell(text=str(summary.seeds)),
                Cell(text=metric(summary.center)),
                Cell(text=interval_text(summary.interval_95, "log10: " if is_loss(summary.name) else "")),
                Cell(text=metric(summary.lowest)),
                Cell(text=metric(summary.highest)),
            )
            for arm in workload.arms
            for summary in arm.summaries
        ),
    )


def seed_table(report: Report, workload: WorkloadReport) -> Table:
    """Return every confirm seed's final value of the objective, one row an arm.

    Args:
        report: The report.
        workload: Its part on that workload.
    """
    seeds = report.confirm_seeds
    rows: list[tuple[Cell, ...]] = []
    for arm in workload.arms:
        values = {seed.seed: "diverged" if seed.objective is None else number(seed.objective) for seed in arm.seeds}
        rows.append((Cell(text=arm.arm), *(Cell(text=values.get(seed, "–")) for seed in seeds)))
    caption = f"{workload.workload}: final {label(report.spec.protocol.objective)} of every confirm seed"
    return Table(caption=caption, headings=("arm", *map(str, seeds)), rows=tuple(rows))
