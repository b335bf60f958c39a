"""Request bodies: read with limits on size and time, then parsed as JSON or YAML, and validated as a model."""

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from typing import Annotated, TypeVar

from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from service.api.dependencies import SettingsDep
from service.api.middleware.unread_body import declares_more_than
from service.api.parsers import parse_json, parse_yaml
from service.errors import InvalidBodyError
from studies.validation.faults import Fault, json_pointer

_PARSERS: dict[str, Callable[[bytes], object]] = {
    "application/json": parse_json,
    "application/yaml": parse_yaml,
    "application/x-yaml": parse_yaml,
    "text/yaml": parse_yaml,
    "text/x-yaml": parse_yaml,
}
ACCEPTED_MEDIA_TYPES = "application/json, application/yaml"
#: A body must arrive within this time; a client that sends byte by byte would hold its connection forever.
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class RequestBody:
    """A body that was read but not yet parsed.

    Args:
        content: The bytes, at most as many as the settings allow.
        parser: The parser of its media type.
    """

    content: bytes
    parser: Callable[[bytes], object]

    @property
    def digest(self) -> str:
        """SHA-256 of the body."""
        return hashlib.sha256(self.content).hexdigest()

    def parse(self) -> object:
        """Return the parsed body.

        Raises:
            BadBodyError: It cannot be read.
        """
        return self.parser(self.content)


async def read_body(request: Request, limit: int) -> bytes:
    """Return the raw body of a request.

    Args:
        request: The request.
        limit: The maximum length in bytes.

    Raises:
        HTTPException: It is too long, or takes too long to arrive.
    """
    if declares_more_than(request.headers, limit):
        raise _too_large(limit)
    content = bytearray()
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            async for chunk in request.stream():
                content += chunk
                if len(content) > limit:
                    raise _too_large(limit)
    except TimeoutError as error:
        raise _closing_error(
            HTTPStatus.REQUEST_TIMEOUT, f"the body took longer than {_TIMEOUT_SECONDS:g} s; send it again"
        ) from error
    return bytes(content)


async def _get_body(request: Request, settings: SettingsDep) -> RequestBody:
    parser = _select_parser(request)
    return RequestBody(content=await read_body(request, settings.body_limit), parser=parser)


async def _get_optional_body(request: Request, settings: SettingsDep) -> RequestBody:
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return RequestBody(content=b"{}", parser=parse_json)
    return await _get_body(request, settings)


BodyDep = Annotated[RequestBody, Depends(_get_body)]
#: A missing body counts as an empty object.
OptionalBodyDep = Annotated[RequestBody, Depends(_get_optional_body)]
Model = TypeVar("Model", bound=BaseModel)


def parse_body(model: type[Model], body: RequestBody) -> Model:
    """Return a body as a model.

    Args:
        model: The model.
        body: The body.

    Raises:
        BadBodyError: It cannot be read.
        InvalidBodyError: It has faults; the error lists all of them.
    """
    try:
        return model.model_validate(body.parse())
    except ValidationError as error:
        raise InvalidBodyError(
            [
                Fault(pointer=json_pointer(*item["loc"]), detail=f"{item['msg']} (got {_shorten(item['input'])})")
                for item in error.errors(include_url=False, include_context=False)
            ]
        ) from error


def _select_parser(request: Request) -> Callable[[bytes], object]:
    content_type = request.headers.get("content-type", "")
    message = Message()
    message["content-type"] = content_type
    parser = _PARSERS.get(message.get_content_type())
    if parser is None or message.get_content_charset("utf-8") != "utf-8":
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the content type is {content_type[:60]!r}; post {ACCEPTED_MEDIA_TYPES}, in UTF-8",
            headers={"Accept-Post": ACCEPTED_MEDIA_TYPES},
        )
    return parser


def _too_large(limit: int) -> HTTPException:
    return _closing_error(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {limit} bytes; a study is small"
    )


def _closing_error(status: HTTPStatus, detail: str) -> HTTPException:
    # the rest of the body is not read, so the connection cannot be reused
    return HTTPException(status, detail, headers={"Connection": "close"})


def _shorten(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
