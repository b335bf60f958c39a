"""Times and logs every request, to the start of its answer: a stream of events has no end of its own."""

import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import final

from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.storage.entities import is_id

log = logging.getLogger(__name__)

#: Takes (method, route, status, seconds).
Note = Callable[[str, str, int, float], None]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: What machines ask for all day is told to who asks for everything.
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


@final
class Timed:
    """An application whose requests are timed.

    Args:
        app: The application.
        note: Told of each request.
    """

    def __init__(self, app: ASGIApp, note: Note) -> None:
        """Keep both."""
        self._app, self._note = app, note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, noted = time.perf_counter(), False

        def note(status: int) -> None:
            nonlocal noted
            if not noted:
                noted = True
                self._tell(scope, status, time.perf_counter() - started)

        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                note(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, observed)
        except Exception:
            note(HTTPStatus.INTERNAL_SERVER_ERROR)
            raise

    def _tell(self, scope: Scope, status: int, seconds: float) -> None:
        # a template, not the path: of these there are a few, and none has what a client made up
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = scope.get("route")
        template = route.path if isinstance(route, Route) else "none"
        self._note(method, template, status, seconds)
        level = logging.DEBUG if template in _QUIET else logging.INFO
        log.log(
            level,
            "%s %s: %s",
            method,
            template,
            status,
            extra={"method": method, "route": template, "status": status, "seconds": round(seconds, 6)} | _study(scope),
        )


def _study(scope: Scope) -> dict[str, str]:
    """Return the field of the study that is asked about; none where it has no study's id, but any text."""
    asked = scope.get("path_params", {}).get("study_id", "")
    return {"study": asked} if is_id(asked) else {}
