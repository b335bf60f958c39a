"""The table of estimated and actual cost."""

from studies.analysis.arm_report import ArmCost
from studies.formatting import duration
from studies.planning.estimate import TrainingCost
from studies.reporting.report import Report
from studies.reporting.tables.table import Cell, Table


def cost_table(report: Report) -> Table | None:
    """Return runs, steps and seconds, estimated and actual, one row an arm and workload; None without an estimate.

    Args:
        report: The report.
    """
    estimate = report.provenance.estimate
    if estimate is None:
        return None
    costs = {(workload.workload, arm.arm): arm.spent for workload in report.workloads for arm in workload.arms}
    rows = [
        _row(
            f"{estimated.arm} on {estimated.workload}",
            estimated.expected,
            costs[estimated.workload, estimated.arm],
            estimated.basis.value,
        )
        for estimated in estimate.arms
    ]
    elapsed = report.provenance.elapsed_seconds
    return Table(
        caption="What the study took, beside what it was estimated to take",
        headings=("arm", "runs", "steps", "seconds of packs", "seconds", "by"),
        rows=(*rows, _row("all", estimate.expected, _total(list(costs.values())), "", elapsed)),
    )


def _row(
    name: str, expected: TrainingCost, actual: ArmCost, basis: str, elapsed: float | None = None
) -> tuple[Cell, ...]:
    runs = actual.search_runs + actual.confirm_runs
    wall = "" if elapsed is None else _actual_and_estimated(duration(elapsed), duration(expected.seconds))
    return (
        Cell(text=name),
        Cell(text=_actual_and_estimated(f"{runs:,}", f"{expected.search_runs + expected.confirm_runs:,}")),
        Cell(text=_actual_and_estimated(f"{actual.run_steps:,}", f"{expected.run_steps:,}")),
        Cell(text=_actual_and_estimated(duration(actual.seconds), duration(expected.pack_seconds))),
        Cell(text=wall),
        Cell(text=basis),
    )


def _actual_and_estimated(actual: str, estimated: str) -> str:
    return f"{actual} (estimated {estimated})"


def _total(costs: list[ArmCost]) -> ArmCost:
    return ArmCost(
        search_runs=sum(cost.search_runs for cost in costs),
        confirm_runs=sum(cost.confirm_runs for cost in costs),
        run_steps=sum(cost.run_steps for cost in costs),
        seconds=sum(cost.seconds for cost in costs),
    )
