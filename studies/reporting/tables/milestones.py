"""Tables of a metric during training, as the paper states it after an epoch and later ones."""

import numpy as np

from studies.analysis.comparison import confirm_runs
from studies.formatting import label, metric
from studies.records.rows import Outcome, Rows
from studies.reporting.report import Report, WorkloadReport
from studies.reporting.series import align_by_step, recorded_metrics
from studies.reporting.tables.table import Cell, Table

#: Share of the run after which a metric is stated, besides its first and last point.
MIDDLE = 1 / 3


def milestone_tables(report: Report, workload: WorkloadReport, rows: Rows) -> tuple[Table, ...]:
    """Return for each recorded metric its mean at the first point, after a third, and at the end; one row an arm.

    Args:
        report: The report.
        workload: Its part on that workload.
        rows: The study's rows, the runs with their series.
    """
    return tuple(_table(report, workload, rows, name) for name in recorded_metrics(workload, rows))


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
    steps, _ = align_by_step([series for arm_series in finished.values() for series in arm_series])
    indices = sorted({0, int(np.argmin(np.abs(steps - MIDDLE * steps[-1]))), len(steps) - 1}) if len(steps) else []
    milestones = [steps[index] for index in indices]
    cells: list[tuple[Cell, ...]] = []
    for arm, arm_series in finished.items():
        arm_steps, values = align_by_step(arm_series)
        columns = [
            values[:, int(np.searchsorted(arm_steps, step))] if arm_series else np.empty(0) for step in milestones
        ]
        cells.append((Cell(text=arm), *(_cell(column) for column in columns)))
    return Table(
        caption=f"{workload.workload}: {label(name)} along the way, mean over the confirm seeds that did not diverge, "
        "lowest to highest below",
        headings=("arm", *(_step_label(int(step), epoch) for step in milestones)),
        rows=tuple(cells),
    )


def _cell(values: np.ndarray[tuple[int], np.dtype[np.floating]]) -> Cell:
    if not len(values):
        return Cell(text="–")
    return Cell(
        text=metric(float(values.mean())), lines=(f"{metric(float(values.min()))} to {metric(float(values.max()))}",)
    )


def _step_label(step: int, epoch: int) -> str:
    return f"step {step:,}" if epoch == 1 or step % epoch else f"epoch {step // epoch:,}"
