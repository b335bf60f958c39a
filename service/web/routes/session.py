"""Login with an API key and logout; the session is in a cookie that scripts cannot read."""

import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from service.api.authorization import allow_anonymous
from service.api.body import read_body
from service.api.dependencies import SettingsDep, StoreDep
from service.api.middleware.authentication import count_failure
from service.api.middleware.csrf import require_same_origin
from service.auth.keys import ApiKeys
from service.auth.sessions import COOKIE_NAME, SESSION_LIFETIME, Sessions
from service.errors import UnauthenticatedError
from service.web.templating import PageTemplates, TemplatesDep

router = APIRouter(dependencies=[Depends(allow_anonymous)], include_in_schema=False)

_FORM_LIMIT = 4096
#: A path of this service: browsers read `//host` and `/\\host` as another host, and drop spaces and tabs.
_LOCAL_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")

Next = Annotated[str, Query(description="The page to return to.")]


@router.get("/login")
def login_form(settings: SettingsDep, templates: TemplatesDep, next: Next = "/") -> Response:
    """Return the login form or, if no key is needed, redirect to the next page."""
    if not settings.needs_keys:
        return RedirectResponse(local_path(next), HTTPStatus.SEE_OTHER)
    return _render_login(templates, HTTPStatus.OK, next, "")


@router.post("/login")
async def log_in(request: Request, store: StoreDep, templates: TemplatesDep) -> Response:
    """Start a session for an API key, and redirect to the next page."""
    require_same_origin(request, allow_unknown=True)
    content = await read_body(request, _FORM_LIMIT)
    form = parse_qs(content.decode("utf-8", "replace"))
    (key, *_), (next_path, *_) = form.get("key", [""]), form.get("next", ["/"])
    try:
        caller = await run_in_threadpool(ApiKeys(store).authenticate, f"Bearer {key.strip()}")
    except UnauthenticatedError:
        count_failure(request.app.state.failure_limiter, "" if request.client is None else request.client.host)
        trouble = "This is no key of this service, or it was revoked. Keys look like l4_<id>_<secret>."
        return _render_login(templates, HTTPStatus.UNAUTHORIZED, next_path, trouble)
    assert caller.key_id is not None
    token = await run_in_threadpool(Sessions(store).open, caller.key_id, datetime.now(UTC))
    response = RedirectResponse(local_path(next_path), HTTPStatus.SEE_OTHER)
    response.set_cookie(
        COOKIE_NAME,
        token,
        max_age=int(SESSION_LIFETIME.total_seconds()),
        httponly=True,
        samesite="lax",  # not strict: a link to a study from elsewhere must not lead to the login page
        secure=request.url.scheme == "https",
    )
    return response


@router.post("/logout")
def log_out(request: Request, store: StoreDep) -> Response:
    """End the browser's session."""
    require_same_origin(request, allow_unknown=True)
    token = request.cookies.get(COOKIE_NAME)
    if token is not None:
        Sessions(store).close(token)
    response = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    response.delete_cookie(COOKIE_NAME, httponly=True, samesite="lax", secure=request.url.scheme == "https")
    return response


def _render_login(templates: PageTemplates, status: HTTPStatus, next_path: str, trouble: str) -> Response:
    return templates.render("login.html", status=status, caller=None, next=local_path(next_path), trouble=trouble)


def local_path(path: str) -> str:
    """Return a redirect target within this service; `/` in place of any other target.

    Args:
        path: The requested target, with its query.
    """
    return path if _LOCAL_PATH.fullmatch(path) else "/"
