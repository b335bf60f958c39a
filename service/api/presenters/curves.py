"""Curves: one series for a few runs of each arm on a workload."""

import math
from typing import Any

from sqlalchemy import Connection, Row, and_, select

from service.schemas.runs import CurveResponse, CurvesResponse
from service.storage.entities import format_run_id
from service.storage.mappers import series_by_run
from service.storage.tables import runs, series
from studies.planning.progress import Progress
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec

#: Enough to see the variation between seeds.
MAX_RUNS_PER_ARM = 3


def read_curves(
    connection: Connection, study_id: str, spec: StudySpec, progress: Progress, workload: str, name: str
) -> CurvesResponse:
    """Return one series for a few runs of each arm on a workload.

    Args:
        connection: A connection in a transaction.
        study_id: The study.
        spec: The study's spec.
        progress: The study's progress.
        workload: The name of one of its workloads.
        name: The name of the series.
    """
    selected = [
        row
        for arm in spec.arms
        for row in _select_runs(
            connection, study_id, workload, arm.name, _best_trial_number(progress, workload, arm.name)
        )
    ]
    if not selected:
        return CurvesResponse(workload=workload, names=(), series=name, curves=())
    # selects a few more series than needed: by exact (pack, lane) pairs SQLite would scan all series of the study
    packs, lanes = {row.pack for row in selected}, {row.lane for row in selected}
    condition = and_(series.c.study == study_id, series.c.pack.in_(packs), series.c.lane.in_(lanes))
    names = connection.execute(select(series.c.name).where(condition).order_by(series.c.position)).scalars()
    followed = series_by_run(connection.execute(select(series).where(condition, series.c.name == name)))
    return CurvesResponse(
        workload=workload,
        names=tuple(dict.fromkeys(names)),
        series=name,
        curves=tuple(
            CurveResponse(
                arm=row.arm,
                stage=Stage(row.stage),
                trial=row.trial,
                seed=row.seed,
                run=format_run_id(row.pack, row.lane),
                steps=run_series.steps,
                values=tuple(value if math.isfinite(value) else None for value in run_series.values),
            )
            for row in selected
            for run_series in followed.get((row.pack, row.lane), ())
        ),
    )


def _best_trial_number(progress: Progress, workload: str, arm: str) -> int | None:
    """Return the number of the best trial of an arm's search so far, None if there is none."""
    best = progress.arms[workload, arm].search.best
    return None if best is None else best.trial.number


def _select_runs(
    connection: Connection, study_id: str, workload: str, arm: str, best: int | None
) -> list[Row[*tuple[Any, ...]]]:
    """Return the first confirm runs of an arm or, if there are none, the search runs of its best trial."""
    arm_runs = select(runs).where(runs.c.study == study_id, runs.c.workload == workload, runs.c.arm == arm)
    confirmed = arm_runs.where(runs.c.stage == Stage.CONFIRM.value)
    searched = arm_runs.where(runs.c.stage == Stage.SEARCH.value, runs.c.trial == best)
    for query in (confirmed, searched):
        rows = connection.execute(query.order_by(runs.c.trial, runs.c.seed).limit(MAX_RUNS_PER_ARM)).all()
        if rows:
            return list(rows)
    return []
