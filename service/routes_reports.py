"""What is about the reports of all studies: one report of several, and the schema of reports."""

from http import HTTPStatus
from importlib.resources import files
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Response
from fastapi.exceptions import RequestValidationError

from service.access import needs
from service.dependencies import StoreGiven
from service.forms import Form
from service.joint_reports import joint_report
from service.problems import documented
from service.roles import Role
from service.routes_report import CONTENT, HEADERS, MEDIA_TYPES, accepted

router = APIRouter(tags=["report"], dependencies=[Depends(needs(Role.READER))])

Studies = Annotated[
    list[Annotated[str, Query(max_length=64)]],
    Query(alias="study", min_length=2, max_length=10, description="An id; each study once, 2 to 10 of them."),
]
Chosen = Annotated[Form | None, Query(description="The form; by Accept where not given.")]

_SCHEMA = "application/schema+json"
_ANSWERS: dict[int | str, dict[str, Any]] = {200: {"content": CONTENT}}


@router.get(
    "/reports",
    response_class=Response,
    responses=_ANSWERS
    | documented(HTTPStatus.NOT_FOUND, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY),
)
def show_joint_report(
    studies: Studies, store: StoreGiven, form: Chosen = None, accept: Annotated[str, Header()] = ""
) -> Response:
    """Return one report of several studies of one protocol; 422 with every field that must not differ and does."""
    if len(set(studies)) < len(studies):
        raise RequestValidationError(
            [{"loc": ("query", "study"), "msg": "give each study once", "type": "value_error"}]
        )
    chosen = form or accepted(accept)
    content = joint_report(store, studies, f"report.{chosen.value}")
    return Response(content, headers=HEADERS | {"Vary": "Accept"}, media_type=MEDIA_TYPES[chosen])


@router.get(
    "/reports/schema",
    response_class=Response,
    responses={200: {"content": {_SCHEMA: {"schema": {"type": "object"}}}}} | documented(),
)
def show_schema() -> Response:
    """Return the JSON schema of the report; its `schema_version` says which one a report has."""
    content = files("studies").joinpath("report.schema.json").read_bytes()
    return Response(content, media_type=_SCHEMA)
