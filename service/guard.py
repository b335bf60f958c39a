"""Stands before every route, and where there is none: finds out who asks, and whether not too often."""

import re

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from service.entities import Caller
from service.errors import ForbiddenError, TooManyRequestsError, UnauthenticatedError
from service.keys import Keys
from service.rate_limit import RateLimit
from service.roles import Role
from service.settings import Settings, is_loopback
from service.transitions import shown

#: What anybody may ask; their routes are declared `open_to_all` (see `service.access`).
OPEN_PATHS = frozenset({"/healthz", "/readyz"})

#: Requests without a key that is worth anything, from one address.
FAILURES_A_MINUTE = 60

#: Who asks where no key is needed.
_ANYBODY = Caller(key_id=None, name=None, role=Role.ADMIN)

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:]*)(:[0-9]*)?")


class Guard:
    """ASGI middleware that finds out the caller of a request, and refuses what has none or comes too often.

    The errors that it raises are answered by an `ExceptionMiddleware` around it.

    Args:
        app: What is guarded.
        settings: Whether keys are needed, and how often may be asked.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """Start with nobody having asked."""
        self._app = app
        self._needs_keys = settings.needs_keys
        self._requests = RateLimit(settings.rate_limit)
        self._failures = RateLimit(FAILURES_A_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or raise."""
        if scope["type"] == "http":
            await self._admit(Request(scope))
        await self._app(scope, receive, send)

    async def _admit(self, request: Request) -> None:
        address = "" if request.client is None else request.client.host
        if request.scope["path"] in OPEN_PATHS:
            _take(self._requests, address, "requests")
            return
        caller = await self._caller(request, address) if self._needs_keys else _anybody(request)
        _take(self._requests, caller.key_id or address, "requests")
        request.state.caller = caller

    async def _caller(self, request: Request, address: str) -> Caller:
        keys, given = Keys(request.app.state.store), request.headers.get("authorization", "")
        try:
            # looked up every time, so that a key that was revoked is worth nothing at once
            return await run_in_threadpool(keys.caller, given)
        except UnauthenticatedError:
            # a key that is right is never refused for what others at its address sent
            _take(self._failures, address, "requests without a valid key")
            raise


def _anybody(request: Request) -> Caller:
    """Return the caller where no key is needed: somebody on this machine, who means this machine.

    A page in a browser may have made a name of its own lead here (DNS rebinding), and a proxy may bring others.
    """
    host = request.headers.get("host", "")
    match = _HOST.fullmatch(host)
    if host and (match is None or not is_loopback(match[1].strip("[]"))):
        raise ForbiddenError(
            f"the request is for {shown(host)}; without keys the service is for this machine only, as 127.0.0.1 or "
            "localhost: start it with L4_ACCESS=keys to have others use it"
        )
    return _ANYBODY


def _take(limit: RateLimit, client: str, what: str) -> None:
    seconds = limit.take(client)
    if seconds > 0:
        raise TooManyRequestsError(f"too many {what} in a minute; ask again in {seconds:.1f} s", seconds)
