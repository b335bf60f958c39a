"""The report's table of what a study was estimated to take beside what it took."""

from studies.analysis.arm_report import Spent
from studies.formatting import duration
from studies.planning.estimate import Amount
from studies.reporting.report import Report
from studies.reporting.tables.summary import Cell, Table


def cost_table(report: Report) -> Table | None:
    """Return runs, steps and seconds, estimated and actual, one row an arm and workload; None without an estimate.

    Args:
        report: The report.
    """
    estimate = report.provenance.estimate
    if estimate is None:
        return None
    spent = {(workload.workload, arm.arm): arm.spent for workload in report.workloads for arm in workload.arms}
    rows = [
        _row(f"{each.arm} on {each.workload}", each.expected, spent[each.workload, each.arm], each.basis.value)
        for each in estimate.arms
    ]
    elapsed = report.provenance.elapsed_seconds
    return Table(
        caption="What the study took, beside what it was estimated to take",
        headings=("arm", "runs", "steps", "seconds of packs", "seconds", "by"),
        rows=(*rows, _row("all", estimate.expected, _sum(list(spent.values())), "", elapsed)),
    )


def _row(name: str, expected: Amount, spent: Spent, basis: str, elapsed: float | None = None) -> tuple[Cell, ...]:
    runs = spent.search_runs + spent.confirm_runs
    wall = "" if elapsed is None else _beside(duration(elapsed), duration(expected.seconds))
    return (
        Cell(text=name),
        Cell(text=_beside(f"{runs:,}", f"{expected.search_runs + expected.confirm_runs:,}")),
        Cell(text=_beside(f"{spent.run_steps:,}", f"{expected.run_steps:,}")),
        Cell(text=_beside(duration(spent.seconds), duration(expected.pack_seconds))),
        Cell(text=wall),
        Cell(text=basis),
    )


def _beside(actual: str, estimated: str) -> str:
    return f"{actual} (estimated {estimated})"


def _sum(spent: list[Spent]) -> Spent:
    return Spent(
        search_runs=sum(each.search_runs for each in spent),
        confirm_runs=sum(each.confirm_runs for each in spent),
        run_steps=sum(each.run_steps for each in spent),
        seconds=sum(each.seconds for each in spent),
    )
