"""The report's forms: JSON, HTML, Markdown, CSV, and its pictures as SVG."""

import json
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from studies.cost_table import cost_table
from studies.figures import Picture, pictures
from studies.flat_table import flat_table
from studies.report import Report
from studies.rows import Rows
from studies.summary_table import Table, comparison_table, measurement_table, overview_table, seed_table, summary_table

#: HTML knows an inner SVG without being told.
NAMESPACE = ' xmlns="http://www.w3.org/2000/svg"'


def render(report: Report, rows: Rows) -> dict[str, bytes]:
    """Return the report's files by name: `report.json`, `.html`, `.md`, `.csv`, and `<picture>.svg` for each picture.

    Args:
        report: The report.
        rows: The rows it was computed from, the runs with their series.
    """
    drawn = pictures(report, rows)
    texts = {
        "report.json": _json(report),
        "report.html": _html(report, drawn),
        "report.md": _markdown(report, drawn),
        "report.csv": flat_table(report),
        **{f"{picture.name}.svg": picture.svg for picture in drawn},
    }
    return {name: text.encode() for name, text in texts.items()}


def _json(report: Report) -> str:
    return json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _html(report: Report, drawn: Sequence[Picture]) -> str:
    environment = Environment(
        loader=PackageLoader("studies.templates", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = [
        {
            "workload": workload,
            "summary": summary_table(report, workload),
            "comparison": comparison_table(report, workload),
            "measurements": measurement_table(workload),
            "seeds": seed_table(report, workload),
            "pictures": [
                (Markup(picture.svg.replace(NAMESPACE, "")), picture.caption)
                for picture in drawn
                if picture.workload == workload.workload
            ],
        }
        for workload in report.workloads
    ]
    spec = json.dumps(report.spec.model_dump(mode="json"), indent=2, ensure_ascii=False)
    template = environment.get_template("report.html")
    return template.render(
        report=report, overview=overview_table(report), sections=sections, spec=spec, cost=cost_table(report)
    )


def _markdown(report: Report, drawn: Sequence[Picture]) -> str:
    lines = [f"# {report.spec.name}", ""]
    if report.spec.shortened:
        lines += [f"# ⚠ {report.spec.shortened}.", ""]
    if report.cut_short:
        lines += [f"**{report.cut_short}.**", ""]
    lines += [f"**{workload.workload}.** {workload.verdict}\n" for workload in report.workloads]
    if report.warnings:
        lines += ["## Warnings", "", *(f"- {warning}" for warning in report.warnings), ""]
    if len(report.workloads) > 1:
        lines += ["## Overview", "", *_markdown_table(overview_table(report)), ""]
    for workload in report.workloads:
        lines += [f"## {workload.workload}", "", *_markdown_table(summary_table(report, workload)), ""]
        lines += ["### Searches and tests", "", *_markdown_table(comparison_table(report, workload)), ""]
        for picture in drawn:
            if picture.workload == workload.workload:
                lines += [f"![{picture.caption}]({picture.name}.svg)", ""]
    lines += ["## How to read this", "", *(f"- {note}" for note in report.notes), ""]
    cost = cost_table(report)
    if cost is not None:
        lines += ["## Taken and estimated", "", *_markdown_table(cost), ""]
    provenance = report.provenance.model_dump(mode="json", exclude={"estimate", "elapsed_seconds"})
    lines += ["## Provenance", "", *(f"- {name.replace('_', ' ')}: {_plain(v)}" for name, v in provenance.items())]
    return "\n".join(lines) + "\n"


def _markdown_table(table: Table) -> list[str]:
    texts = [table.headings, *(tuple("<br>".join((cell.text, *cell.lines)) for cell in row) for row in table.rows)]
    lines = [f"| {' | '.join(row)} |" for row in texts]
    return [lines[0], f"|{' --- |' * len(table.headings)}", *lines[1:]]


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {version}" for name, version in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
