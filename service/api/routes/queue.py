"""The queue: which studies wait for a driver, and in which order."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from service.api.authorization import RequireRole
from service.api.dependencies import StoreDep
from service.api.problems import problem_responses
from service.roles import Role
from service.schemas.studies import QueuedResponse, QueueResponse

router = APIRouter(tags=["studies"], dependencies=[Depends(RequireRole(Role.READER))])


@router.get("/queue", responses=problem_responses(HTTPStatus.UNPROCESSABLE_ENTITY))
def show_queue(
    store: StoreDep, limit: Annotated[int, Query(ge=1, le=200, description="Most studies in the answer.")] = 50
) -> QueueResponse:
    """Return the studies that wait for a driver, in the order in which they will be taken up."""
    waiting = store.queue(datetime.now(UTC))
    first = (QueuedResponse(id=each.id, name=each.name, owner=each.owner, priority=each.priority) for each in waiting)
    return QueueResponse(total=len(waiting), studies=tuple(first)[:limit])
