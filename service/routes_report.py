"""A study's report: its forms by Accept header or by extension, and its figures."""

from enum import StrEnum
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Response
from starlette.exceptions import HTTPException

from service.access import needs
from service.dependencies import StoreGiven, StudyId
from service.negotiation import preferred
from service.problems import documented
from service.roles import Role
from service.store import Store

router = APIRouter(tags=["report"], dependencies=[Depends(needs(Role.READER))])


class Form(StrEnum):
    """A form of the report; its value is the file's extension."""

    JSON = "json"
    HTML = "html"
    MARKDOWN = "md"
    CSV = "csv"


#: PostgreSQL holds no text with a NUL, and refuses to look for one.
Figure = Annotated[str, Path(pattern=r"^[^\x00]+$", description="The figure's name, as the Markdown names it.")]

_MEDIA_TYPES = {
    Form.JSON: "application/json",
    Form.HTML: "text/html",
    Form.MARKDOWN: "text/markdown",
    Form.CSV: "text/csv",
}
_FORMS = {media_type: form for form, media_type in _MEDIA_TYPES.items()}
_SVG = "image/svg+xml"
_HEADERS = {
    # the report runs no script, here or in what it embeds
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",  # the study's page shows it
}
_CONTENT: dict[str, Any] = {
    media_type: {"schema": {"type": "object" if form is Form.JSON else "string"}} for media_type, form in _FORMS.items()
}
_MISSING = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


@router.get(
    "/studies/{study_id}/report",
    response_class=Response,
    responses={200: {"content": _CONTENT}} | documented(HTTPStatus.NOT_ACCEPTABLE, *_MISSING),
)
def show_report(study_id: StudyId, store: StoreGiven, accept: Annotated[str, Header()] = "") -> Response:
    """Return the report as JSON, HTML, Markdown or CSV, whichever Accept prefers; 409 before it is there."""
    media_type = preferred(accept, list(_FORMS))
    if media_type is None:
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, f"the report is there as {', '.join(_FORMS)}")
    return _form(store, study_id, _FORMS[media_type], {"Vary": "Accept"})


@router.get(
    "/studies/{study_id}/report.{form}",
    response_class=Response,
    responses={200: {"content": _CONTENT}} | documented(*_MISSING),
)
def show_report_form(study_id: StudyId, form: Form, store: StoreGiven) -> Response:
    """Return one form of the report; 409 before it is there."""
    return _form(store, study_id, form, {})


@router.get(
    "/studies/{study_id}/report/{figure}.svg",
    response_class=Response,
    responses={200: {"content": {_SVG: {"schema": {"type": "string"}}}}} | documented(*_MISSING),
)
def show_figure(study_id: StudyId, figure: Figure, store: StoreGiven) -> Response:
    """Return one figure of the report."""
    return Response(store.report_file(study_id, f"{figure}.svg"), headers=_HEADERS, media_type=_SVG)


def _form(store: Store, study_id: str, form: Form, headers: dict[str, str]) -> Response:
    content = store.report_file(study_id, f"report.{form.value}")
    return Response(content, headers=_HEADERS | headers, media_type=_MEDIA_TYPES[form])
