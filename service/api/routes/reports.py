"""A study's report: its forms by Accept header or by extension, its figures, and the bundle of all it comes from."""

from enum import StrEnum
from http import HTTPStatus
from importlib.resources import files
from typing import IO, Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from service.api.authorization import needs
from service.api.bundle import open_bundle
from service.api.dependencies import StoreGiven, StudyId
from service.api.joint_report import joint_report
from service.api.negotiation import preferred
from service.api.problems import documented
from service.roles import Role
from service.schemas.requests import NO_NUL
from service.schemas.studies import Form
from service.storage.repositories.studies import Store

router = APIRouter(tags=["report"], dependencies=[Depends(needs(Role.READER))])


class Image(StrEnum):
    """A form of a figure; its value is the file's extension."""

    SVG = "svg"
    PNG = "png"


Figure = Annotated[str, Path(min_length=1, pattern=NO_NUL, description="The figure's name, as the Markdown names it.")]
#: Of each form.
MEDIA_TYPES = {
    Form.JSON: "application/json",
    Form.HTML: "text/html",
    Form.MARKDOWN: "text/markdown",
    Form.CSV: "text/csv",
    Form.LATEX: "application/x-tex",
}
_FORMS = {media_type: form for form, media_type in MEDIA_TYPES.items()}
_IMAGES = {Image.SVG: "image/svg+xml", Image.PNG: "image/png"}
_ZIP = "application/zip"
_CHUNK = 2**18
#: Of every answer with a report.
HEADERS = {
    # the report runs no script, here or in what it embeds
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",  # the study's page shows it
}
#: What the OpenAPI document says of them.
CONTENT: dict[str, Any] = {
    media_type: {"schema": {"type": "object" if form is Form.JSON else "string"}} for media_type, form in _FORMS.items()
}
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_MISSING = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


@router.get(
    "/studies/{study_id}/report",
    response_class=Response,
    responses={200: {"content": CONTENT}} | documented(HTTPStatus.NOT_ACCEPTABLE, *_MISSING),
)
def show_report(study_id: StudyId, store: StoreGiven, accept: Annotated[str, Header()] = "") -> Response:
    """Return the report as JSON, HTML, Markdown, CSV or LaTeX, whichever Accept prefers; 409 before it is there."""
    return _form(store, study_id, accepted(accept), {"Vary": "Accept"})


@router.get(
    "/studies/{study_id}/report.{form}",
    response_class=Response,
    responses={200: {"content": CONTENT}} | documented(*_MISSING),
)
def show_report_form(study_id: StudyId, form: Form, store: StoreGiven) -> Response:
    """Return one form of the report; 409 before it is there."""
    return _form(store, study_id, form, {})


@router.get(
    "/studies/{study_id}/report/{figure}.{image}",
    response_class=Response,
    responses={200: {"content": dict.fromkeys(_IMAGES.values(), _BINARY)}} | documented(*_MISSING),
)
def show_figure(study_id: StudyId, figure: Figure, image: Image, store: StoreGiven) -> Response:
    """Return one figure of the report, as SVG or PNG."""
    content = store.report_file(study_id, f"{figure}.{image.value}")
    return Response(content, headers=HEADERS, media_type=_IMAGES[image])


@router.get(
    "/studies/{study_id}/bundle",
    response_class=Response,
    responses={200: {"content": {_ZIP: _BINARY}}} | documented(*_MISSING),
)
def show_bundle(study_id: StudyId, store: StoreGiven) -> Response:
    """Return a zip with the report, its spec and study file, and every row that it was computed from."""
    named = {"Content-Disposition": f'attachment; filename="{study_id}.zip"'}
    return _Sent(open_bundle(store, study_id), named)


class _Sent(StreamingResponse):
    """An answer from a file, which is closed also where nobody waits for it any more."""

    def __init__(self, file: IO[bytes], headers: dict[str, str]) -> None:
        super().__init__(iter(lambda: file.read(_CHUNK), b""), headers=headers, media_type=_ZIP)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


def accepted(accept: str) -> Form:
    """Return the form that a client prefers.

    Args:
        accept: Its Accept header.

    Raises:
        HTTPException: 406, it takes none.
    """
    media_type = preferred(accept, list(_FORMS))
    if media_type is None:
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, f"the report is there as {', '.join(_FORMS)}")
    return _FORMS[media_type]


def _form(store: Store, study_id: str, form: Form, headers: dict[str, str]) -> Response:
    content = store.report_file(study_id, f"report.{form.value}")
    return Response(content, headers=HEADERS | headers, media_type=MEDIA_TYPES[form])


joint_router = APIRouter(tags=["report"], dependencies=[Depends(needs(Role.READER))])
Studies = Annotated[
    list[Annotated[str, Query(max_length=64)]],
    Query(alias="study", min_length=2, max_length=10, description="An id; each study once, 2 to 10 of them."),
]
Chosen = Annotated[Form | None, Query(description="The form; by Accept where not given.")]
_SCHEMA = "application/schema+json"
_ANSWERS: dict[int | str, dict[str, Any]] = {200: {"content": CONTENT}}


@joint_router.get(
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


@joint_router.get(
    "/reports/schema",
    response_class=Response,
    responses={200: {"content": {_SCHEMA: {"schema": {"type": "object"}}}}} | documented(),
)
def show_schema() -> Response:
    """Return the JSON schema of the report; its `schema_version` says which one a report has."""
    content = files("studies.reporting").joinpath("report.schema.json").read_bytes()
    return Response(content, media_type=_SCHEMA)
