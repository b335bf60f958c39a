"""A study's runs: all of them, page by page, or one."""

import math
from http import HTTPStatus

from fastapi import APIRouter, Depends

from service.access import needs
from service.dependencies import Cursor, Limit, RunId, StoreGiven, StudyId
from service.entities import RunRow
from service.problems import documented
from service.queries import read_one_run
from service.roles import Role
from service.schemas import RunAnswer, RunPage
from studies.rows import Outcome

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
