"""Errors as answers: every one is problem+json (RFC 9457), and documented as such."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from starlette.exceptions import HTTPException
from starlette.routing import Match

from service.errors import (
    BadBodyError,
    BadCursorError,
    KeyReusedError,
    NoCatalogueError,
    NoReportError,
    NoRunnerError,
    ServiceError,
    UnknownReportFileError,
    UnknownStudyError,
    WrongStateError,
)
from service.schemas import FaultAnswer, Problem
from studies.resolve import InvalidStudyError, pointer

_MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of problem.

    Args:
        status: Its HTTP status.
        name: The end of the URI that names it.
        title: The kind in words.
    """

    status: HTTPStatus
    name: str
    title: str

    def problem(self, detail: str, faults: Sequence[FaultAnswer] = ()) -> Problem:
        """Return a problem of this kind.

        Args:
            detail: What happened and what to do about it.
            faults: Everything wrong with a body or a query.
        """
        return Problem(
            type=f"urn:l4-studies:problem:{self.name}",
            title=self.title,
            status=self.status,
            detail=detail,
            faults=tuple(faults),
        )


_INVALID_STUDY = Kind(status=HTTPStatus.UNPROCESSABLE_ENTITY, name="invalid-study", title="The study has faults")
_INVALID_QUERY = Kind(status=HTTPStatus.UNPROCESSABLE_ENTITY, name="invalid-query", title="The query has faults")
_UNREADABLE_BODY = Kind(status=HTTPStatus.BAD_REQUEST, name="unreadable-body", title="The body cannot be read")
_DATABASE = Kind(status=HTTPStatus.SERVICE_UNAVAILABLE, name="database", title="The database does not answer")
_KINDS: dict[type[ServiceError], Kind] = {
    UnknownStudyError: Kind(status=HTTPStatus.NOT_FOUND, name="unknown-study", title="No such study"),
    UnknownReportFileError: Kind(status=HTTPStatus.NOT_FOUND, name="unknown-report-file", title="No such file"),
    KeyReusedError: Kind(
        status=HTTPStatus.UNPROCESSABLE_ENTITY, name="key-reused", title="The key was given with another study"
    ),
    WrongStateError: Kind(status=HTTPStatus.CONFLICT, name="wrong-state", title="The study's state does not allow it"),
    NoReportError: Kind(status=HTTPStatus.CONFLICT, name="no-report", title="There is no report"),
    NoCatalogueError: Kind(status=HTTPStatus.SERVICE_UNAVAILABLE, name="no-catalogue", title="No runner is there yet"),
    NoRunnerError: Kind(status=HTTPStatus.SERVICE_UNAVAILABLE, name="no-runner", title="No runner is at work"),
}


def documented(*statuses: HTTPStatus) -> dict[int | str, dict[str, Any]]:
    """Return what OpenAPI says about the problems of an operation, 503 for the database always among them.

    Args:
        statuses: Of the problems it can answer with.
    """
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        int(status): {"description": status.phrase, "content": {_MEDIA_TYPE: {"schema": schema}}}
        for status in (*statuses, HTTPStatus.SERVICE_UNAVAILABLE)
    }


def answer_with_problems(app: FastAPI) -> None:
    """Make an application answer every error with problem+json.

    Args:
        app: The application.
    """
    app.add_exception_handler(InvalidStudyError, _invalid_study)
    app.add_exception_handler(BadBodyError, _bad_body)
    app.add_exception_handler(RequestValidationError, _invalid_parameters)
    app.add_exception_handler(BadCursorError, _bad_cursor)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(OperationalError, _database_error)
    app.add_exception_handler(PoolTimeoutError, _database_error)
    app.add_exception_handler(Exception, _unexpected)
    for error in _KINDS:
        app.add_exception_handler(error, _known_error)


def _answer(problem: Problem, headers: Mapping[str, str] | None = None) -> Response:
    # ASCII, so that any text can be sent, halves of surrogate pairs too
    content = json.dumps(problem.model_dump(), ensure_ascii=True)
    return Response(content, status_code=problem.status, headers=headers, media_type=_MEDIA_TYPE)


async def _invalid_study(_request: Request, error: Exception) -> Response:
    assert isinstance(error, InvalidStudyError)
    faults = [FaultAnswer(pointer=fault.pointer, detail=fault.detail) for fault in error.faults]
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return _answer(_INVALID_STUDY.problem(f"{count}; nothing was stored. Correct what `faults` names.", faults))


async def _bad_body(_request: Request, error: Exception) -> Response:
    assert isinstance(error, BadBodyError)
    return _answer(_UNREADABLE_BODY.problem(str(error), error.faults))


async def _invalid_parameters(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    if any(item["loc"][0] == "path" for item in error.errors()):
        return await _http_error(request, HTTPException(HTTPStatus.NOT_FOUND))
    faults = [FaultAnswer(pointer=pointer(*item["loc"]), detail=item["msg"]) for item in error.errors()]
    named = "; ".join(f"{fault.pointer.removeprefix('/query/')}: {fault.detail}" for fault in faults)
    return _answer(_INVALID_QUERY.problem(named, faults))


async def _bad_cursor(_request: Request, error: Exception) -> Response:
    fault = FaultAnswer(pointer="/query/cursor", detail=str(error))
    return _answer(_INVALID_QUERY.problem(str(error), [fault]))


async def _known_error(_request: Request, error: Exception) -> Response:
    kind = next(kind for known, kind in _KINDS.items() if isinstance(error, known))
    return _answer(kind.problem(str(error)))


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    phrase = HTTPStatus(error.status_code).phrase
    detail = error.detail
    if detail == phrase:
        detail = f"{request.method} {request.url.path}: {phrase}; see /docs for what there is"
    problem = Problem(type="about:blank", title=phrase, status=error.status_code, detail=detail)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        return _answer(problem, {"Allow": ", ".join(_allowed_methods(request))})
    return _answer(problem, error.headers)


def _allowed_methods(request: Request) -> list[str]:
    # Starlette names those of the first route that fits only
    app = cast(FastAPI, request.app)
    own = app.openapi()["paths"].get(request.url.path)
    if own is not None:
        return sorted(method.upper() for method in own)  # a path of its own, as /studies/plan, is no study's
    routes = app.routes
    return [
        method
        for method in ("GET", "POST")
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    ]


async def _database_error(_request: Request, error: Exception) -> Response:
    _LOG.error("the database does not answer", exc_info=error)
    return _answer(_DATABASE.problem("The database does not answer, try again later; the log has more."))


async def _unexpected(_request: Request, _error: Exception) -> Response:
    # the server logs the error itself, with its traceback
    status = HTTPStatus.INTERNAL_SERVER_ERROR
    detail = "An error of the service, not of the request; its log has more."
    return _answer(Problem(type="about:blank", title=status.phrase, status=status, detail=detail))
