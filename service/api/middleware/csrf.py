"""Whether a request comes from a page of this service, by what its browser says; no page elsewhere can change that."""

from fastapi import Request

from service.errors import ForbiddenError

#: Methods that change nothing.
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


def same_origin(request: Request) -> bool | None:
    """Say whether a request comes from a page of this service; None where nothing is said, as by what is no browser.

    Args:
        request: The request; its scheme and host are those that the browser knows, also behind a proxy.
    """
    # browsers send it over https and to the machine's own address, and Origin with whatever changes something
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = request.headers.get("origin")
    return None if origin is None else origin == f"{request.url.scheme}://{request.headers.get('host', '')}"


def require_same_origin(request: Request, *, allow_unknown: bool) -> None:
    """Raise where a request that changes something comes from another place's page.

    Args:
        request: The request.
        allow_unknown: Whether one that says nothing of where it comes from is let through.

    Raises:
        ForbiddenError: It is refused.
    """
    if request.method in SAFE_METHODS:
        return
    found = same_origin(request)
    if found is False or (found is None and not allow_unknown):
        raise ForbiddenError(
            "the request does not come from a page of this service, by its Sec-Fetch-Site or Origin header; "
            "programs send a key made with `l4-studies keys create` as `Authorization: Bearer KEY`, and no cookie"
        )
