"""Error responses: problem+json (RFC 9457) or an error page, and their part of the OpenAPI document."""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Match

from service.api.middleware.security_headers import SECURITY_HEADERS
from service.api.negotiation import preferred_media_type
from service.errors import (
    BadBodyError,
    BadCursorError,
    CannotCompareError,
    DiskFullError,
    ForbiddenError,
    InvalidBodyError,
    JointReportError,
    KeyReusedError,
    LoginNeededError,
    NoCatalogueError,
    NoLogError,
    NoMachineError,
    NoReportError,
    NoRunnerError,
    ServiceError,
    TooManyRequestsError,
    UnauthenticatedError,
    UnknownReportFileError,
    UnknownRunError,
    UnknownStudyError,
    UnknownWebhookError,
    UnknownWorkloadError,
    WrongStateError,
)
from service.home import is_no_space
from service.schemas.problems import NO_MACHINE, PROBLEM_MEDIA_TYPE, FaultResponse, Problem, problem_type
from service.storage.engine import is_disk_full
from studies.validation.faults import MAX_NAMED_FAULTS, Fault, InvalidStudyError, describe_faults, json_pointer

_LOG = logging.getLogger(__name__)


class PageRenderer(Protocol):
    """Renders an error page; `app.state.templates` of the application is one."""

    def render(self, template: str, *, status: int = 200, **values: object) -> Response:
        """Return the rendered page."""
        ...


@dataclass(frozen=True, kw_only=True)
class ProblemKind:
    """A kind of problem, with its own `type` URI.

    Args:
        status: The HTTP status.
        name: The last part of the URI.
        title: A short description of the kind.
    """

    status: HTTPStatus
    name: str
    title: str

    def problem(self, detail: str, faults: Sequence[FaultResponse] = ()) -> Problem:
        """Return a problem of this kind.

        Args:
            detail: What happened and how to fix it.
            faults: All faults of a body or a query.
        """
        return Problem(
            type=problem_type(self.name),
            title=self.title,
            status=self.status,
            detail=detail,
            faults=tuple(faults),
        )


_INVALID_STUDY = ProblemKind(status=HTTPStatus.UNPROCESSABLE_ENTITY, name="invalid-study", title="The study has faults")
_INVALID_QUERY = ProblemKind(status=HTTPStatus.UNPROCESSABLE_ENTITY, name="invalid-query", title="The query has faults")
_INVALID_BODY = ProblemKind(status=HTTPStatus.UNPROCESSABLE_ENTITY, name="invalid-body", title="The body has faults")
_CANNOT_COMPARE = ProblemKind(
    status=HTTPStatus.UNPROCESSABLE_ENTITY, name="cannot-compare", title="The studies cannot be compared"
)
_UNREADABLE_BODY = ProblemKind(status=HTTPStatus.BAD_REQUEST, name="unreadable-body", title="The body cannot be read")
_DATABASE = ProblemKind(status=HTTPStatus.SERVICE_UNAVAILABLE, name="database", title="The database does not answer")
_DISK_FULL = ProblemKind(status=HTTPStatus.SERVICE_UNAVAILABLE, name="disk-full", title="A disk is full")
_PROBLEM_KINDS: dict[type[ServiceError], ProblemKind] = {
    UnauthenticatedError: ProblemKind(status=HTTPStatus.UNAUTHORIZED, name="unauthenticated", title="A key is needed"),
    ForbiddenError: ProblemKind(status=HTTPStatus.FORBIDDEN, name="forbidden", title="It is not allowed"),
    TooManyRequestsError: ProblemKind(
        status=HTTPStatus.TOO_MANY_REQUESTS, name="too-many-requests", title="Too many requests"
    ),
    UnknownStudyError: ProblemKind(status=HTTPStatus.NOT_FOUND, name="unknown-study", title="No such study"),
    UnknownRunError: ProblemKind(status=HTTPStatus.NOT_FOUND, name="unknown-run", title="No such run"),
    UnknownWorkloadError: ProblemKind(status=HTTPStatus.NOT_FOUND, name="unknown-workload", title="No such workload"),
    NoLogError: ProblemKind(status=HTTPStatus.NOT_FOUND, name="no-log", title="The log is not on this machine"),
    UnknownWebhookError: ProblemKind(status=HTTPStatus.NOT_FOUND, name="unknown-webhook", title="No such webhook"),
    UnknownReportFileError: ProblemKind(status=HTTPStatus.NOT_FOUND, name="unknown-report-file", title="No such file"),
    KeyReusedError: ProblemKind(
        status=HTTPStatus.UNPROCESSABLE_ENTITY, name="key-reused", title="The key was given with another request"
    ),
    WrongStateError: ProblemKind(
        status=HTTPStatus.CONFLICT, name="wrong-state", title="The study's state does not allow it"
    ),
    NoReportError: ProblemKind(status=HTTPStatus.CONFLICT, name="no-report", title="There is no report"),
    JointReportError: ProblemKind(
        status=HTTPStatus.SERVICE_UNAVAILABLE, name="no-joint-report", title="It could not be computed here"
    ),
    NoCatalogueError: ProblemKind(
        status=HTTPStatus.SERVICE_UNAVAILABLE, name="no-catalogue", title="No runner is there yet"
    ),
    DiskFullError: _DISK_FULL,
    NoRunnerError: ProblemKind(status=HTTPStatus.SERVICE_UNAVAILABLE, name="no-runner", title="No runner is at work"),
    NoMachineError: ProblemKind(status=HTTPStatus.SERVICE_UNAVAILABLE, name=NO_MACHINE, title="No machine takes packs"),
}

#: Errors of every operation that needs a key: by authentication, role, rate limit and database.
_COMMON_STATUSES = (
    HTTPStatus.UNAUTHORIZED,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
#: Errors of every operation with a body.
BODY_STATUSES = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
)
#: OpenAPI description of a response that created a study.
LOCATION_HEADER: dict[str, Any] = {"headers": {"Location": {"description": "The study.", "schema": {"type": "string"}}}}

_RESPONSE_HEADERS = {HTTPStatus.UNAUTHORIZED: "WWW-Authenticate", HTTPStatus.TOO_MANY_REQUESTS: "Retry-After"}


def problem_responses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of an operation that needs a key.

    Args:
        statuses: The statuses of its own errors, besides those common to all operations.
    """
    return public_problem_responses(*statuses, *_COMMON_STATUSES)


def public_problem_responses(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of an operation that needs no key.

    Args:
        statuses: The statuses of all its errors.
    """
    content = {PROBLEM_MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    responses: dict[int | str, dict[str, Any]] = {
        int(status): {"description": status.phrase, "content": content} for status in statuses
    }
    for status, header in _RESPONSE_HEADERS.items():
        if status in responses:
            responses[status]["headers"] = {header: {"schema": {"type": "string"}}}
    return responses


def to_problem(error: ServiceError) -> Problem:
    """Return the problem that describes an error.

    Args:
        error: An error that a route may raise.
    """
    kind = next(kind for error_type, kind in _PROBLEM_KINDS.items() if isinstance(error, error_type))
    return kind.problem(str(error))


def register_exception_handlers(app: FastAPI) -> None:
    """Register a handler for every error, so that each response is problem+json or a page.

    Args:
        app: The application.
    """
    app.add_exception_handler(LoginNeededError, _login_needed)
    app.add_exception_handler(InvalidStudyError, _invalid_study)
    app.add_exception_handler(BadBodyError, _bad_body)
    app.add_exception_handler(InvalidBodyError, _invalid_body)
    app.add_exception_handler(CannotCompareError, _cannot_compare)
    app.add_exception_handler(RequestValidationError, _invalid_parameters)
    app.add_exception_handler(BadCursorError, _bad_cursor)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _client_left)
    app.add_exception_handler(OperationalError, _database_error)
    app.add_exception_handler(PoolTimeoutError, _database_error)
    app.add_exception_handler(OSError, _file_error)
    app.add_exception_handler(Exception, _unexpected)
    for error in _PROBLEM_KINDS:
        app.add_exception_handler(error, _known_error)


def _problem_response(request: Request, problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    if _wants_page(request):
        caller = request.scope.get("state", {}).get("caller")  # missing if authentication failed
        templates = cast(PageRenderer, request.app.state.templates)
        page = templates.render("problem.html", status=problem.status, caller=caller, section="", problem=problem)
        for name, value in (headers or {}).items():
            page.headers.setdefault(name, value)
        return page
    # ASCII, so that any text can be sent, even half of a surrogate pair
    content = json.dumps(problem.model_dump(), ensure_ascii=True)
    return Response(content, status_code=problem.status, headers=headers, media_type=PROBLEM_MEDIA_TYPE)


def _wants_page(request: Request) -> bool:
    """Return whether a browser asks for a page; the pages' scripts do not accept HTML."""
    path, accept = request.scope["path"], request.headers.get("accept", "")
    is_page = path in ("/", "/login") or path.startswith("/pages/")
    return is_page and preferred_media_type(accept, ("application/json", "text/html")) == "text/html"


def _fault_responses(faults: Sequence[Fault]) -> list[FaultResponse]:
    return [FaultResponse(pointer=fault.pointer, detail=fault.detail) for fault in faults[:MAX_NAMED_FAULTS]]


async def _login_needed(_request: Request, error: Exception) -> Response:
    assert isinstance(error, LoginNeededError)
    return RedirectResponse(error.location, HTTPStatus.SEE_OTHER)


async def _invalid_study(request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidStudyError)
    faults = error.faults
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    more = len(faults) - MAX_NAMED_FAULTS
    unnamed = f", and post it again to learn of the {more} more" if more > 0 else ""
    detail = f"{count}; nothing was stored. Correct what `faults` names{unnamed}."
    return _problem_response(request, _INVALID_STUDY.problem(detail, _fault_responses(faults)))


async def _bad_body(request: Request, error: Exception) -> Response:
    assert isinstance(error, BadBodyError)
    return _problem_response(request, _UNREADABLE_BODY.problem(str(error), _fault_responses(error.faults)))


async def _invalid_body(request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidBodyError)
    return _problem_response(request, _INVALID_BODY.problem(str(error), _fault_responses(error.faults)))


async def _cannot_compare(request: Request, error: Exception) -> Response:
    assert isinstance(error, CannotCompareError)
    return _problem_response(request, _CANNOT_COMPARE.problem(str(error), _fault_responses(error.faults)))


async def _invalid_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if any(item["loc"][0] == "path" for item in error.errors()):
        return await _http_error(request, HTTPException(HTTPStatus.NOT_FOUND))
    faults = [Fault(pointer=json_pointer(*item["loc"]), detail=item["msg"]) for item in error.errors()]
    named = [Fault(pointer=fault.pointer.removeprefix("/query/"), detail=fault.detail) for fault in faults]
    return _problem_response(request, _INVALID_QUERY.problem(describe_faults(named), _fault_responses(faults)))


async def _bad_cursor(request: Request, error: Exception) -> Response:
    fault = FaultResponse(pointer="/query/cursor", detail=str(error))
    return _problem_response(request, _INVALID_QUERY.problem(str(error), [fault]))


async def _known_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)
    return _problem_response(request, to_problem(error), _headers(error))


def _headers(error: Exception) -> dict[str, str] | None:
    match error:
        case UnauthenticatedError():
            return {"WWW-Authenticate": "Bearer"}
        case TooManyRequestsError():
            return {"Retry-After": str(math.ceil(error.seconds))}
        case _:
            return None


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    detail = error.detail
    if detail == phrase:
        detail = f"{request.method} {request.scope['path']}: {phrase}; see /docs for what there is"
    problem = Problem(type="about:blank", title=phrase, status=error.status_code, detail=detail)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return _problem_response(request, problem, {"Allow": ", ".join(_allowed_methods(request))})
    return _problem_response(request, problem, error.headers)


def _allowed_methods(request: Request) -> list[str]:
    app, methods = cast(FastAPI, request.app), ("GET", "POST", "DELETE")
    operations = app.openapi()["paths"].get(request.url.path)
    if operations is not None:  # a literal path, as /studies/cancel, must not match /studies/{study_id}
        return [method for method in methods if method.lower() in operations]
    # Starlette itself lists only the methods of the first matching route
    return [
        method
        for method in methods
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in app.routes)
    ]


async def _client_left(request: Request, _error: Exception) -> Response:
    # the client left while its body was read, and does not see the response
    return _problem_response(request, _UNREADABLE_BODY.problem("the connection was closed before the body had arrived"))


async def _database_error(request: Request, error: Exception) -> Response:
    if isinstance(error, OperationalError) and is_disk_full(error):
        _LOG.error("the disk of the database is full", exc_info=error)
        detail = "The disk of the database is full, and nothing was stored; ask again once somebody has made room."
        return _problem_response(request, _DISK_FULL.problem(detail))
    _LOG.error("the database does not answer", exc_info=error)
    return _problem_response(
        request, _DATABASE.problem("The database does not answer, try again later; the log has more.")
    )


async def _file_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, OSError)
    if not is_no_space(error):
        raise error
    _LOG.error("a disk is full", exc_info=error)
    detail = "A disk of the service is full, of temporary files or of L4_HOME; ask again once somebody has made room."
    return _problem_response(request, _DISK_FULL.problem(detail))


async def _unexpected(request: Request, _error: Exception) -> Response:
    # uvicorn logs the error with its traceback
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    detail = "An error of the service, not of the request; its log has more."
    # this response passes no middleware, so it needs the headers
    return _problem_response(
        request, Problem(type="about:blank", title=status.phrase, status=status, detail=detail), SECURITY_HEADERS
    )
