"""Studies: submit, list, show, pause, resume, cancel and retry."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response
from fastapi.concurrency import run_in_threadpool

from service.api.authorization import CallerDep, ClientDep, OwnStudyId, RequireRole
from service.api.body import BodyDep, RequestBody
from service.api.dependencies import (
    ComputationsDep,
    Cursor,
    IdempotencyKeyHeader,
    Limit,
    NamePart,
    SettingsDep,
    States,
    StoreDep,
    StudyId,
)
from service.api.openapi import STUDY_REQUEST_BODY
from service.api.presenters.study import present_study, present_summary
from service.api.problems import BODY_STATUSES, LOCATION_HEADER, problem_responses
from service.errors import ForbiddenError
from service.roles import Role
from service.schemas.studies import StudyPage, StudyResponse
from service.settings import Settings
from service.storage.entities import IdempotencyKey
from service.storage.lifecycle import commands
from service.storage.repositories.listing import StudyFilter
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Command, Store
from studies.spec.study import StudySpec
from studies.validation.resolver import resolve

router = APIRouter(tags=["studies"], dependencies=[Depends(RequireRole(Role.READER))])
#: Of routes that change a study.
_SUBMITTERS = [Depends(RequireRole(Role.SUBMITTER))]

Priority = Annotated[int, Query(ge=-100, le=100, description="Studies of higher priority are claimed first.")]
Archived = Annotated[bool, Query(description="Only archived studies, instead of only others.")]

_COMMAND_RESPONSES = problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


@router.post(
    "/studies",
    status_code=HTTPStatus.ACCEPTED,
    dependencies=_SUBMITTERS,
    openapi_extra=STUDY_REQUEST_BODY,
    responses={202: LOCATION_HEADER} | problem_responses(*BODY_STATUSES),
)
async def submit(
    body: BodyDep,
    caller: CallerDep,
    client: ClientDep,
    store: StoreDep,
    settings: SettingsDep,
    computations: ComputationsDep,
    response: Response,
    priority: Priority = 0,
    idempotency_key: IdempotencyKeyHeader = None,
) -> StudyResponse:
    """Submit a study; it is validated at once, all faults are reported together, and it runs in turn."""
    key = None if idempotency_key is None else IdempotencyKey(key=idempotency_key, digest=body.digest)
    study_id = None
    if key is not None:
        study_id = await run_in_threadpool(store.find_by_idempotency_key, key, caller.name, priority=priority)
    if study_id is None:
        if priority > 0 and caller.role is not Role.ADMIN:
            raise ForbiddenError(f"a priority of {priority} takes an admin's key; a submitter's studies have 0 or less")
        spec = await computations.run(client, _resolve, body, store)
        study_id = await run_in_threadpool(
            store.add_study, spec, datetime.now(UTC), key, caller.name, priority=priority
        )
    response.headers["Location"] = f"/studies/{study_id}"
    return await run_in_threadpool(lambda: present_study(store.study(study_id), store, settings))


def _resolve(body: RequestBody, store: Store) -> StudySpec:
    return resolve(body.parse(), Runners(store).catalogue())


@router.get("/studies", responses=problem_responses(HTTPStatus.UNPROCESSABLE_ENTITY))
def list_studies(
    store: StoreDep,
    limit: Limit = 50,
    cursor: Cursor = None,
    state: States = (),
    name: NamePart = "",
    archived: Archived = False,
) -> StudyPage:
    """Return studies, newest first."""
    page = store.studies(limit, cursor, StudyFilter(states=tuple(state), name=name, archived=archived))
    return StudyPage(studies=tuple(present_summary(row) for row in page.items), next_cursor=page.next_cursor)


@router.get("/studies/{study_id}", responses=problem_responses(HTTPStatus.NOT_FOUND))
def show_study(study_id: StudyId, store: StoreDep, settings: SettingsDep) -> StudyResponse:
    """Return a study: its complete spec, state and progress."""
    return present_study(store.study(study_id), store, settings)


@router.post("/studies/{study_id}/pause", dependencies=_SUBMITTERS, responses=_COMMAND_RESPONSES)
def pause(study_id: OwnStudyId, store: StoreDep, settings: SettingsDep) -> StudyResponse:
    """Pause a study: no new packs start; those in training, or next in line, finish. 409 if it has ended."""
    return _execute(commands.pause, study_id, store, settings)


@router.post("/studies/{study_id}/resume", dependencies=_SUBMITTERS, responses=_COMMAND_RESPONSES)
def resume(study_id: OwnStudyId, store: StoreDep, settings: SettingsDep) -> StudyResponse:
    """Resume a paused study. 409 if it has ended."""
    return _execute(commands.resume, study_id, store, settings)


@router.post("/studies/{study_id}/cancel", dependencies=_SUBMITTERS, responses=_COMMAND_RESPONSES)
def cancel(study_id: OwnStudyId, store: StoreDep, settings: SettingsDep) -> StudyResponse:
    """Cancel a study now; its completed runs are kept. 409 if it has ended otherwise."""
    return _execute(commands.cancel, study_id, store, settings)


@router.post("/studies/{study_id}/retry", dependencies=_SUBMITTERS, responses=_COMMAND_RESPONSES)
def retry(study_id: OwnStudyId, store: StoreDep, settings: SettingsDep) -> StudyResponse:
    """Queue a failed study again; it continues from its completed runs. 409 if it ended otherwise."""
    return _execute(commands.retry, study_id, store, settings)


def _execute(command: Command, study_id: str, store: Store, settings: Settings) -> StudyResponse:
    store.execute(study_id, command)
    return present_study(store.study(study_id), store, settings)
