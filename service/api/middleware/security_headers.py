"""What every answer tells browsers: to run, embed, guess and pass on nothing."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: A route that answers with a page sets a Content-Security-Policy of its own, of what the page needs.
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


class SecurityHeadersMiddleware:
    """ASGI middleware that adds to the headers of an answer, and leaves its body alone.

    Args:
        app: What answers.
        no_store: Whether nothing may be kept by who passes answers on, as where they are for one caller only.
    """

    def __init__(self, app: ASGIApp, no_store: bool) -> None:
        """Keep the application."""
        self._app = app
        self._no_store = no_store

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                if self._no_store:
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, send_with_headers)
