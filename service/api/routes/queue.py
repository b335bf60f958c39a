"""The queue: the studies that wait for a driver, in order."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from service.api.authorization import RequireRole
from service.api.dependencies import StoreDep
from service.api.problems import problem_responses
from service.roles import Role
from service.schemas.queue import QueuedResponse, QueueResponse

router = APIRouter(tags=["studies"], dependencies=[Depends(RequireRole(Role.READER))])


@router.get("/queue", responses=problem_responses(HTTPStatus.UNPROCESSABLE_ENTITY))
def show_queue(
    store: StoreDep,
    limit: Annotated[int, Query(ge=1, le=200, description="Maximum number of studies in the response.")] = 50,
) -> QueueResponse:
    """Return the studies that wait for a driver, in the order in which they will be claimed."""
    waiting = store.queue(datetime.now(UTC))
    queued = (
        QueuedResponse(id=study.id, name=study.name, owner=study.owner, priority=study.priority) for study in waiting
    )
    return QueueResponse(total=len(waiting), studies=tuple(queued)[:limit])
