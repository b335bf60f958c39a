"""The report as one HTML page that asks for nothing outside."""

import json
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from studies.records.rows import Rows
from studies.reporting.figures.gallery import Picture
from studies.reporting.report import Report
from studies.reporting.tables.aggregate import across_table
from studies.reporting.tables.cost import cost_table
from studies.reporting.tables.milestones import milestone_tables
from studies.reporting.tables.summary import (
    comparison_table,
    measurement_table,
    overview_table,
    seed_table,
    summary_table,
)
from studies.reporting.tables.tuning import speed_table, tuning_table

#: HTML knows an inner SVG without being told.
NAMESPACE = ' xmlns="http://www.w3.org/2000/svg"'


def page(report: Report, drawn: Sequence[Picture], rows: Rows) -> str:
    """Return the report as HTML, its pictures within.

    Args:
        report: The report.
        drawn: Its pictures.
        rows: The rows it was computed from, the runs with their series.
    """
    environment = Environment(
        loader=PackageLoader("studies.reporting.formats.templates", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = [
        {
            "place": place,
            "workload": workload,
            "summary": summary_table(report, workload),
            "milestones": milestone_tables(report, workload, rows),
            "speeds": speed_table(workload),
            "tuning": tuning_table(report, workload),
            "comparison": comparison_table(report, workload),
            "measurements": measurement_table(workload),
            "seeds": seed_table(report, workload),
            "pictures": _pictures(drawn, workload.workload),
        }
        for place, workload in enumerate(report.workloads)
    ]
    return environment.get_template("report.html").render(
        report=report,
        warnings=[*report.warnings, *((report.provenance.mixed,) if report.provenance.mixed else ())],
        overview=overview_table(report),
        sections=sections,
        across=across_table(report),
        across_pictures=_pictures(drawn, ""),
        spec=json.dumps(report.spec.model_dump(mode="json"), indent=2, ensure_ascii=False),
        cost=cost_table(report),
    )


def _pictures(drawn: Sequence[Picture], workload: str) -> list[tuple[Markup, str]]:
    own = [picture for picture in drawn if picture.workload == workload]
    return [(Markup(picture.svg.replace(NAMESPACE, "")), picture.caption) for picture in own]
