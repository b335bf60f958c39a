"""A posted body before it is parsed: of a known media type, read as a stream, never larger than allowed."""

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
from service.api.parsers import parse_json, parse_yaml
from service.errors import InvalidBodyError
from studies.validation.faults import Fault, pointer

_PARSERS: dict[str, Callable[[bytes], object]] = {
    "application/json": parse_json,
    "application/yaml": parse_yaml,
    "application/x-yaml": parse_yaml,
    "text/yaml": parse_yaml,
    "text/x-yaml": parse_yaml,
}
ACCEPTED_MEDIA_TYPES = "application/json, application/yaml"
#: A body may take so long to arrive: one that comes byte by byte would keep its connection for ever.
_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class RequestBody:
    """A body that has been read and not been parsed.

    Args:
        content: At most as long as the settings allow.
        parser: For its media type.
    """

    content: bytes
    parser: Callable[[bytes], object]

    @property
    def digest(self) -> str:
        """SHA-256 of the body."""
        return hashlib.sha256(self.content).hexdigest()

    def parse(self) -> object:
        """Return what the body says.

        Raises:
            BadBodyError: It cannot be read.
        """
        return self.parser(self.content)


async def read_body(request: Request, limit: int) -> bytes:
    """Return a body, as it came.

    Args:
        request: The request.
        limit: The longest that is accepted, in bytes.

    Raises:
        HTTPException: It is longer, or takes too long to arrive.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > limit:
        raise _too_large(limit)
    content = bytearray()
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS):
            async for chunk in request.stream():
                content += chunk
                if len(content) > limit:
                    raise _too_large(limit)
    except TimeoutError as error:
        raise _refused(
            HTTPStatus.REQUEST_TIMEOUT, f"the body took longer than {_TIMEOUT_SECONDS:g} s; send it again"
        ) from error
    return bytes(content)


async def _read(request: Request, settings: SettingsDep) -> RequestBody:
    parser = _parser(request)
    return RequestBody(content=await read_body(request, settings.body_limit), parser=parser)


def _parser(request: Request) -> Callable[[bytes], object]:
    given = request.headers.get("content-type", "")
    parsed = Message()
    parsed["content-type"] = given
    parser = _PARSERS.get(parsed.get_content_type())
    if parser is None or parsed.get_content_charset("utf-8") != "utf-8":
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the content type is {given[:60]!r}; post {ACCEPTED_MEDIA_TYPES}, in UTF-8",
            headers={"Accept-Post": ACCEPTED_MEDIA_TYPES},
        )
    return parser


def _too_large(limit: int) -> HTTPException:
    return _refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body is larger than {limit} bytes; a study is small")


def _refused(status: HTTPStatus, detail: str) -> HTTPException:
    # the rest of the body is not read, so that the connection is of no further use
    return HTTPException(status, detail, headers={"Connection": "close"})


async def _read_if_any(request: Request, settings: SettingsDep) -> RequestBody:
    if request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers:
        return RequestBody(content=b"{}", parser=parse_json)
    return await _read(request, settings)


BodyDep = Annotated[RequestBody, Depends(_read)]
#: No body is an empty object.
OptionalBodyDep = Annotated[RequestBody, Depends(_read_if_any)]
Model = TypeVar("Model", bound=BaseModel)


def parse_body(model: type[Model], body: RequestBody) -> Model:
    """Return what a body asks for.

    Args:
        model: The model.
        body: The body.

    Raises:
        BadBodyError: It cannot be read.
        InvalidBodyError: It has faults; all are named.
    """
    try:
        return model.model_validate(body.parse())
    except ValidationError as error:
        raise InvalidBodyError(
            [
                Fault(pointer=pointer(*item["loc"]), detail=f"{item['msg']} (got {_shown(item['input'])})")
                for item in error.errors(include_url=False, include_context=False)
            ]
        ) from error


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
