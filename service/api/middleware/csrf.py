"""Protection against cross-site requests, by headers that a browser sets and no page can forge."""

from fastapi import Request

from service.errors import ForbiddenError

#: Methods without side effects.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def is_same_origin(request: Request) -> bool | None:
    """Return whether a request comes from a page of this service; None if no header says, as without a browser.

    Args:
        request: The request; its scheme and host are those the browser sees, also behind a proxy.
    """
    # browsers send Sec-Fetch-Site over https and to loopback, and Origin with every unsafe method
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return None if origin is None else origin == f"{request.url.scheme}://{request.headers.get('host', '')}"


def require_same_origin(request: Request, *, allow_unknown: bool, method: str | None = None) -> None:
    """Reject a request with an unsafe method that comes from another site's page.

    Args:
        request: The request.
        allow_unknown: Whether to accept a request without any header about its origin.
        method: The method of the browser's request, if a proxy asks on its behalf; the request's own if None.

    Raises:
        ForbiddenError: The request is rejected.
    """
    if (method or request.method) in SAFE_METHODS:
        return
    same_origin = is_same_origin(request)
    if same_origin is False or (same_origin is None and not allow_unknown):
        raise ForbiddenError(
            "the request does not come from a page of this service, by its Sec-Fetch-Site or Origin header; "
            "programs send a key made with `l4-studies keys create` as `Authorization: Bearer KEY`, and no cookie"
        )
