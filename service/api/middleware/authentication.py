"""Stands before every route, and where there is none: finds out who asks, and whether not too often."""

import re
from urllib.parse import quote

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.middleware.csrf import require_same_origin
from service.api.middleware.rate_limit import RateLimiter
from service.api.negotiation import preferred_media_type
from service.auth.keys import Keys
from service.auth.sessions import COOKIE, Sessions
from service.errors import ForbiddenError, LoginNeededError, TooManyRequestsError, UnauthenticatedError, shown
from service.roles import Role
from service.settings import Settings, is_loopback
from service.storage.entities import Caller

_PUBLIC_PATHS = frozenset({"/healthz", "/readyz", "/login", "/logout", "/favicon.ico"})
_PUBLIC_FOLDER = "/static/"
#: A proxy asks it with the headers of a browser, and has to be told 401.
_NEVER_REDIRECTED = "/caller"

#: Requests without a key that is worth anything, from one address.
FAILURES_PER_MINUTE = 60

#: Who asks where no key is needed.
_ANYBODY = Caller(key_id=None, name=None, role=Role.ADMIN)

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:]*)(:[0-9]*)?")


def is_public_path(path: str) -> bool:
    """Say whether anybody may ask a path; its route is declared `allow_anonymous` (see `service.api.authorization`).

    Args:
        path: Of a request.
    """
    return path in _PUBLIC_PATHS or path.startswith(_PUBLIC_FOLDER)


class AuthenticationMiddleware:
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
        self._requests = RateLimiter(settings.rate_limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or raise."""
        if scope["type"] == "http":
            await self._admit(Request(scope))
        await self._app(scope, receive, send)

    async def _admit(self, request: Request) -> None:
        address = "" if request.client is None else request.client.host
        if is_public_path(request.scope["path"]):
            _take(self._requests, address, "requests")
            return
        caller = await self._caller(request, address) if self._needs_keys else _anybody(request)
        _take(self._requests, caller.key_id or address, "requests")
        request.state.caller = caller

    async def _caller(self, request: Request, address: str) -> Caller:
        try:
            # looked up every time, so that a key that was revoked is worth nothing at once
            return await run_in_threadpool(_shown, request)
        except UnauthenticatedError as error:
            is_a_page = _is_a_page(request)
            if is_a_page and not _shows_something(request):
                _take(self._requests, address, "requests")  # as the login that it is sent to, since nothing was guessed
            else:
                # a key that is right is never refused for what others at its address sent
                count_failure(request.app.state.failure_limiter, address)
            if is_a_page:
                raise LoginNeededError(f"/login?next={quote(_target(request), safe='')}") from error
            raise


def _shown(request: Request) -> Caller:
    """Return the caller by the key that is shown, or by the session of a browser that shows none."""
    store, given, token = request.app.state.store, request.headers.get("authorization"), request.cookies.get(COOKIE)
    if given is not None or token is None:
        return Keys(store).caller(given or "")
    caller = Sessions(store).caller(token)
    # a browser sends the cookie with what any page asks of it
    require_same_origin(request, allow_unknown=False)
    return caller


def _shows_something(request: Request) -> bool:
    return "authorization" in request.headers or COOKIE in request.cookies


def _is_a_page(request: Request) -> bool:
    """Say whether a browser asks for something to show."""
    accept = request.headers.get("accept", "")
    wanted = preferred_media_type(accept, ("application/json", "text/html"))
    return request.method == "GET" and wanted == "text/html" and request.scope["path"] != _NEVER_REDIRECTED


def _target(request: Request) -> str:
    query = request.scope["query_string"]
    return (request.scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1")


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
    require_same_origin(request, allow_unknown=True)
    return _ANYBODY


def count_failure(failures: RateLimiter, address: str) -> None:
    """Count what was no key or session that is worth anything.

    Args:
        failures: Of all addresses.
        address: Where it came from.

    Raises:
        TooManyRequestsError: There were too many.
    """
    _take(failures, address, "requests without a valid key")


def _take(limiter: RateLimiter, client: str, what: str) -> None:
    seconds = limiter.acquire(client)
    if seconds > 0:
        raise TooManyRequestsError(f"too many {what} in a minute; ask again in {seconds:.1f} s", seconds)
