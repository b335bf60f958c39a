"""The OpenAPI document, and its interactive documentation."""

import base64
import hashlib
import re
from typing import Any, cast

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse

from service.api.authorization import RequireRole
from service.roles import Role

router = APIRouter(dependencies=[Depends(RequireRole(Role.READER))], include_in_schema=False)

_SWAGGER = "https://cdn.jsdelivr.net"
_ICON = "https://fastapi.tiangolo.com"


@router.get("/openapi.json")
def document(request: Request) -> JSONResponse:
    """Return the OpenAPI document."""
    content: dict[str, Any] = cast(FastAPI, request.app).openapi()
    return JSONResponse(content)


@router.get("/docs")
def reference() -> HTMLResponse:
    """Return a page that loads Swagger UI from its public CDN."""
    page = get_swagger_ui_html(openapi_url="/openapi.json", title="L4 Studies")
    page.headers["Content-Security-Policy"] = _policy(bytes(page.body).decode())
    return page


def _policy(page: str) -> str:
    """Return the page's Content-Security-Policy: Swagger UI, and the inline scripts by their hashes."""
    digests = (hashlib.sha256(script.encode()) for script in re.findall(r"<script>(.*?)</script>", page, re.DOTALL))
    hashes = " ".join(f"'sha256-{base64.b64encode(digest.digest()).decode()}'" for digest in digests)
    return (
        f"default-src 'none'; script-src {_SWAGGER} {hashes}; style-src {_SWAGGER} 'unsafe-inline'; "
        f"img-src 'self' data: {_ICON}; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
