"""Reports: of one study, with its figures and bundle, and joint reports of several studies."""

from enum import StrEnum
from http import HTTPStatus
from importlib.resources import files
from typing import IO, Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from service.api.authorization import RequireRole
from service.api.bundle import open_bundle
from service.api.dependencies import StoreDep, StudyId
from service.api.joint_report import compute_joint_report
from service.api.negotiation import preferred_media_type
from service.api.problems import problem_responses
from service.roles import Role
from service.schemas.reports import ReportFormat
from service.schemas.requests import NO_NUL

router = APIRouter(tags=["report"], dependencies=[Depends(RequireRole(Role.READER))])


class ImageFormat(StrEnum):
    """A format of a figure; its value is the file's extension."""

    SVG = "svg"
    PNG = "png"


Accept = Annotated[str, Header()]
Figure = Annotated[str, Path(min_length=1, pattern=NO_NUL, description="The figure's name, as the Markdown names it.")]
StudyIds = Annotated[
    list[Annotated[str, Query(max_length=64)]],
    Query(alias="study", min_length=2, max_length=10, description="A study's id; 2 to 10 different ones."),
]
OptionalReportFormat = Annotated[ReportFormat | None, Query(description="The format; by Accept if not given.")]

_MEDIA_TYPES = {
    ReportFormat.JSON: "application/json",
    ReportFormat.HTML: "text/html",
    ReportFormat.MARKDOWN: "text/markdown",
    ReportFormat.CSV: "text/csv",
    ReportFormat.LATEX: "application/x-tex",
}
_REPORT_FORMATS = {media_type: report_format for report_format, media_type in _MEDIA_TYPES.items()}
_IMAGE_MEDIA_TYPES = {ImageFormat.SVG: "image/svg+xml", ImageFormat.PNG: "image/png"}
_ZIP = "application/zip"
_JSON_SCHEMA = "application/schema+json"
_CHUNK_BYTES = 2**18
_REPORT_HEADERS = {
    # no script may run in the report, or in what it embeds
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Frame-Options": "SAMEORIGIN",  # the study's page embeds the report
}
_REPORT_CONTENT: dict[str, Any] = {
    media_type: {"schema": {"type": "object" if report_format is ReportFormat.JSON else "string"}}
    for media_type, report_format in _REPORT_FORMATS.items()
}
_REPORT_RESPONSE: dict[int | str, dict[str, Any]] = {200: {"content": _REPORT_CONTENT}}
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_NO_REPORT_STATUSES = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT)


@router.get(
    "/studies/{study_id}/report",
    response_class=Response,
    responses=_REPORT_RESPONSE | problem_responses(HTTPStatus.NOT_ACCEPTABLE, *_NO_REPORT_STATUSES),
)
def show_report(study_id: StudyId, store: StoreDep, accept: Accept = "") -> Response:
    """Return the report as JSON, HTML, Markdown, CSV or LaTeX, as Accept prefers; 409 if it does not exist yet."""
    report_format = _negotiate_format(accept)
    content = store.report_file(study_id, f"report.{report_format.value}")
    return _report_response(content, report_format, {"Vary": "Accept"})


@router.get(
    "/studies/{study_id}/report.{form}",
    response_class=Response,
    responses=_REPORT_RESPONSE | problem_responses(*_NO_REPORT_STATUSES),
)
def show_report_form(study_id: StudyId, form: ReportFormat, store: StoreDep) -> Response:
    """Return the report in one format; 409 if it does not exist yet."""
    return _report_response(store.report_file(study_id, f"report.{form.value}"), form)


@router.get(
    "/studies/{study_id}/report/{figure}.{image}",
    response_class=Response,
    responses={200: {"content": dict.fromkeys(_IMAGE_MEDIA_TYPES.values(), _BINARY)}}
    | problem_responses(*_NO_REPORT_STATUSES),
)
def show_figure(study_id: StudyId, figure: Figure, image: ImageFormat, store: StoreDep) -> Response:
    """Return one figure of the report, as SVG or PNG."""
    content = store.report_file(study_id, f"{figure}.{image.value}")
    return Response(content, headers=_REPORT_HEADERS, media_type=_IMAGE_MEDIA_TYPES[image])


@router.get(
    "/studies/{study_id}/bundle",
    response_class=Response,
    responses={200: {"content": {_ZIP: _BINARY}}} | problem_responses(*_NO_REPORT_STATUSES),
)
def show_bundle(study_id: StudyId, store: StoreDep) -> Response:
    """Return a zip of the report, its spec and study file, and every row it was computed from."""
    headers = {"Content-Disposition": f'attachment; filename="{study_id}.zip"'}
    return _ZipResponse(open_bundle(store, study_id), headers)


@router.get(
    "/reports",
    response_class=Response,
    responses=_REPORT_RESPONSE
    | problem_responses(
        HTTPStatus.NOT_FOUND, HTTPStatus.NOT_ACCEPTABLE, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY
    ),
)
def show_joint_report(
    studies: StudyIds, store: StoreDep, form: OptionalReportFormat = None, accept: Accept = ""
) -> Response:
    """Return one report of several studies with the same protocol; 422 lists every differing field."""
    if len(set(studies)) < len(studies):
        raise RequestValidationError(
            [{"loc": ("query", "study"), "msg": "give each study once", "type": "value_error"}]
        )
    report_format = form or _negotiate_format(accept)
    content = compute_joint_report(store, studies, f"report.{report_format.value}")
    return _report_response(content, report_format, {"Vary": "Accept"})


@router.get(
    "/reports/schema",
    response_class=Response,
    responses={200: {"content": {_JSON_SCHEMA: {"schema": {"type": "object"}}}}} | problem_responses(),
)
def show_schema() -> Response:
    """Return the JSON schema of the report; a report's `schema_version` names the version it follows."""
    content = files("studies.reporting").joinpath("report.schema.json").read_bytes()
    return Response(content, media_type=_JSON_SCHEMA)


class _ZipResponse(StreamingResponse):
    """A response that streams a file, and closes it even if the client disconnects."""

    def __init__(self, file: IO[bytes], headers: dict[str, str]) -> None:
        super().__init__(iter(lambda: file.read(_CHUNK_BYTES), b""), headers=headers, media_type=_ZIP)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._file.close()


def _negotiate_format(accept: str) -> ReportFormat:
    media_type = preferred_media_type(accept, list(_REPORT_FORMATS))
    if media_type is None:
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, f"the report is there as {', '.join(_REPORT_FORMATS)}")
    return _REPORT_FORMATS[media_type]


def _report_response(content: bytes, report_format: ReportFormat, headers: dict[str, str] | None = None) -> Response:
    return Response(content, headers=_REPORT_HEADERS | (headers or {}), media_type=_MEDIA_TYPES[report_format])
