"""The pages' own scripts and styles; anybody may have them, since the login page needs them."""

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
    """Return the icon of what names none, such as a report."""
    return show_static_file("icon.svg")


@router.get("/static/{file}")
def show_static_file(file: str) -> Response:
    """Return a file of the pages."""
    found = next((each for each in _FOLDER.iterdir() if each.name == file and each.suffix in _MEDIA_TYPES), None)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND)
    # asked for again each time, so that a new version's page has the new version's script
    return Response(found.read_bytes(), headers={"Cache-Control": "no-cache"}, media_type=_MEDIA_TYPES[found.suffix])
