"""A report as tables for the terminal, one a workload."""

from collections.abc import Iterable

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from studies.arm_report import ArmReport
from studies.compare import Comparison, Verdict
from studies.report import Report, WorkloadReport
from studies.spec import ArmSpec
from studies.wording import label, metric, number, probability, setting

_COLOURS = {
    Verdict.WIN: "green",
    Verdict.LOSS: "red",
    Verdict.TIE: "cyan",
    Verdict.UNDECIDED: "yellow",
    Verdict.INCOMPLETE: "yellow",
}


def report_tables(report: Report) -> RenderableType:
    """Return every workload's table with its verdict, then the warnings.

    Args:
        report: The report.
    """
    blocks: list[RenderableType] = []
    for workload in report.workloads:
        blocks += [workload_table(report, workload), Text(workload.verdict), Text()]
    blocks += [Text.assemble(("Warning: ", "yellow"), warning) for warning in report.warnings]
    return Group(*blocks)


def workload_table(report: Report, workload: WorkloadReport) -> Table:
    """Return the comparison on one workload as a table, one row an arm.

    Args:
        report: The report.
        workload: Its part on that workload.
    """
    objective = report.spec.protocol.objective
    metrics = [name for name in _measured(workload.arms) if name.startswith("test_") and name != "test_loss"]
    table = Table(title=escape(workload.workload), title_style="bold", title_justify="left", header_style="bold")
    table.add_column("arm", no_wrap=True)
    table.add_column("setting")
    for heading in ("trials", f"final {label(objective)}", "min to max", *map(label, metrics)):
        table.add_column(heading, justify="right")
    table.add_column(f"against {report.spec.protocol.reference}")
    for arm in workload.arms:
        table.add_row(
            arm.arm,
            escape(_setting(arm, report.spec.arm(arm.arm))),
            _trials(arm),
            *_objective(arm),
            *(_metric(arm, name) for name in metrics),
            _verdict(arm.comparison),
        )
    return table


def _measured(arms: Iterable[ArmReport]) -> list[str]:
    return list(dict.fromkeys(summary.name for arm in arms for summary in arm.summaries))


def _setting(arm: ArmReport, spec: ArmSpec) -> str:
    if not spec.search:
        return "fixed"
    return setting(arm.setting and {name: arm.setting[name] for name in spec.search})


def _trials(arm: ArmReport) -> str:
    diverged = f" ({arm.search.diverged} diverged)" if arm.search.diverged else ""
    return f"{len(arm.search.trials)}{diverged}"


def _objective(arm: ArmReport) -> tuple[str, str]:
    if arm.objective is None:
        return "diverged" if arm.diverged else "-", ""
    diverged = f" ({arm.diverged} diverged)" if arm.diverged else ""
    return number(arm.objective.center) + diverged, f"{number(arm.objective.lowest)} to {number(arm.objective.highest)}"


def _metric(arm: ArmReport, name: str) -> str:
    summary = arm.summary(name)
    return metric(summary and summary.center)


def _verdict(comparison: Comparison | None) -> str:
    if comparison is None:
        return "(reference)"
    return f"[{_COLOURS[comparison.verdict]}]{comparison.verdict}[/] (p {probability(comparison.p_adjusted)})"
