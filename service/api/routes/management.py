"""Keeping order among studies: taking one once more, putting it away, deleting it, cancelling many."""

import hashlib
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from service.access import CallerGiven, OwnStudyId, needs
from service.answers import answer
from service.archive import archive, unarchive
from service.asked import CancelRequest, CloneRequest, read
from service.cancelling import cancel_all
from service.deletions import Deletions
from service.dependencies import IdempotencyKey, SettingsGiven, StoreGiven, StudyId
from service.entities import PostedKey
from service.posted import OptionalBody, PostedBody, body_of
from service.problems import BODY_PROBLEMS, LOCATION, documented
from service.roles import Role
from service.runners import Runners
from service.schemas import CancelAnswer, StudyAnswer
from studies.recheck import recheck

router = APIRouter(tags=["studies"], dependencies=[Depends(needs(Role.SUBMITTER))])


@router.post(
    "/studies/{study_id}/clone",
    status_code=HTTPStatus.ACCEPTED,
    openapi_extra=body_of(CloneRequest, required=False),
    responses={202: LOCATION} | documented(HTTPStatus.NOT_FOUND, *BODY_PROBLEMS),
)
def clone_study(
    study_id: StudyId,
    body: OptionalBody,
    caller: CallerGiven,
    store: StoreGiven,
    settings: SettingsGiven,
    response: Response,
    idempotency_key: IdempotencyKey = None,
) -> StudyAnswer:
    """Submit a study's spec once more, under another name if one is given; 422 where it can be trained no longer."""
    key = None
    if idempotency_key is not None:
        digest = hashlib.sha256(f"clone of {study_id} {body.digest}".encode()).hexdigest()
        key = PostedKey(key=idempotency_key, digest=digest)
    clone_id = None if key is None else store.posted(key, caller.name)
    if clone_id is None:
        asked = read(CloneRequest, body)
        spec = store.study(study_id).spec
        if asked.name is not None:
            spec = spec.model_copy(update={"name": asked.name})
        recheck(spec, Runners(store).catalogue())
        clone_id = store.add_study(spec, datetime.now(UTC), key, caller.name, reason=f"clone of {study_id}")
    response.headers["Location"] = f"/studies/{clone_id}"
    return answer(store.study(clone_id), store, settings)


@router.post("/studies/{study_id}/archive", responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
def archive_study(study_id: OwnStudyId, store: StoreGiven, settings: SettingsGiven) -> StudyAnswer:
    """Leave an ended study out of the lists, but for that of the archived ones. 409 where it has not ended."""
    store.ask(study_id, archive)
    return answer(store.study(study_id), store, settings)


@router.post("/studies/{study_id}/unarchive", responses=documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT))
def unarchive_study(study_id: OwnStudyId, store: StoreGiven, settings: SettingsGiven) -> StudyAnswer:
    """Bring an archived study back into the lists. 409 where it has not ended."""
    store.ask(study_id, unarchive)
    return answer(store.study(study_id), store, settings)


@router.delete(
    "/studies/{study_id}",
    status_code=HTTPStatus.NO_CONTENT,
    response_class=Response,
    responses={202: {"description": "It is gone; what is left of it outside the database follows."}}
    | documented(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def delete_study(
    study_id: OwnStudyId,
    store: StoreGiven,
    settings: SettingsGiven,
    mlflow: Annotated[bool, Query(description="Whether its experiment in MLflow is deleted too.")] = False,
) -> Response:
    """Delete an ended study: its rows and files, and by choice its MLflow experiment. 409 where it has not ended."""
    gone = Deletions(settings, store).delete(study_id, datetime.now(UTC), mlflow=mlflow)
    return Response(status_code=HTTPStatus.NO_CONTENT if gone else HTTPStatus.ACCEPTED)


@router.post(
    "/studies/cancel",
    openapi_extra=body_of(CancelRequest),
    responses=documented(*BODY_PROBLEMS),
)
def cancel_studies(body: PostedBody, caller: CallerGiven, store: StoreGiven) -> CancelAnswer:
    """Cancel the studies of some ids, or those that a filter finds; what becomes of each is answered."""
    return cancel_all(store, read(CancelRequest, body), caller)
