"""What Prometheus scrapes."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Response
from prometheus_client import CollectorRegistry, exposition
from prometheus_client.openmetrics import exposition as openmetrics

from service.access import needs
from service.dependencies import ExpositionGiven
from service.negotiation import preferred
from service.problems import documented
from service.roles import Role

router = APIRouter(tags=["health"], dependencies=[Depends(needs(Role.READER))])

_ENCODERS: dict[str, tuple[Callable[[CollectorRegistry], bytes], str]] = {
    "text/plain": (exposition.generate_latest, exposition.CONTENT_TYPE_LATEST),
    "application/openmetrics-text": (openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST),
}
_CONTENT: dict[str, Any] = {media_type: {"schema": {"type": "string"}} for media_type in _ENCODERS}


@router.get("/metrics", response_class=Response, responses={200: {"content": _CONTENT}} | documented())
def scrape(exposed: ExpositionGiven, accept: Annotated[str, Header()] = "") -> Response:
    """Return what Prometheus scrapes, in its text format, or as OpenMetrics where Accept prefers that."""
    encode, content_type = _ENCODERS[preferred(accept, list(_ENCODERS)) or "text/plain"]
    return Response(encode(exposed.registry), headers={"Content-Type": content_type, "Vary": "Accept"})
