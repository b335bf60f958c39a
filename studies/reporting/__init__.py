"""The report: its text, tables, figures, formats and bundle."""
