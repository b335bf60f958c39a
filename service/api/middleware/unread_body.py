"""Middleware that reads the rest of a body before an answer that does not need it."""

import asyncio

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: A longer body is not read to its end: its sender is cut off. As much as the proxy passes on.
MAX_DISCARDED_BYTES = 2**20
#: For so long at most.
MAX_SECONDS = 10.0


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
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        declared = headers.get("content-length", "0")
        has_body = declared != "0" or "transfer-encoding" in headers
        if not has_body or (declared.isdecimal() and int(declared[:20]) > MAX_DISCARDED_BYTES):
            await self._app(scope, receive, send)
            return
        is_read, length = False, 0

        async def receive_counted() -> Message:
            nonlocal is_read, length
            message = await receive()
            length += len(message.get("body", b""))
            is_read = is_read or not message.get("more_body", False)
            return message

        async def discard() -> None:
            while not is_read and length <= MAX_DISCARDED_BYTES:
                await receive_counted()

        async def send_after_body(message: Message) -> None:
            if message["type"] == "http.response.start" and not is_read:
                try:
                    async with asyncio.timeout(MAX_SECONDS):
                        await discard()
                except TimeoutError:
                    pass  # it is answered all the same
            await send(message)

        await self._app(scope, receive_counted, send_after_body)
