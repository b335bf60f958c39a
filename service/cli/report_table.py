"""A report as tables for the terminal, one per workload."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from studies.analysis.arm_report import ArmReport, Summary
from studies.analysis.comparison import Comparison, Verdict
from studies.formatting import label, metric, number, probability
from studies.reporting.report import Report, WorkloadReport
from studies.spec.study import ArmSpec

_COLOURS = {
    Verdict.WIN: "green",
    Verdict.LOSS: "red",
    Verdict.TIE: "cyan",
    Verdict.UNDECIDED: "yellow",
    Verdict.INCOMPLETE: "yellow",
}
#: Narrower tables omit the smallest and largest value.
_MIN_WIDTH_FOR_EXTREMES = 100


def report_tables(report: Report, width: int) -> RenderableType:
    """Return the headline, every workload's table with its verdict, and the warnings.

    Args:
        report: The report.
        width: The terminal's width, in characters.
    """
    blocks: list[RenderableType] = []
    if report.spec.shortened:
        blocks.append(Panel(Text(f"{report.spec.shortened}.", "bold red"), border_style="red"))
    blocks.append(Text(f"{report.headline}\n", "bold"))
    for workload in report.workloads:
        blocks += [workload_table(report, workload, width), Text(f"\n{workload.verdict}\n")]
    blocks += [Text.assemble(("Warning: ", "yellow"), warning) for warning in report.warnings]
    return Group(*blocks)


def workload_table(report: Report, workload: WorkloadReport, width: int) -> Table:
    """Return the comparison on one workload as a table, with one row per arm.

    Args:
        report: The report.
        workload: The workload's part of the report.
        width: The terminal's width, in characters.
    """
    objective = report.spec.protocol.objective
    extremes = ["min", "max"] if width >= _MIN_WIDTH_FOR_EXTREMES else []
    metrics = [name for name in _metric_names(workload.arms) if name.startswith("test_") and name != "test_loss"]
    table = Table(title=Text(workload.workload, "bold"), title_justify="left", header_style="dim", box=None)
    table.add_column("arm", no_wrap=True, vertical="bottom")
    table.add_column("setting", vertical="bottom")
    for heading in ("diverged\ntrials", _two_lines(objective), *extremes, *map(_two_lines, metrics)):
        table.add_column(heading, justify="right", no_wrap=True, vertical="bottom")
    table.add_column(f"against\n{report.spec.protocol.reference}", no_wrap=True)
    table.add_column("p", justify="right", no_wrap=True)
    for arm in workload.arms:
        table.add_row(
            arm.arm,
            escape(_setting(arm, report.spec.arm(arm.arm))),
            f"{arm.search.diverged} of {len(arm.search.trials)}",
            *_objective(arm.objective)[: 1 + len(extremes)],
            *(_metric(arm, name) for name in metrics),
            *_verdict(arm.comparison),
        )
    return table


def _two_lines(name: str) -> str:
    return label(name).replace(" ", "\n", 1)


def _metric_names(arms: Iterable[ArmReport]) -> list[str]:
    return list(dict.fromkeys(summary.name for arm in arms for summary in arm.summaries))


def _setting(arm: ArmReport, spec: ArmSpec) -> str:
    if not spec.search:
        return "fixed"
    if arm.setting is None:
        return "not chosen"
    return ", ".join(f"{name} {number(arm.setting[name])}" for name in spec.search)


def _objective(summary: Summary | None) -> tuple[str, str, str]:
    if summary is None:
        return "diverged", "", ""
    return number(summary.center), number(summary.lowest), number(summary.highest)


def _metric(arm: ArmReport, name: str) -> str:
    summary = arm.summary(name)
    return metric(summary and summary.center)


def _verdict(comparison: Comparison | None) -> tuple[str, str]:
    if comparison is None:
        return "reference", ""
    return f"[{_COLOURS[comparison.verdict]}]{comparison.verdict}[/]", probability(comparison.p_adjusted)
