"""A report with everything it was computed from, as one zip."""
