"""Middleware that times and logs every request, up to the start of its response."""

import logging
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import final

from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.storage.entities import is_valid_id

log = logging.getLogger(__name__)

#: Called with (method, route, status, seconds).
RequestObserver = Callable[[str, str, int, float], None]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Polled by machines all day, so logged at DEBUG.
_POLLED_ROUTES = frozenset({"/healthz", "/readyz", "/metrics"})


@final
class RequestLogMiddleware:
    """ASGI middleware that logs each request and reports it to an observer.

    Args:
        app: The wrapped application.
        observe: Called once for each request.
    """

    def __init__(self, app: ASGIApp, observe: RequestObserver) -> None:
        """Store the arguments."""
        self._app, self._observe = app, observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request. The time ends with the start of the response: an event stream has no end of its own."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, logged = time.perf_counter(), False

        def log_once(status: int) -> None:
            nonlocal logged
            if not logged:
                logged = True
                self._log_request(scope, status, time.perf_counter() - started)

        async def send_and_log(message: Message) -> None:
            if message["type"] == "http.response.start":
                log_once(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, send_and_log)
        except Exception:
            log_once(HTTPStatus.INTERNAL_SERVER_ERROR)
            raise

    def _log_request(self, scope: Scope, status: int, seconds: float) -> None:
        # the route's template, not the path: there are few templates, and none contains a client's text
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = scope.get("route")
        template = route.path if isinstance(route, Route) else "none"
        self._observe(method, template, status, seconds)
        level = logging.DEBUG if template in _POLLED_ROUTES else logging.INFO
        fields = {"method": method, "route": template, "status": status, "seconds": round(seconds, 6)}
        log.log(level, "%s %s: %s", method, template, status, extra=fields | _study_field(scope))


def _study_field(scope: Scope) -> dict[str, str]:
    """Return the log field with the study's id; empty if the path has none, or has text that is no id."""
    study_id = scope.get("path_params", {}).get("study_id", "")
    return {"study": study_id} if is_valid_id(study_id) else {}
