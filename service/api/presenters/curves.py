"""What is to be seen of a study's arms so far: one series of a few runs of each."""

import math
from typing import Any

from sqlalchemy import Connection, Row, and_, select

from service.schemas.studies import CurveResponse, CurvesResponse
from service.storage.entities import run_id
from service.storage.mappers import read_series
from service.storage.tables import runs, series
from studies.planning.progress import Progress
from studies.spec.parameters import Stage
from studies.spec.study import StudySpec

#: Runs of an arm that are shown: enough to see how much seeds differ.
MAX_RUNS_PER_ARM = 3


def read_curves(
    connection: Connection, study_id: str, spec: StudySpec, found: Progress, workload: str, name: str
) -> CurvesResponse:
    """Return a series of a few runs of each arm on a workload.

    Args:
        connection: In a transaction.
        study_id: The study.
        spec: The study's.
        found: How far the study is.
        workload: One of the study's.
        name: Of the series.
    """
    chosen = [
        row
        for arm in spec.arms
        for row in _shown(connection, study_id, workload, arm.name, _best(found, workload, arm.name))
    ]
    if not chosen:
        return CurvesResponse(workload=workload, names=(), series=name, curves=())
    # these and a few more; for each of these alone SQLite would look at all series of the study
    packs, lanes = {row.pack for row in chosen}, {row.lane for row in chosen}
    own = and_(series.c.study == study_id, series.c.pack.in_(packs), series.c.lane.in_(lanes))
    names = connection.execute(select(series.c.name).where(own).order_by(series.c.position)).scalars()
    followed = read_series(connection.execute(select(series).where(own, series.c.name == name)))
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
                run=run_id(row.pack, row.lane),
                steps=each.steps,
                values=tuple(value if math.isfinite(value) else None for value in each.values),
            )
            for row in chosen
            for each in followed.get((row.pack, row.lane), ())
        ),
    )


def _best(found: Progress, workload: str, arm: str) -> int | None:
    """Return the number of the best trial of an arm's search so far, None where there is none."""
    best = found.arms[workload, arm].search.best
    return None if best is None else best.trial.number


def _shown(
    connection: Connection, study_id: str, workload: str, arm: str, best: int | None
) -> list[Row[*tuple[Any, ...]]]:
    """Return the first confirm runs of an arm, those of its best trial's search where there are none."""
    own = select(runs).where(runs.c.study == study_id, runs.c.workload == workload, runs.c.arm == arm)
    confirmed = own.where(runs.c.stage == Stage.CONFIRM.value)
    searched = own.where(runs.c.stage == Stage.SEARCH.value, runs.c.trial == best)
    for query in (confirmed, searched):
        rows = connection.execute(query.order_by(runs.c.trial, runs.c.seed).limit(MAX_RUNS_PER_ARM)).all()
        if rows:
            return list(rows)
    return []
