"""The report's forms: JSON, HTML, Markdown, CSV, LaTeX, and its pictures as SVG and PNG."""

import json

from studies.records.rows import Rows
from studies.reporting.figures.gallery import pictures
from studies.reporting.formats.csv import flat_table
from studies.reporting.formats.html import page
from studies.reporting.formats.latex import latex
from studies.reporting.formats.markdown import markdown
from studies.reporting.report import Report


def render(report: Report, rows: Rows) -> dict[str, bytes]:
    """Return the report's files by name.

    They are `report.json`, `.html`, `.md`, `.csv` and `.tex`, and for each picture `<picture>.svg` and `<picture>.png`.

    Args:
        report: The report.
        rows: The rows it was computed from, the runs with their series.
    """
    drawn = pictures(report, rows)
    texts = {
        "report.json": _json(report),
        "report.html": page(report, drawn, rows),
        "report.md": markdown(report, drawn, rows),
        "report.csv": flat_table(report),
        "report.tex": latex(report),
        **{f"{picture.name}.svg": picture.svg for picture in drawn},
    }
    return {name: text.encode() for name, text in texts.items()} | {f"{each.name}.png": each.png for each in drawn}


def _json(report: Report) -> str:
    return json.dumps(report.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
