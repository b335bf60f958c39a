"""Middleware that identifies the caller of every request, and enforces rate limits."""

import re
from urllib.parse import quote

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.middleware.csrf import require_same_origin
from service.api.middleware.rate_limit import RateLimiter
from service.api.negotiation import preferred_media_type
from service.auth.keys import ApiKeys
from service.auth.sessions import COOKIE_NAME, Sessions
from service.errors import ForbiddenError, LoginNeededError, TooManyRequestsError, UnauthenticatedError, quote_value
from service.roles import Role
from service.settings import Settings, is_loopback
from service.storage.entities import Caller

_PUBLIC_PATHS = frozenset({"/healthz", "/readyz", "/login", "/logout", "/favicon.ico"})
_PUBLIC_FOLDER = "/static/"
#: A proxy asks them with a browser's headers, and needs a 401 instead of a redirect.
_NEVER_REDIRECTED = frozenset({"/caller", "/caller/mlflow"})

#: Requests without a valid key or session, from one address.
FAILURES_PER_MINUTE = 60

#: The caller if no key is needed.
_LOCAL_ADMIN = Caller(key_id=None, name=None, role=Role.ADMIN)

#: Headers that proxies add to requests; the `X-Forwarded-` ones have many names.
_PROXY_HEADERS = frozenset({"forwarded", "via", "x-real-ip"})
_PROXY_HEADER_PREFIX = "x-forwarded-"

_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:]*)(:[0-9]*)?")


def is_public_path(path: str) -> bool:
    """Return whether a path needs no key; its route depends on `service.api.authorization.allow_anonymous`.

    Args:
        path: The path of a request.
    """
    return path in _PUBLIC_PATHS or path.startswith(_PUBLIC_FOLDER)


class AuthenticationMiddleware:
    """ASGI middleware that identifies the caller, and rejects requests without a valid key and too frequent ones.

    An `ExceptionMiddleware` around it turns its errors into responses.

    Args:
        app: The wrapped application.
        settings: Say whether keys are needed, and the rate limit.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        """Start with full rate limits."""
        self._app = app
        self._needs_keys = settings.needs_keys
        self._request_limiter = RateLimiter(settings.rate_limit)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or raise."""
        if scope["type"] == "http":
            await self._authenticate(Request(scope))
        await self._app(scope, receive, send)

    async def _authenticate(self, request: Request) -> None:
        address = "" if request.client is None else request.client.host
        if is_public_path(request.scope["path"]):
            _enforce(self._request_limiter, address, "requests")
            return
        caller = await self._identify(request, address) if self._needs_keys else _local_caller(request)
        _enforce(self._request_limiter, caller.key_id or address, "requests")
        request.state.caller = caller

    async def _identify(self, request: Request, address: str) -> Caller:
        try:
            # looked up every time, so that a revoked key is invalid at once
            return await run_in_threadpool(_find_caller, request)
        except UnauthenticatedError as error:
            wants_page = _wants_page(request)
            if wants_page and not _has_credentials(request):
                _enforce(
                    self._request_limiter, address, "requests"
                )  # no guess of a key: counted like the login page it is sent to
            else:
                # counted apart, so that a valid key is never rejected for other requests from its address
                count_failure(request.app.state.failure_limiter, address)
            if wants_page:
                raise LoginNeededError(f"/login?next={quote(_target(request), safe='')}") from error
            raise


def _find_caller(request: Request) -> Caller:
    """Return the caller by the API key of a request or, without one, by the session of its browser."""
    store = request.app.state.store
    authorization, token = request.headers.get("authorization"), request.cookies.get(COOKIE_NAME)
    if authorization is not None or token is None:
        return ApiKeys(store).authenticate(authorization or "")
    caller = Sessions(store).authenticate(token)
    # a browser sends the cookie with requests of any site's pages
    require_same_origin(request, allow_unknown=False)
    return caller


def _has_credentials(request: Request) -> bool:
    return "authorization" in request.headers or COOKIE_NAME in request.cookies


def _wants_page(request: Request) -> bool:
    """Return whether a browser asks for a page."""
    accept = request.headers.get("accept", "")
    media_type = preferred_media_type(accept, ("application/json", "text/html"))
    return request.method == "GET" and media_type == "text/html" and request.scope["path"] not in _NEVER_REDIRECTED


def _target(request: Request) -> str:
    query = request.scope["query_string"]
    return (request.scope["raw_path"] + (b"?" + query if query else b"")).decode("latin-1")


def _local_caller(request: Request) -> Caller:
    """Return the caller if no key is needed; the request must name this machine as its host, and come by no proxy.

    Otherwise a website could reach the service through its own host name (DNS rebinding), or a proxy could expose it.

    Raises:
        ForbiddenError: The request comes from elsewhere.
    """
    host = request.headers.get("host", "")
    match = _HOST.fullmatch(host)
    if host and (match is None or not is_loopback(match[1].strip("[]"))):
        raise ForbiddenError(
            f"the request is for {quote_value(host)}; without keys the service is for this machine only, "
            "as 127.0.0.1 or localhost: start it with L4_ACCESS=keys to have others use it"
        )
    added = [name for name in request.headers if name in _PROXY_HEADERS or name.startswith(_PROXY_HEADER_PREFIX)]
    if added:
        raise ForbiddenError(
            f"the request came through a proxy, by its header {quote_value(added[0])}, and so for others than this "
            "machine's users; without keys the service is for them only: start it with L4_ACCESS=keys to have it "
            "behind a proxy"
        )
    require_same_origin(request, allow_unknown=True)
    return _LOCAL_ADMIN


def count_failure(failures: RateLimiter, address: str) -> None:
    """Count a request without a valid key or session.

    Args:
        failures: The rate limiter of such requests, by address.
        address: The client's address.

    Raises:
        TooManyRequestsError: The address sent too many.
    """
    _enforce(failures, address, "requests without a valid key")


def _enforce(limiter: RateLimiter, client: str, counted: str) -> None:
    seconds = limiter.acquire(client)
    if seconds > 0:
        raise TooManyRequestsError(f"too many {counted} in a minute; ask again in {seconds:.1f} s", seconds)
