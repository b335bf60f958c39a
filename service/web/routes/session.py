"""Logging in with an API key, and out again: a browser gets a session, in a cookie that no script can read."""

import re
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse

from service.api.authorization import open_to_all
from service.api.body import read_content
from service.api.dependencies import SettingsGiven, StoreGiven
from service.api.middleware.authentication import take_failure
from service.api.middleware.csrf import refuse_foreign
from service.auth.keys import Keys
from service.auth.sessions import COOKIE, LIFE, Sessions
from service.errors import UnauthenticatedError
from service.web.templating import Pages, PagesGiven

router = APIRouter(dependencies=[Depends(open_to_all)], include_in_schema=False)

_FORM_LIMIT = 4096
#: A path of this service: browsers read `//host` and `/\\host` as another host, and leave out spaces and tabs.
_LOCAL = re.compile(r"/(?![/\\])[!-\[\]-~]*")

Next = Annotated[str, Query(description="The page to come back to.")]


@router.get("/login")
def login_form(settings: SettingsGiven, pages: PagesGiven, next: Next = "/") -> Response:
    """Return a form that takes an API key; where none is needed, the page that it would lead to."""
    if not settings.needs_keys:
        return RedirectResponse(local(next), HTTPStatus.SEE_OTHER)
    return _form(pages, HTTPStatus.OK, next, "")


@router.post("/login")
async def log_in(request: Request, store: StoreGiven, pages: PagesGiven) -> Response:
    """Begin a session of the key's holder, and go on to the page that was asked for."""
    refuse_foreign(request, silence=True)
    content = await read_content(request, _FORM_LIMIT)
    form = parse_qs(content.decode("utf-8", "replace"))
    (key, *_), (asked, *_) = form.get("key", [""]), form.get("next", ["/"])
    try:
        caller = await run_in_threadpool(Keys(store).caller, f"Bearer {key.strip()}")
    except UnauthenticatedError:
        take_failure(request.app.state.failures, "" if request.client is None else request.client.host)
        trouble = "This is no key of this service, or it was revoked. Keys look like l4_<id>_<secret>."
        return _form(pages, HTTPStatus.UNAUTHORIZED, asked, trouble)
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
def log_out(request: Request, store: StoreGiven) -> Response:
    """End the browser's session."""
    refuse_foreign(request, silence=True)
    token = request.cookies.get(COOKIE)
    if token is not None:
        Sessions(store).close(token)
    answer = RedirectResponse("/login", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=request.url.scheme == "https")
    return answer


def _form(pages: Pages, status: HTTPStatus, asked: str, trouble: str) -> Response:
    return pages.page("login.html", status=status, caller=None, next=local(asked), trouble=trouble)


def local(path: str) -> str:
    """Return a path of this service, the first page's where another place is asked for.

    Args:
        path: With its query, as it was asked for.
    """
    return path if _LOCAL.fullmatch(path) else "/"
