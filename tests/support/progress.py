"""The progress of a study, computed from all of its rows."""

from collections import Counter

from studies.planning.progress import Progress, progress
from studies.records.rows import Rows
from studies.spec.study import StudySpec


def progress_of(spec: StudySpec, rows: Rows) -> Progress:
    """Return how far a study is, with nothing known from before.

    Args:
        spec: The study.
        rows: All of its rows.
    """
    counts = Counter((run.workload, run.arm, run.stage) for run in rows.runs)
    return progress(spec, counts, rows.reached, {}, lambda _places: rows)
