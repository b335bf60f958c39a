"""Middleware that reads the rest of a body before an answer that does not need it."""

import asyncio
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: A longer body is not read to its end: its sender is cut off. As much as the proxy passes on.
MAX_DISCARDED_BYTES = 2**20
#: For so long at most.
MAX_SECONDS = 10.0


def declares_more_than(headers: Headers, limit: int) -> bool:
    """Return whether a request says that its body is longer than a limit.

    Args:
        headers: The request's.
        limit: Length in bytes.
    """
    declared = headers.get("content-length", "")
    return declared.isdecimal() and int(declared[:20]) > limit


class UnreadBodyMiddleware:
    """ASGI middleware that discards the rest of a body before the answer to its request is sent.

    A server closes a connection whose request was not read, and resets it where more arrives. A sender that is not
    done, such as a proxy, may then lose the answer: a 401 or 413 becomes a 502.

    Args:
        app: The wrapped application.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Wrap the application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http" or not _has_short_body(Headers(scope=scope)):
            await self._app(scope, receive, send)
            return
        is_read, length = False, 0

        async def receive_counted() -> Message:
            nonlocal is_read, length
            message = await receive()
            length += len(message.get("body", b""))
            is_read = is_read or not message.get("more_body", False)
            return message

        async def send_after_body(message: Message) -> None:
            if message["type"] == "http.response.start":
                with suppress(TimeoutError):  # it is answered all the same
                    async with asyncio.timeout(MAX_SECONDS):
                        while not is_read and length <= MAX_DISCARDED_BYTES:
                            await receive_counted()
            await send(message)

        await self._app(scope, receive_counted, send_after_body)


def _has_short_body(headers: Headers) -> bool:
    has_body = headers.get("content-length", "0") != "0" or "transfer-encoding" in headers
    return has_body and not declares_more_than(headers, MAX_DISCARDED_BYTES)
