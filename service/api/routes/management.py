"""Management of studies: clone, archive, delete, and cancel several at once."""

import hashlib
from collections.abc import Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from service.api.authorization import CallerDep, OwnStudyId, RequireRole, require_own_study
from service.api.body import BodyDep, OptionalBodyDep, parse_body
from service.api.dependencies import IdempotencyKeyHeader, SettingsDep, StoreDep, StudyId
from service.api.openapi import request_body
from service.api.presenters.study import present_study
from service.api.problems import BODY_STATUSES, LOCATION_HEADER, problem_responses, to_problem
from service.errors import ForbiddenError, UnknownStudyError, WrongStateError
from service.roles import Role
from service.schemas.requests import CANCELLABLE, MAX_CANCELLED, CancelRequest, CloneRequest
from service.schemas.studies import CancelledResponse, CancelResponse, StudyResponse
from service.storage.entities import Caller, IdempotencyKey
from service.storage.lifecycle.commands import archive, cancel, unarchive
from service.storage.repositories.deletions import Deletions
from service.storage.repositories.listing import StudyFilter
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.validation.compatibility import check_compatibility

router = APIRouter(tags=["studies"], dependencies=[Depends(RequireRole(Role.SUBMITTER))])


@router.post(
    "/studies/{study_id}/clone",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=request_body(CloneRequest, required=False),
    responses={202: LOCATION_HEADER} | problem_responses(HTTPStatus.NOT_FOUND, *BODY_STATUSES),
)
def clone_study(
    study_id: StudyId,
    body: OptionalBodyDep,
    caller: CallerDep,
    store: StoreDep,
    settings: SettingsDep,
    response: Response,
    idempotency_key: IdempotencyKeyHeader = None,
) -> StudyResponse:
    """Submit a study's spec again, optionally under another name; 422 if it can no longer be trained."""
    key = None
    if idempotency_key is not None:
        digest = hashlib.sha256(f"clone of {study_id} {body.digest}".encode()).hexdigest()
        key = IdempotencyKey(key=idempotency_key, digest=digest)
    clone_id = None if key is None else store.find_by_idempotency_key(key, caller.name)
    if clone_id is None:
        request = parse_body(CloneRequest, body)
        spec = store.study(study_id).spec
        if request.name is not None:
            spec = spec.model_copy(update={"name": request.name})
        check_compatibility(spec, Runners(store).catalogue())
        clone_id = store.add_study(spec, datetime.now(UTC), key, caller.name, reason=f"clone of {study_id}")
    response.headers["Location"] = f"/studies/{clone_id}"
    return present_study(store.study(clone_id), store, settings)


@router.post("/studies/{study_id}/archive", responses=problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
def archive_study(study_id: OwnStudyId, store: StoreDep, settings: SettingsDep) -> StudyResponse:
    """Archive an ended study: only the list of archived studies shows it. 409 if it has not ended."""
    store.execute(study_id, archive)
    return present_study(store.study(study_id), store, settings)


@router.post("/studies/{study_id}/unarchive", responses=problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
def unarchive_study(study_id: OwnStudyId, store: StoreDep, settings: SettingsDep) -> StudyResponse:
    """Show an archived study in the lists again. 409 if it has not ended."""
    store.execute(study_id, unarchive)
    return present_study(store.study(study_id), store, settings)


@router.delete(
    "/studies/{study_id}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    responses={202: {"description": "The study is deleted; its data outside the database are deleted later."}}
    | problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def delete_study(
    study_id: OwnStudyId,
    store: StoreDep,
    settings: SettingsDep,
    mlflow: Annotated[bool, Query(description="Whether to delete its MLflow experiment too.")] = False,
) -> Response:
    """Delete an ended study: its rows, its files and, optionally, its MLflow experiment. 409 if it has not ended."""
    complete = Deletions(settings, store).delete(study_id, datetime.now(UTC), mlflow=mlflow)
    return Response(status_code=HTTPStatus.NO_CONTENT if complete else HTTPStatus.ACCEPTED)


@router.post(
    "/studies/cancel",
    openapi_extra=request_body(CancelRequest),
    responses=problem_responses(*BODY_STATUSES),
)
def cancel_studies(body: BodyDep, caller: CallerDep, store: StoreDep) -> CancelResponse:
    """Cancel studies by id or by filter; the response has the result for each."""
    return cancel_all(store, parse_body(CancelRequest, body), caller)


def cancel_all(store: Store, request: CancelRequest, caller: Caller) -> CancelResponse:
    """Cancel studies independently of one another.

    Args:
        store: The database.
        request: Selects the studies.
        caller: The caller; a filter selects only studies that the caller may change.
    """
    if request.ids:
        return CancelResponse(studies=_cancel_each(store, dict.fromkeys(request.ids), caller), more=False)
    owner = None if caller.role is Role.ADMIN else caller.name
    study_filter = StudyFilter(states=request.state or CANCELLABLE, name=request.name, owner=owner)
    # newest first: a runner whose study is cancelled claims the oldest of equal priority
    page = store.studies(MAX_CANCELLED, study_filter=study_filter)
    return CancelResponse(
        studies=_cancel_each(store, [head.id for head in page.items], caller), more=page.next_cursor is not None
    )


def _cancel_each(store: Store, ids: Iterable[str], caller: Caller) -> tuple[CancelledResponse, ...]:
    return tuple(_cancel(store, study_id, caller) for study_id in ids)


def _cancel(store: Store, study_id: str, caller: Caller) -> CancelledResponse:
    try:
        state = store.execute(require_own_study(study_id, store, caller), cancel)
        return CancelledResponse(id=study_id, state=state, problem=None)
    except (UnknownStudyError, ForbiddenError, WrongStateError) as error:
        return CancelledResponse(id=study_id, state=None, problem=to_problem(error))
