"""Logging in with an API key, and out again: a browser gets a session, in a cookie that no script can read."""

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
from service.auth.keys import Keys
from service.auth.sessions import COOKIE, LIFE, Sessions
from service.errors import UnauthenticatedError
from service.web.templating import PageTemplates, TemplatesDep

router = APIRouter(dependencies=[Depends(allow_anonymous)], include_in_schema=False)

_FORM_LIMIT = 4096
#: A path of this service: browsers read `//host` and `/\\host` as another host, and leave out spaces and tabs.
_LOCAL = re.compile(r"/(?![/\\])[!-\[\]-~]*")

Next = Annotated[str, Query(description="The page to come back to.")]


@router.get("/login")
def login_form(settings: SettingsDep, templates: TemplatesDep, next: Next = "/") -> Response:
    """Return a form that takes an API key; where none is needed, the page that it would lead to."""
    if not settings.needs_keys:
        return RedirectResponse(local(next), HTTPStatus.SEE_OTHER)
    return _form(templates, HTTPStatus.OK, next, "")


@router.post("/login")
async def log_in(request: Request, store: StoreDep, templates: TemplatesDep) -> Response:
    """Begin a session of the key's holder, and go on to the page that was asked for."""
    require_same_origin(request, allow_unknown=True)
    content = await read_body(request, _FORM_LIMIT)
    form = parse_qs(content.decode("utf-8", "replace"))
    (key, *_), (asked, *_) = form.get("key", [""]), form.get("next", ["/"])
    try:
        caller = await run_in_threadpool(Keys(store).caller, f"Bearer {key.strip()}")
    except UnauthenticatedError:
        count_failure(request.app.state.failure_limiter, "" if request.client is None else request.client.host)
        trouble = "This is no key of this service, or it was revoked. Keys look like l4_<id>_<secret>."
        return _form(templates, HTTPStatus.UNAUTHORIZED, asked, trouble)
    assert caller.key_id is not None
    token = await run_in_threadpool(Sessions(store).open, caller.key_id, datetime.now(UTC))
    answer = RedirectResponse(local(asked), HTTPStatus.SEE_OTHER)
    answer.set_cookie(
        COOKIE,
        token,
        max_age=int(LIFE.total_seconds()),
        httponly=True,
        samesite="lax",  # not strict: a link to a study in a message leads to the study, and not to the login
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/logout")
def log_out(request: Request, store: StoreDep) -> Response:
    """End the browser's session."""
    require_same_origin(request, allow_unknown=True)
    token = request.cookies.get(COOKIE)
    if token is not None:
        Sessions(store).close(token)
    answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=request.url.scheme == "https")
    return answer


def _form(templates: PageTemplates, status: HTTPStatus, asked: str, trouble: str) -> Response:
    return templates.render("login.html", status=status, caller=None, next=local(asked), trouble=trouble)


def local(path: str) -> str:
    """Return a path of this service, the first page's where another place is asked for.

    Args:
        path: With its query, as it was asked for.
    """
    return path if _LOCAL.fullmatch(path) else "/"
