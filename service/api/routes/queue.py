"""The queue: which studies wait for a driver, and in which order."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from service.api.authorization import needs
from service.api.dependencies import StoreGiven
from service.api.problems import documented
from service.roles import Role
from service.schemas.studies import QueueAnswer, QueuedAnswer

router = APIRouter(tags=["studies"], dependencies=[Depends(needs(Role.READER))])


@router.get("/queue", responses=documented(HTTPStatus.UNPROCESSABLE_ENTITY))
def show_queue(
    store: StoreGiven, limit: Annotated[int, Query(ge=1, le=200, description="Most studies in the answer.")] = 50
) -> QueueAnswer:
    """Return the studies that wait for a driver, in the order in which they will be taken up."""
    waiting = store.queue(datetime.now(UTC))
    first = (QueuedAnswer(id=each.id, name=each.name, owner=each.owner, priority=each.priority) for each in waiting)
    return QueueAnswer(total=len(waiting), studies=tuple(first)[:limit])
