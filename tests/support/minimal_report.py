"""A report as small as one can be, for tests of what serves reports."""

#: Its files by name.
A_REPORT = {
    "report.json": b'{"provenance": {"study_id": "", "commit": ""}}',
    **{f"report.{form}": b"{}" for form in ("html", "md", "csv", "tex")},
    "curves.svg": b"<svg/>",
    "curves.png": b"\x89PNG",
}
