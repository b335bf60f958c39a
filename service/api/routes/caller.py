"""The caller of a request: for clients, and for a proxy that protects MLflow by asking it before each request."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from service.api.authorization import CallerDep, RequireRole
from service.api.problems import problem_responses
from service.roles import Role
from service.schemas.caller import CallerResponse

router = APIRouter(tags=["access"], dependencies=[Depends(RequireRole(Role.READER))])


@router.get("/caller", responses=problem_responses(HTTPStatus.UNPROCESSABLE_ENTITY))
async def show_caller(
    caller: CallerDep, role: Annotated[Role, Query(description="403 if the caller's role is lower.")] = Role.READER
) -> CallerResponse:
    """Return the caller, by API key or by a browser's session; never redirects to the login page."""
    await RequireRole(role)(caller)
    return CallerResponse(name=caller.name, role=caller.role, key_id=caller.key_id)
