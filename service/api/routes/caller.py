"""The caller of a request: for clients, and for a proxy that asks before it passes a request on to something else."""

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Query, Request

from service.api.authorization import CallerDep, RequireRole
from service.api.middleware.csrf import require_same_origin
from service.api.mlflow_access import authorize_mlflow
from service.api.problems import problem_responses
from service.roles import Role
from service.schemas.caller import CallerResponse
from service.storage.entities import Caller

router = APIRouter(tags=["access"], dependencies=[Depends(RequireRole(Role.READER))])


@router.get("/caller", responses=problem_responses(HTTPStatus.UNPROCESSABLE_ENTITY))
async def show_caller(
    caller: CallerDep, role: Annotated[Role, Query(description="403 if the caller's role is lower.")] = Role.READER
) -> CallerResponse:
    """Return the caller, by API key or by a browser's session; never redirects to the login page."""
    await RequireRole(role)(caller)
    return _present(caller)


@router.get("/caller/mlflow", responses=problem_responses(HTTPStatus.UNPROCESSABLE_ENTITY))
async def authorize_mlflow_request(
    caller: CallerDep,
    request: Request,
    method: Annotated[str, Header(alias="X-Original-Method", description="The method of the request to MLflow.")],
    uri: Annotated[str, Header(alias="X-Original-URI", description="Its path and query as sent, from `/mlflow/` on.")],
) -> CallerResponse:
    """Return the caller if it may send a request to MLflow: 403 otherwise, and for pages of other sites."""
    require_same_origin(request, allow_unknown=True, method=method)
    authorize_mlflow(caller, method, uri)
    return _present(caller)


def _present(caller: Caller) -> CallerResponse:
    return CallerResponse(name=caller.name, role=caller.role, key_id=caller.key_id)
