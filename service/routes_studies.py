"""Posting and listing studies, following them, and what can be asked of them."""

import math
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Header, Query, Response

from service import verbs
from service.conditions import conditions
from service.dependencies import SettingsGiven, StoreGiven, StudyId
from service.entities import PostedKey, RunRow, StudyRow
from service.posted import POSTED, PostedBody
from service.problems import documented
from service.runners import Runners
from service.schemas import Links, ProgressAnswer, RunAnswer, RunPage, StudyAnswer, StudyPage, StudySummary
from service.settings import Settings
from service.states import State
from service.store import Store, Verb
from studies import budget
from studies.plan import progress
from studies.resolve import resolve
from studies.rows import Outcome

router = APIRouter(tags=["studies"])

Limit = Annotated[int, Query(ge=1, le=200, description="Most items in the page.")]
Cursor = Annotated[str | None, Query(max_length=64, description="`next_cursor` of the page before.")]
IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, description="The same key with the same body is the same study; 422 else."),
]

_ASKED = documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
_LOCATION = {"headers": {"Location": {"description": "The study.", "schema": {"type": "string"}}}}


@router.post(
    "/studies",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=POSTED,
    responses={202: _LOCATION}
    | documented(
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        HTTPStatus.UNPROCESSABLE_ENTITY,
    ),
)
def submit(
    posted: PostedBody,
    store: StoreGiven,
    settings: SettingsGiven,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> StudyAnswer:
    """Submit a study; it is checked at once, all faults are named together, and it runs when its turn comes."""
    key = None if idempotency_key is None else PostedKey(key=idempotency_key, digest=posted.digest)
    study_id = None if key is None else store.posted(key)
    if study_id is None:
        spec = resolve(posted.parse(), Runners(store).catalogue())
        study_id = store.add_study(spec, datetime.now(UTC), key)
    response.headers["Location"] = f"/studies/{study_id}"
    return _answer(store.study(study_id), store, settings)


@router.get("/studies", responses=documented(HTTPStatus.UNPROCESSABLE_ENTITY))
def list_studies(store: StoreGiven, limit: Limit = 50, cursor: Cursor = None) -> StudyPage:
    """Return studies, newest first."""
    page = store.studies(limit, cursor)
    return StudyPage(studies=tuple(_summary(row) for row in page.items), next_cursor=page.next_cursor)


@router.get("/studies/{study_id}", responses=documented(HTTPStatus.NOT_FOUND))
def show_study(study_id: StudyId, store: StoreGiven, settings: SettingsGiven) -> StudyAnswer:
    """Return a study: its complete spec, its state, how far it is."""
    return _answer(store.study(study_id), store, settings)


@router.get("/studies/{study_id}/runs", responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.UNPROCESSABLE_ENTITY))
def list_runs(study_id: StudyId, store: StoreGiven, limit: Limit = 100, cursor: Cursor = None) -> RunPage:
    """Return a study's runs in order of (workload, arm, stage, trial, seed)."""
    page = store.run_page(study_id, limit, cursor)
    return RunPage(runs=tuple(_run(row) for row in page.items), next_cursor=page.next_cursor)


@router.post("/studies/{study_id}/pause", responses=_ASKED)
def pause(study_id: StudyId, store: StoreGiven, settings: SettingsGiven) -> StudyAnswer:
    """Hand out nothing more of a study; what is in training, or next in line, is finished. 409 where it has ended."""
    return _asked(verbs.pause, study_id, store, settings)


@router.post("/studies/{study_id}/resume", responses=_ASKED)
def resume(study_id: StudyId, store: StoreGiven, settings: SettingsGiven) -> StudyAnswer:
    """Let a paused study go on. 409 where it has ended."""
    return _asked(verbs.resume, study_id, store, settings)


@router.post("/studies/{study_id}/cancel", responses=_ASKED)
def cancel(study_id: StudyId, store: StoreGiven, settings: SettingsGiven) -> StudyAnswer:
    """Stop a study now; its finished runs are kept. 409 where it has ended otherwise."""
    return _asked(verbs.cancel, study_id, store, settings)


@router.post("/studies/{study_id}/retry", responses=_ASKED)
def retry(study_id: StudyId, store: StoreGiven, settings: SettingsGiven) -> StudyAnswer:
    """Queue a failed study again; it goes on from its finished runs. 409 where it ended otherwise."""
    return _asked(verbs.retry, study_id, store, settings)


def _asked(verb: Verb, study_id: str, store: Store, settings: Settings) -> StudyAnswer:
    store.ask(study_id, verb)
    return _answer(store.study(study_id), store, settings)


def _summary(row: StudyRow) -> StudySummary:
    return StudySummary(
        id=row.id,
        name=row.spec.name,
        state=row.state,
        reason=row.reason,
        spec_hash=row.spec_hash,
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
    )


def _answer(row: StudyRow, store: Store, settings: Settings) -> StudyAnswer:
    found = progress(row.spec, store.rows(row.id))
    ahead = store.ahead(row) if row.state is State.QUEUED else 0
    path = f"/studies/{row.id}"
    has_report = bool(store.report_files(row.id))
    experiment = f"{settings.tracking_uri}/#/experiments/{row.experiment}"
    return StudyAnswer(
        **_summary(row).model_dump(),
        spec=row.spec,
        warnings=(*row.spec.warnings(), *budget.warnings(row.spec)),
        conditions=conditions(row, found.searches, ahead, datetime.now(UTC)),
        progress=ProgressAnswer(done=found.done, total=found.total),
        links=Links(
            self=path,
            runs=f"{path}/runs",
            events=f"{path}/events",
            report=f"{path}/report" if has_report else None,
            mlflow=None if row.experiment is None else experiment,
        ),
    )


def _run(row: RunRow) -> RunAnswer:
    run = row.run
    return RunAnswer(
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
