"""The report as Markdown, its pictures beside it."""

from collections.abc import Sequence

from studies.records.rows import Rows
from studies.reporting.figures.gallery import Picture
from studies.reporting.report import Report
from studies.reporting.tables.aggregate import across_table
from studies.reporting.tables.cost import cost_table
from studies.reporting.tables.milestones import milestone_tables
from studies.reporting.tables.summary import Table, comparison_table, overview_table, summary_table
from studies.reporting.tables.tuning import speed_table, tuning_table


def markdown(report: Report, drawn: Sequence[Picture], rows: Rows) -> str:
    """Return the report as Markdown.

    Args:
        report: The report.
        drawn: Its pictures, which are linked as `<name>.svg`.
        rows: The rows it was computed from, the runs with their series.
    """
    return "\n".join((*_first(report), *_workloads(report, drawn, rows), *_last(report))) + "\n"


def _first(report: Report) -> list[str]:
    lines = [f"# {report.spec.name}", ""]
    if report.spec.shortened:
        lines += [f"# ⚠ {report.spec.shortened}.", ""]
    if report.cut_short:
        lines += [f"**{report.cut_short}.**", ""]
    lines += [f"**{report.headline}**", ""]
    if len(report.workloads) > 1:
        lines += [f"- {workload.workload}: {workload.headline}" for workload in report.workloads] + [""]
    warnings = [*report.warnings, *((f"{report.provenance.mixed}.",) if report.provenance.mixed else ())]
    if warnings:
        lines += ["## Warnings", "", *(f"- {warning}" for warning in warnings), ""]
    lines += [f"**{workload.workload}.** {workload.verdict}\n" for workload in report.workloads]
    if len(report.workloads) > 1:
        lines += ["## Overview", "", *_table(overview_table(report)), ""]
    return lines


def _workloads(report: Report, drawn: Sequence[Picture], rows: Rows) -> list[str]:
    lines: list[str] = []
    for workload in report.workloads:
        lines += [f"## {workload.workload}", "", *_table(summary_table(report, workload)), ""]
        lines += _pictures(drawn, workload.workload)
        for milestones in milestone_tables(report, workload, rows):
            lines += ["### Along the way", "", *_table(milestones), ""]
        speeds = speed_table(workload)
        if speeds is not None:
            lines += ["### Steps to the target", "", *_table(speeds), ""]
        lines += ["### Tuning", "", *_table(tuning_table(report, workload)), ""]
        lines += ["### Searches and tests", "", *_table(comparison_table(report, workload)), ""]
    across = across_table(report)
    if across is not None:
        lines += ["## Across workloads", "", *_table(across), "", *_pictures(drawn, "")]
    return lines


def _last(report: Report) -> list[str]:
    lines = ["## How to read this", "", *(f"- {note}" for note in report.notes), ""]
    lines += ["## Methods", "", *(f"{paragraph}\n" for paragraph in report.methods)]
    cost = cost_table(report)
    if cost is not None:
        lines += ["## Taken and estimated", "", *_table(cost), ""]
    provenance = report.provenance.model_dump(mode="json", exclude={"estimate", "elapsed_seconds", "mixed"})
    lines += ["## Provenance", "", *(f"- {name.replace('_', ' ')}: {_plain(v)}" for name, v in provenance.items())]
    return lines


def _pictures(drawn: Sequence[Picture], workload: str) -> list[str]:
    own = [picture for picture in drawn if picture.workload == workload]
    return [line for picture in own for line in (f"![{picture.caption}]({picture.name}.svg)", "")]


def _table(table: Table) -> list[str]:
    texts = [table.headings, *(tuple("<br>".join((cell.text, *cell.lines)) for cell in row) for row in table.rows)]
    lines = [f"| {' | '.join(row)} |" for row in texts]
    return [table.caption + ".", "", lines[0], f"|{' --- |' * len(table.headings)}", *lines[1:]]


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
