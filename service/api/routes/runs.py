"""A study's runs: a paged list, a single run, and the curves of a workload."""

import math
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from service.api.authorization import RequireRole
from service.api.dependencies import Cursor, Limit, RunId, StoreDep, StudyId
from service.api.presenters.curves import read_curves
from service.api.problems import problem_responses
from service.errors import UnknownWorkloadError, quote_value
from service.roles import Role
from service.schemas.requests import NO_NUL
from service.schemas.runs import CurvesResponse, RunPage, RunResponse
from service.storage.entities import RunRow
from service.storage.repositories.runs import read_run
from studies.records.rows import Outcome

router = APIRouter(tags=["studies"], dependencies=[Depends(RequireRole(Role.READER))])

SeriesName = Annotated[
    str, Query(max_length=100, pattern=NO_NUL, description="One of `names` of the answer, as `train_loss`.")
]
WorkloadName = Annotated[str, Path(description="The workload's name within the study.", examples=["digits_mlp"])]


@router.get(
    "/studies/{study_id}/runs", responses=problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY)
)
def list_runs(study_id: StudyId, store: StoreDep, limit: Limit = 100, cursor: Cursor = None) -> RunPage:
    """Return a study's runs in order of (workload, arm, stage, trial, seed)."""
    page = store.run_page(study_id, limit, cursor)
    return RunPage(runs=tuple(_run_response(row) for row in page.items), next_cursor=page.next_cursor)


@router.get("/studies/{study_id}/runs/{run_id}", responses=problem_responses(HTTPStatus.NOT_FOUND))
def show_run(study_id: StudyId, run_id: RunId, store: StoreDep) -> RunResponse:
    """Return a completed run."""
    study = store.study(study_id)
    with store.reading() as connection:
        return _run_response(read_run(connection, study.id, run_id))


@router.get(
    "/studies/{study_id}/workloads/{workload}/curves",
    responses=problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def show_curves(
    study_id: StudyId, workload: WorkloadName, store: StoreDep, series: SeriesName = "train_loss"
) -> CurvesResponse:
    """Return one series for a few runs of each arm on a workload: confirm runs, else runs of the best trial so far."""
    study = store.study(study_id)
    names = [spec.name for spec in study.spec.workloads]
    if workload not in names:
        raise UnknownWorkloadError(
            f"study {study_id} has no workload {quote_value(workload)}; it has {', '.join(names)}"
        )
    progress = store.progress(study)
    with store.reading() as connection:
        return read_curves(connection, study_id, study.spec, progress, workload, series)


def _run_response(row: RunRow) -> RunResponse:
    run = row.run
    return RunResponse(
        id=row.id,
        workload=run.workload,
        arm=run.arm,
        stage=run.stage,
        trial=run.trial,
        seed=run.seed,
        setting=dict(row.setting),
        outcome=run.outcome,
        steps=run.steps,
        train_loss=None if run.outcome is Outcome.DIVERGED else _finite_or_none(run.train_loss),
        metrics={name: _finite_or_none(value) for name, value in run.metrics.items()},
    )


def _finite_or_none(value: float) -> float | None:
    return value if math.isfinite(value) else None
