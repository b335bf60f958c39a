"""Who asks: for clients, and for a proxy that asks it before each request to what has no access control, as MLflow."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from service.api.authorization import CallerGiven, needs
from service.api.problems import documented
from service.roles import Role
from service.schemas.studies import CallerAnswer

router = APIRouter(tags=["access"], dependencies=[Depends(needs(Role.READER))])


@router.get("/caller", responses=documented(HTTPStatus.UNPROCESSABLE_ENTITY))
async def show_caller(
    caller: CallerGiven, role: Annotated[Role, Query(description="403 where the caller's is lower.")] = Role.READER
) -> CallerAnswer:
    """Return who asks, by key or by a browser's session; a browser is not sent to the login from here."""
    await needs(role)(caller)
    return CallerAnswer(name=caller.name, role=caller.role, key_id=caller.key_id)
