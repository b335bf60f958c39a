"""Formats of the report."""

from enum import StrEnum


class ReportFormat(StrEnum):
    """A format of the report; its value is the file's extension."""

    JSON = "json"
    HTML = "html"
    MARKDOWN = "md"
    CSV = "csv"
    LATEX = "tex"
