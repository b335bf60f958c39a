"""Who asks: for clients, and for a proxy that asks it before each request to what has no access control, as MLflow."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from service.api.authorization import CallerDep, RequireRole
from service.api.problems import problem_responses
from service.roles import Role
from service.schemas.studies import CallerResponse

router = APIRouter(tags=["access"], dependencies=[Depends(RequireRole(Role.READER))])


@router.get("/caller", responses=problem_responses(HTTPStatus.UNPROCESSABLE_ENTITY))
async def show_caller(
    caller: CallerDep, role: Annotated[Role, Query(description="403 where the caller's is lower.")] = Role.READER
) -> CallerResponse:
    """Return who asks, by key or by a browser's session; a browser is not sent to the login from here."""
    await RequireRole(role)(caller)
    return CallerResponse(name=caller.name, role=caller.role, key_id=caller.key_id)
