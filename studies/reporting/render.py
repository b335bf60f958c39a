"""Renders a report in every format: JSON, HTML, Markdown, CSV, LaTeX, and its figures as SVG and PNG."""

import json

from studies.records.rows import Rows
from studies.reporting.figures.gallery import render_figures
from studies.reporting.formats.csv import render_csv
from studies.reporting.formats.html import render_html
from studies.reporting.formats.latex import render_latex
from studies.reporting.formats.markdown import render_markdown
from studies.reporting.report import Report


def render(report: Report, rows: Rows) -> dict[str, bytes]:
    """Return the report's files by name.

    They are `report.json`, `.html`, `.md`, `.csv` and `.tex`, and for each figure `<figure>.svg` and `<figure>.png`.

    Args:
        report: The report.
        rows: The rows it was computed from, the runs with their series.
    """
    figures = render_figures(report, rows)
    texts = {
        "report.json": _json(report),
        "report.html": render_html(report, figures, rows),
        "report.md": render_markdown(report, figures, rows),
        "report.csv": render_csv(report),
        "report.tex": render_latex(report),
        **{f"{figure.name}.svg": figure.svg for figure in figures},
    }
    return {name: text.encode() for name, text in texts.items()} | {
        f"{figure.name}.png": figure.png for figure in figures
    }


def _json(report: Report) -> str:
    return json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
