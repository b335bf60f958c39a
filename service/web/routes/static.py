"""Static files of the pages; they need no key, since the login page uses them."""

from http import HTTPStatus
from pathlib import Path

from fastapi import APIRouter, Depends, Response
from starlette.exceptions import HTTPException

from service.api.authorization import allow_anonymous

router = APIRouter(dependencies=[Depends(allow_anonymous)], include_in_schema=False)

_FOLDER = Path(__file__).parents[1] / "static"
_MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@router.get("/favicon.ico")
def show_icon() -> Response:
    """Return the default icon, for pages that name none, such as a report."""
    return show_static_file("icon.svg")


@router.get("/static/{file}")
def show_static_file(file: str) -> Response:
    """Return a static file."""
    path = next((path for path in _FOLDER.iterdir() if path.name == file and path.suffix in _MEDIA_TYPES), None)
    if path is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    # revalidated on each use, so that a new version's page gets the new version's script
    return Response(path.read_bytes(), headers={"Cache-Control": "no-cache"}, media_type=_MEDIA_TYPES[path.suffix])
