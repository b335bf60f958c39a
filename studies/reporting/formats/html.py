"""The report as one self-contained HTML page."""

import json
from collections.abc import Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from studies.records.rows import Rows
from studies.reporting.figures.gallery import RenderedFigure
from studies.reporting.report import Report
from studies.reporting.tables.aggregate import aggregate_table
from studies.reporting.tables.comparison import comparison_table
from studies.reporting.tables.cost import cost_table
from studies.reporting.tables.measurements import measurement_table, seed_table
from studies.reporting.tables.milestones import milestone_tables
from studies.reporting.tables.summary import overview_table, summary_table
from studies.reporting.tables.tuning import steps_to_target_table, tuning_table

#: HTML does not need the namespace of an inline SVG.
NAMESPACE = ' xmlns="http://www.w3.org/2000/svg"'


def render_html(report: Report, figures: Sequence[RenderedFigure], rows: Rows) -> str:
    """Return the report as HTML, with its figures inline.

    Args:
        report: The report.
        figures: Its figures.
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
            "index": index,
            "workload": workload,
            "summary": summary_table(report, workload),
            "milestones": milestone_tables(report, workload, rows),
            "steps_to_target": steps_to_target_table(workload),
            "tuning": tuning_table(report, workload),
            "comparison": comparison_table(report, workload),
            "measurements": measurement_table(workload),
            "seeds": seed_table(report, workload),
            "figures": _figures(figures, workload.workload),
        }
        for index, workload in enumerate(report.workloads)
    ]
    return environment.get_template("report.html").render(
        report=report,
        warnings=[*report.warnings, *((report.provenance.mixed,) if report.provenance.mixed else ())],
        overview=overview_table(report),
        sections=sections,
        aggregate=aggregate_table(report),
        aggregate_figures=_figures(figures, ""),
        spec=json.dumps(report.spec.model_dump(mode="json"), indent=2, ensure_ascii=False),
        cost=cost_table(report),
    )


def _figures(figures: Sequence[RenderedFigure], workload: str) -> list[tuple[Markup, str]]:
    workload_figures = [figure for figure in figures if figure.workload == workload]
    return [(Markup(figure.svg.replace(NAMESPACE, "")), figure.caption) for figure in workload_figures]
