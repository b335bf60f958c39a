"""Numbers of a report: every arm, comparisons, tuning, aggregates."""
