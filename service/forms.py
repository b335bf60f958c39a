"""The forms that a report can be asked for in, by the service and its client."""

from enum import StrEnum


class Form(StrEnum):
    """A form of the report; its value is the file's extension."""

    JSON = "json"
    HTML = "html"
    MARKDOWN = "md"
    CSV = "csv"
    LATEX = "tex"
