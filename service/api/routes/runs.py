"""A study's runs: all of them, page by page, or one."""

import math
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from service.api.authorization import needs
from service.api.dependencies import Cursor, Limit, RunId, StoreGiven, StudyId
from service.api.presenters.curves import read_curves
from service.api.problems import documented
from service.errors import UnknownWorkloadError, shown
from service.roles import Role
from service.schemas.requests import NO_NUL
from service.schemas.studies import CurvesAnswer, RunAnswer, RunPage
from service.storage.entities import RunRow
from service.storage.repositories.runs import read_one_run
from studies.records.rows import Outcome

router = APIRouter(tags=["studies"], dependencies=[Depends(needs(Role.READER))])


@router.get("/studies/{study_id}/runs", responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY))
def list_runs(study_id: StudyId, store: StoreGiven, limit: Limit = 100, cursor: Cursor = None) -> RunPage:
    """Return a study's runs in order of (workload, arm, stage, trial, seed)."""
    page = store.run_page(study_id, limit, cursor)
    return RunPage(runs=tuple(_answer(row) for row in page.items), next_cursor=page.next_cursor)


@router.get("/studies/{study_id}/runs/{run_id}", responses=documented(HTTPStatus.NOT_FOUND))
def show_run(study_id: StudyId, run_id: RunId, store: StoreGiven) -> RunAnswer:
    """Return a run that is done."""
    study = store.study(study_id)
    with store.reading() as connection:
        return _answer(read_one_run(connection, study.id, run_id))


def _answer(row: RunRow) -> RunAnswer:
    run = row.run
    return RunAnswer(
        id=row.id,
        workload=run.workload,
        arm=run.arm,
        stage=run.stage,
        trial=run.trial,
        seed=run.seed,
        setting=dict(row.setting),
        outcome=run.outcome,
        steps=run.steps,
        train_loss=None if run.outcome is Outcome.DIVERGED else _finite(run.train_loss),
        metrics={name: _finite(value) for name, value in run.metrics.items()},
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


curves_router = APIRouter(tags=["studies"], dependencies=[Depends(needs(Role.READER))])
SeriesName = Annotated[
    str, Query(max_length=100, pattern=NO_NUL, description="One of `names` of the answer, as `train_loss`.")
]
WorkloadName = Annotated[str, Path(description="The workload's name within the study.", examples=["digits_mlp"])]


@curves_router.get(
    "/studies/{study_id}/workloads/{workload}/curves",
    responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def show_curves(
    study_id: StudyId, workload: WorkloadName, store: StoreGiven, series: SeriesName = "train_loss"
) -> CurvesAnswer:
    """Return a series of a few runs of each arm on a workload: confirm runs, or those of the best trial so far."""
    study = store.study(study_id)
    names = [each.name for each in study.spec.workloads]
    if workload not in names:
        raise UnknownWorkloadError(f"study {study_id} has no workload {shown(workload)}; it has {', '.join(names)}")
    found = store.progress(study)
    with store.reading() as connection:
        return read_curves(connection, study_id, study.spec, found, workload, series)
