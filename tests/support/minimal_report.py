"""The smallest possible report, for tests of what stores and serves reports."""

#: The report's files by name.
MINIMAL_REPORT = {
    "report.json": b'{"provenance": {"study_id": "", "commit": ""}}',
    **{f"report.{form}": b"{}" for form in ("html", "md", "csv", "tex")},
    "curves.svg": b"<svg/>",
    "curves.png": b"\x89PNG",
}
