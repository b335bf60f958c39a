"""Posting and listing studies, following them, and what can be asked of them."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response

from service import verbs
from service.conditions import conditions
from service.dependencies import Cursor, Limit, SettingsGiven, StoreGiven, StudyId
from service.entities import PostedKey, StudyRow
from service.examples import STUDY_JSON, STUDY_YAML
from service.posted import PostedBody
from service.problems import documented
from service.progress import progress_answer
from service.runners import Runners
from service.schemas import Links, StudyAnswer, StudyPage, StudySummary
from service.settings import Settings
from service.states import State
from service.store import Store, Verb
from studies.plan import progress
from studies.resolve import resolve

router = APIRouter(tags=["studies"])

IdempotencyKey = Annotated[
    str | None,
    Header(min_length=1, max_length=255, description="The same key with the same body is the same study; 422 else."),
]

_DEFINITION = {"$ref": "#/components/schemas/StudyDefinition"}
_POSTED: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "The study; YAML also as `application/x-yaml`, `text/yaml` or `text/x-yaml`.",
        "content": {
            "application/json": {"schema": _DEFINITION, "examples": {"small": {"value": STUDY_JSON}}},
            "application/yaml": {"schema": _DEFINITION, "examples": {"small": {"value": STUDY_YAML}}},
        },
    }
}
_ASKED = documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)
_LOCATION = {"headers": {"Location": {"description": "The study.", "schema": {"type": "string"}}}}


@router.post(
    "/studies",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=_POSTED,
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
        warnings=row.spec.warnings(),
        conditions=conditions(row, found.searches, ahead, datetime.now(UTC)),
        progress=progress_answer(found, row.spec.protocol.direction),
        links=Links(
            self=path,
            runs=f"{path}/runs",
            events=f"{path}/events",
            report=f"{path}/report" if has_report else None,
            mlflow=None if row.experiment is None else experiment,
        ),
    )
