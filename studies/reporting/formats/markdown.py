"""The report as Markdown that links its figures."""

from collections.abc import Sequence

from studies.records.rows import Rows
from studies.reporting.figures.gallery import RenderedFigure
from studies.reporting.report import Report
from studies.reporting.tables.aggregate import aggregate_table
from studies.reporting.tables.comparison import comparison_table
from studies.reporting.tables.cost import cost_table
from studies.reporting.tables.milestones import milestone_tables
from studies.reporting.tables.summary import overview_table, summary_table
from studies.reporting.tables.table import Table
from studies.reporting.tables.tuning import steps_to_target_table, tuning_table


def render_markdown(report: Report, figures: Sequence[RenderedFigure], rows: Rows) -> str:
    """Return the report as Markdown.

    Args:
        report: The report.
        figures: Its figures, linked as `<name>.svg`.
        rows: The rows it was computed from, the runs with their series.
    """
    return "\n".join((*_opening(report), *_workloads(report, figures, rows), *_closing(report))) + "\n"


def _opening(report: Report) -> list[str]:
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


def _workloads(report: Report, figures: Sequence[RenderedFigure], rows: Rows) -> list[str]:
    lines: list[str] = []
    for workload in report.workloads:
        lines += [f"## {workload.workload}", "", *_table(summary_table(report, workload)), ""]
        lines += _figures(figures, workload.workload)
        for milestones in milestone_tables(report, workload, rows):
            lines += ["### Along the way", "", *_table(milestones), ""]
        steps_to_target = steps_to_target_table(workload)
        if steps_to_target is not None:
            lines += ["### Steps to the target", "", *_table(steps_to_target), ""]
        lines += ["### Tuning", "", *_table(tuning_table(report, workload)), ""]
        lines += ["### Searches and tests", "", *_table(comparison_table(report, workload)), ""]
    aggregate = aggregate_table(report)
    if aggregate is not None:
        lines += ["## Across workloads", "", *_table(aggregate), "", *_figures(figures, "")]
    return lines


def _closing(report: Report) -> list[str]:
    lines = ["## How to read this", "", *(f"- {note}" for note in report.notes), ""]
    lines += ["## Methods", "", *(f"{paragraph}\n" for paragraph in report.methods)]
    cost = cost_table(report)
    if cost is not None:
        lines += ["## Taken and estimated", "", *_table(cost), ""]
    provenance = report.provenance.model_dump(mode="json", exclude={"estimate", "elapsed_seconds", "mixed"})
    lines += ["## Provenance", "", *(f"- {name.replace('_', ' ')}: {_plain(v)}" for name, v in provenance.items())]
    return lines


def _figures(figures: Sequence[RenderedFigure], workload: str) -> list[str]:
    links = [f"![{figure.caption}]({figure.name}.svg)" for figure in figures if figure.workload == workload]
    return [line for link in links for line in (link, "")]


def _table(table: Table) -> list[str]:
    texts = [table.headings, *(tuple("<br>".join((cell.text, *cell.lines)) for cell in row) for row in table.rows)]
    lines = [f"| {' | '.join(row)} |" for row in texts]
    return [table.caption + ".", "", lines[0], f"|{' --- |' * len(table.headings)}", *lines[1:]]


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
