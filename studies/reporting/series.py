"""Recorded series of confirm runs: which metrics have one, and their values aligned by step."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from studies.analysis.comparison import confirm_runs
from studies.records.rows import Rows, Series
from studies.reporting.report import WorkloadReport
from studies.spec.objective import is_loss


def recorded_metrics(workload: WorkloadReport, rows: Rows) -> list[str]:
    """Return the metrics that confirm runs recorded a series of, on test data if there is any, else on validation data.

    Args:
        workload: The workload's part of the report.
        rows: The study's rows, the runs with their series.
    """
    runs = [run for arm in workload.arms for run in confirm_runs(rows, workload.workload, arm.arm)]
    names = {series.name for run in runs for series in run.series if not is_loss(series.name)}
    tested = {name for name in names if name.startswith("test_")}
    only_validated = {
        name for name in names if name.startswith("validation_") and f"test_{name.split('_', 1)[1]}" not in tested
    }
    return sorted(tested | only_validated)


def align_by_step(series: Sequence[Series]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
    """Return the steps that all series have, (steps,), and the values there, (seeds, steps).

    Args:
        series: One a seed.
    """
    if not series:
        return np.empty(0), np.empty((0, 0))
    steps = sorted(set(series[0].steps).intersection(*(other.steps for other in series[1:])))
    values_by_step = [dict(zip(one.steps, one.values, strict=True)) for one in series]
    return np.array(steps, dtype=float), np.array(
        [[values[step] for step in steps] for values in values_by_step], dtype=float
    )
