"""The report's table of a metric along the way, as the paper's tables have it after an epoch and later ones."""

import numpy as np

from studies.analysis.comparison import confirm_runs
from studies.formatting import label, metric
from studies.records.rows import Outcome, Rows
from studies.reporting.report import Report, WorkloadReport
from studies.reporting.series import aligned, followed_metrics
from studies.reporting.tables.summary import Cell, Table

#: Where a metric is stated besides its first point and its last, as a share of the run.
MIDDLE = 1 / 3


def milestone_tables(report: Report, workload: WorkloadReport, rows: Rows) -> tuple[Table, ...]:
    """Return for each followed metric its mean at the first point, after a third, and at the end; one row an arm.

    Args:
        report: The report.
        workload: Its part on that workload.
        rows: The study's rows, the runs with their series.
    """
    return tuple(_table(report, workload, rows, name) for name in followed_metrics(workload, rows))


def _table(report: Report, workload: WorkloadReport, rows: Rows, name: str) -> Table:
    epoch = report.spec.workload(workload.workload).steps_per_epoch
    finished = {
        arm.arm: [
            series
            for run in confirm_runs(rows, workload.workload, arm.arm)
            if run.outcome is Outcome.FINISHED
            for series in run.series
            if series.name == name and len(series.steps)
        ]
        for arm in workload.arms
    }
    steps, _ = aligned([series for own in finished.values() for series in own])
    places = sorted({0, int(np.argmin(np.abs(steps - MIDDLE * steps[-1]))), len(steps) - 1}) if len(steps) else []
    chosen = [steps[place] for place in places]
    cells: list[tuple[Cell, ...]] = []
    for arm, own in finished.items():
        held, values = aligned(own)
        found = [values[:, int(np.searchsorted(held, step))] if own else np.empty(0) for step in chosen]
        cells.append((Cell(text=arm), *(_cell(each) for each in found)))
    return Table(
        caption=f"{workload.workload}: {label(name)} along the way, mean over the confirm seeds that did not diverge, "
        "lowest to highest below",
        headings=("arm", *(_place(int(step), epoch) for step in chosen)),
        rows=tuple(cells),
    )


def _cell(values: np.ndarray[tuple[int], np.dtype[np.floating]]) -> Cell:
    if not len(values):
        return Cell(text="–")
    return Cell(
        text=metric(float(values.mean())), lines=(f"{metric(float(values.min()))} to {metric(float(values.max()))}",)
    )


def _place(step: int, epoch: int) -> str:
    return f"step {step:,}" if epoch == 1 or step % epoch else f"epoch {step // epoch:,}"
