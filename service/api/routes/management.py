"""Keeping order among studies: taking one once more, putting it away, deleting it, cancelling many."""

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
from service.storage.entities import Caller, PostedKey
from service.storage.lifecycle.commands import archive, cancel, unarchive
from service.storage.repositories.deletions import Deletions
from service.storage.repositories.listing import Wanted
from service.storage.repositories.runners import Runners
from service.storage.repositories.studies import Store
from studies.validation.compatibility import recheck

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
    """Submit a study's spec once more, under another name if one is given; 422 where it can be trained no longer."""
    key = None
    if idempotency_key is not None:
        digest = hashlib.sha256(f"clone of {study_id} {body.digest}".encode()).hexdigest()
        key = PostedKey(key=idempotency_key, digest=digest)
    clone_id = None if key is None else store.posted(key, caller.name)
    if clone_id is None:
        asked = parse_body(CloneRequest, body)
        spec = store.study(study_id).spec
        if asked.name is not None:
            spec = spec.model_copy(update={"name": asked.name})
        recheck(spec, Runners(store).catalogue())
        clone_id = store.add_study(spec, datetime.now(UTC), key, caller.name, reason=f"clone of {study_id}")
    response.headers["Location"] = f"/studies/{clone_id}"
    return present_study(store.study(clone_id), store, settings)


@router.post("/studies/{study_id}/archive", responses=problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
def archive_study(study_id: OwnStudyId, store: StoreDep, settings: SettingsDep) -> StudyResponse:
    """Leave an ended study out of the lists, but for that of the archived ones. 409 where it has not ended."""
    store.ask(study_id, archive)
    return present_study(store.study(study_id), store, settings)


@router.post("/studies/{study_id}/unarchive", responses=problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
def unarchive_study(study_id: OwnStudyId, store: StoreDep, settings: SettingsDep) -> StudyResponse:
    """Bring an archived study back into the lists. 409 where it has not ended."""
    store.ask(study_id, unarchive)
    return present_study(store.study(study_id), store, settings)


@router.delete(
    "/studies/{study_id}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    responses={202: {"description": "It is gone; what is left of it outside the database follows."}}
    | problem_responses(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def delete_study(
    study_id: OwnStudyId,
    store: StoreDep,
    settings: SettingsDep,
    mlflow: Annotated[bool, Query(description="Whether its experiment in MLflow is deleted too.")] = False,
) -> Response:
    """Delete an ended study: its rows and files, and by choice its MLflow experiment. 409 where it has not ended."""
    gone = Deletions(settings, store).delete(study_id, datetime.now(UTC), mlflow=mlflow)
    return Response(status_code=HTTPStatus.NO_CONTENT if gone else HTTPStatus.ACCEPTED)


@router.post(
    "/studies/cancel",
    openapi_extra=request_body(CancelRequest),
    responses=problem_responses(*BODY_STATUSES),
)
def cancel_studies(body: BodyDep, caller: CallerDep, store: StoreDep) -> CancelResponse:
    """Cancel the studies of some ids, or those that a filter finds; what becomes of each is answered."""
    return cancel_all(store, parse_body(CancelRequest, body), caller)


def cancel_all(store: Store, asked: CancelRequest, caller: Caller) -> CancelResponse:
    """Cancel studies; what becomes of one changes nothing for the others.

    Args:
        store: The database.
        asked: Which ones.
        caller: Who asks; a filter finds only those that it may change.
    """
    if asked.ids:
        return CancelResponse(studies=_cancelled(store, dict.fromkeys(asked.ids), caller), more=False)
    owner = None if caller.role is Role.ADMIN else caller.name
    wanted = Wanted(states=asked.state or CANCELLABLE, name=asked.name, owner=owner)
    # newest first: among equals a runner that has lost its study takes the oldest
    found = store.studies(MAX_CANCELLED, wanted=wanted)
    return CancelResponse(
        studies=_cancelled(store, [head.id for head in found.items], caller), more=found.next_cursor is not None
    )


def _cancelled(store: Store, ids: Iterable[str], caller: Caller) -> tuple[CancelledResponse, ...]:
    return tuple(_cancel(store, study_id, caller) for study_id in ids)


def _cancel(store: Store, study_id: str, caller: Caller) -> CancelledResponse:
    try:
        state = store.ask(require_own_study(study_id, store, caller), cancel)
        return CancelledResponse(id=study_id, state=state, problem=None)
    except (UnknownStudyError, ForbiddenError, WrongStateError) as error:
        return CancelledResponse(id=study_id, state=None, problem=to_problem(error))
